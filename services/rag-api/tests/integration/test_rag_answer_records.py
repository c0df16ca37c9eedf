"""What is told of complete answers, and that telling it costs no answer anything."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest
from mh_common.models import Answer, AnswerLatency, Usage
from mh_devtools.stubs.conversations_stub import StubConversations
from mh_devtools.stubs.openai_stub import CHAT, Fault, StubOpenAI
from mh_devtools.testing.fixtures import MakeConversation, ServeApp, WriteIndex
from rag_api.answers import records
from rag_api.answers.records import AnswerRecord, RecordQueue
from rag_api.settings import Settings

PATH = "/api/v1/answers"
QUESTION = "How do I help a patient who cannot fall asleep?"


class Kept:
    """Keeps records; `fails` makes it fail, `hold` makes it wait."""

    def __init__(self) -> None:
        self.records: list[AnswerRecord] = []
        self.fails = 0
        self.hold: asyncio.Event | None = None

    async def record(self, record: AnswerRecord) -> None:
        if self.hold:
            await self.hold.wait()
        if self.fails:
            self.fails -= 1
            raise ConnectionError("zebra")
        self.records.append(record)


@pytest.fixture
async def indexed(index: WriteIndex, conversation: MakeConversation) -> None:
    await index([conversation(1, "I cannot fall asleep", "Rise at the same hour."), conversation(2, "Sleep", "Read.")])


def make_record(number: int) -> AnswerRecord:
    return AnswerRecord(
        answer_id=UUID(int=number),
        user=None,
        question="q",
        standalone_query="q",
        filters={},
        hits=(),
        answer="a",
        model="none",
        prompt_version=None,
        usage=Usage(),
        latency_ms=AnswerLatency(condense=0, search=0, generate=0, total=0),
        created_at=datetime.now(UTC),
    )


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
async def test_a_complete_answer_is_recorded(
    served: ServeApp, with_model: Settings, indexed: None, stub: StubOpenAI, accept: str
) -> None:
    stub.reply = "Rise at the same hour each day [1]."
    limits = with_model.search.model_copy(update={"relevance_threshold": 0.01})
    kept = Kept()
    with served(with_model.model_copy(update={"search": limits}), kept) as url:
        async with httpx.AsyncClient(timeout=20) as http:
            headers = {"Accept": "application/json", "X-User-Id": "dr.ana@clinic"}
            answer = Answer.model_validate(
                (await http.post(url + PATH, json={"question": QUESTION}, headers=headers)).json()
            )
            response = await http.post(url + PATH, json={"question": QUESTION}, headers={"Accept": accept})
            assert response.status_code == 200
    # The end of the service waits for what still waits.
    first, second = kept.records
    assert (first.answer_id, first.user, first.question) == (answer.answer_id, "dr.ana@clinic", QUESTION)
    assert (first.standalone_query, first.answer, first.model) == (QUESTION, answer.answer, "stub-chat")
    assert (first.usage, first.latency_ms) == (answer.usage, answer.latency_ms)
    assert first.prompt_version == answer.prompt_version
    assert first.filters == {"similarity_threshold": 0.01}
    assert [(hit.id, hit.score) for hit in first.hits] == [(source.id, source.score) for source in answer.sources]
    assert datetime.now(UTC) - first.created_at < timedelta(minutes=1)
    assert second.user is None
    assert second.answer == first.answer
    assert second.answer_id != first.answer_id


@pytest.mark.parametrize("enabled", [True, False])
async def test_the_history_is_told_of_each_answer_unless_it_is_off(
    served: ServeApp,
    with_model: Settings,
    indexed: None,
    stub: StubOpenAI,
    conversations_stub: StubConversations,
    enabled: bool,
) -> None:
    stub.reply = "Rise at the same hour each day [1]."
    limits = with_model.search.model_copy(update={"relevance_threshold": 0.01})
    history = with_model.history.model_copy(update={"enabled": enabled})
    with served(with_model.model_copy(update={"search": limits, "history": history})) as url:
        async with httpx.AsyncClient(timeout=20) as http:
            response = await http.post(url + PATH, json={"question": QUESTION}, headers={"X-User-Id": "ana"})
    answer = Answer.model_validate(response.json())
    kept = [entry for entry in conversations_stub.history if entry.answer_id == answer.answer_id]
    if not enabled:
        assert kept == []
        return
    (entry,) = kept
    assert (entry.answer_id, entry.user_id, entry.question) == (answer.answer_id, "ana", QUESTION)
    assert (entry.answer, entry.model, entry.usage) == (answer.answer, answer.model, answer.usage)
    assert entry.standalone_query is None
    assert [(hit.id, hit.version) for hit in entry.hits] == [(source.id, 1) for source in answer.sources]
    assert entry.latency_ms == answer.latency_ms.total


async def test_what_failed_or_was_broken_off_is_not_recorded(
    served: ServeApp, with_model: Settings, indexed: None, stub: StubOpenAI
) -> None:
    kept = Kept()
    with served(with_model, kept) as url:
        async with httpx.AsyncClient(timeout=20, headers={"Accept": "text/event-stream"}) as http:
            stub.add_faults(Fault(drop=True, path=CHAT), Fault(stall=True, path=CHAT))
            assert "event: error" in (await http.post(url + PATH, json={"question": QUESTION})).text
            async with http.stream("POST", url + PATH, json={"question": QUESTION}) as response:
                async for text in response.aiter_text():
                    if "event: token" in text:
                        break
    assert kept.records == []


async def test_a_recorder_that_fails_costs_its_record_only(
    served: ServeApp, settings: Settings, indexed: None, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = Kept()
    kept.fails = 1
    with served(settings, kept) as url:
        async with httpx.AsyncClient(timeout=20) as http:
            for _ in range(2):
                assert (await http.post(url + PATH, json={"question": QUESTION})).status_code == 200
    assert len(kept.records) == 1
    logged = capsys.readouterr().out
    assert '"error": "ConnectionError", "event": "answer_record_failed"' in logged
    assert "zebra" not in logged


async def test_a_recorder_that_hangs_delays_no_answer_and_loses_the_newest(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(records, "MAX_WAITING", 2)
    monkeypatch.setattr(records, "TIME_LIMIT", 5)
    kept = Kept()
    kept.hold = asyncio.Event()
    queue = RecordQueue(kept)
    async with queue.running():
        for number in range(2):
            queue.add(make_record(number))
        await asyncio.sleep(0)
        # The first is with the recorder; two more wait, and those after them are lost.
        for number in range(2, 5):
            queue.add(make_record(number))
        assert kept.records == []
        kept.hold.set()
    assert [record.answer_id.int for record in kept.records] == [0, 1, 2]


async def test_the_end_waits_for_a_hanging_recorder_only_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "TIME_LIMIT", 0.1)
    kept = Kept()
    kept.hold = asyncio.Event()
    queue = RecordQueue(kept)
    async with asyncio.timeout(20):
        async with queue.running():
            for number in range(200):
                queue.add(make_record(number))
    assert kept.records == []


@pytest.mark.parametrize("user", ["", " ", "a b", "a" * 129, "ü", "x\ty"])
async def test_a_user_has_a_plain_name(client: httpx.AsyncClient, user: str) -> None:
    response = await client.post(PATH, json={"question": "x"}, headers=httpx.Headers([(b"X-User-Id", user.encode())]))
    assert response.status_code == 400
    assert [error["field"] for error in response.json()["errors"]] == ["X-User-Id"]
