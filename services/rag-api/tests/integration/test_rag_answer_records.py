"""Recording of complete answers, which never affects an answer."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest
from mh_common.models import Answer, AnswerLatency, Risk, Usage
from mh_devtools.stubs.conversations_stub import StubConversations
from mh_devtools.stubs.openai_stub import CHAT, Fault, StubOpenAI
from mh_devtools.testing.fixtures import MakeConversation, ServeApp, WriteIndex
from rag_api.answers import records
from rag_api.answers.records import AnswerRecord, RecordQueue
from rag_api.settings import Settings

PATH = "/api/v1/answers"
QUESTION = "How do I help a patient who cannot fall asleep?"


class InMemoryRecorder:
    """Stores records in memory; the first `fails` calls raise, and `hold` makes calls wait."""

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
        risk=Risk(),
        withheld=None,
    )


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
async def test_a_complete_answer_is_recorded(
    served: ServeApp, with_model: Settings, indexed: None, stub: StubOpenAI, accept: str
) -> None:
    stub.reply = "Rise at the same hour each day [1]."
    limits = with_model.search.model_copy(update={"relevance_threshold": 0.01})
    recorder = InMemoryRecorder()
    with served(with_model.model_copy(update={"search": limits}), recorder) as url:
        async with httpx.AsyncClient(timeout=20) as http:
            headers = {"Accept": "application/json", "X-User-Id": "dr.ana@clinic"}
            answer = Answer.model_validate(
                (await http.post(url + PATH, json={"question": QUESTION}, headers=headers)).json()
            )
            response = await http.post(url + PATH, json={"question": QUESTION}, headers={"Accept": accept})
            assert response.status_code == 200
    # Shutdown waits for queued records.
    first, second = recorder.records
    assert (first.answer_id, first.user, first.question) == (answer.answer_id, "dr.ana@clinic", QUESTION)
    assert (first.standalone_query, first.answer, first.model) == (QUESTION, answer.answer, "stub-chat")
    assert (first.usage, first.latency_ms) == (answer.usage, answer.latency_ms)
    assert first.prompt_version == answer.prompt_version
    assert first.filters == {}
    assert [(hit.id, hit.score) for hit in first.hits] == [(source.id, source.score) for source in answer.sources]
    assert datetime.now(UTC) - first.created_at < timedelta(minutes=1)
    assert second.user is None
    assert second.answer == first.answer
    assert second.answer_id != first.answer_id


@pytest.mark.parametrize("enabled", [True, False])
async def test_answers_are_stored_in_the_history_unless_disabled(
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
    recorder = [entry for entry in conversations_stub.history if entry.answer_id == answer.answer_id]
    if not enabled:
        assert recorder == []
        return
    (entry,) = recorder
    assert (entry.answer_id, entry.user_id, entry.question) == (answer.answer_id, "ana", QUESTION)
    assert (entry.answer, entry.model, entry.usage) == (answer.answer, answer.model, answer.usage)
    assert entry.standalone_query is None
    assert [(hit.id, hit.version) for hit in entry.hits] == [(source.id, 1) for source in answer.sources]
    assert entry.latency_ms == answer.latency_ms.total


async def test_failed_and_interrupted_answers_are_not_recorded(
    served: ServeApp, with_model: Settings, indexed: None, stub: StubOpenAI
) -> None:
    recorder = InMemoryRecorder()
    with served(with_model, recorder) as url:
        async with httpx.AsyncClient(timeout=20, headers={"Accept": "text/event-stream"}) as http:
            stub.add_faults(Fault(drop=True, path=CHAT), Fault(stall=True, path=CHAT))
            assert "event: error" in (await http.post(url + PATH, json={"question": QUESTION})).text
            async with http.stream("POST", url + PATH, json={"question": QUESTION}) as response:
                async for text in response.aiter_text():
                    if "event: token" in text:
                        break
    assert recorder.records == []


async def test_a_failing_recorder_loses_only_its_record(
    served: ServeApp, settings: Settings, indexed: None, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder = InMemoryRecorder()
    recorder.fails = 1
    with served(settings, recorder) as url:
        async with httpx.AsyncClient(timeout=20) as http:
            for _ in range(2):
                assert (await http.post(url + PATH, json={"question": QUESTION})).status_code == 200
    assert len(recorder.records) == 1
    logged = capsys.readouterr().out
    assert '"error": "ConnectionError", "event": "answer_record_failed"' in logged
    assert "zebra" not in logged


async def test_a_hanging_recorder_delays_no_answer_and_loses_the_newest(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(records, "MAX_QUEUED", 2)
    monkeypatch.setattr(records, "TIME_LIMIT", 5)
    recorder = InMemoryRecorder()
    recorder.hold = asyncio.Event()
    queue = RecordQueue(recorder)
    async with queue.running():
        for number in range(2):
            queue.add(make_record(number))
        await asyncio.sleep(0)
        # The first is being recorded; two more are queued, and those after them are dropped.
        for number in range(2, 5):
            queue.add(make_record(number))
        assert recorder.records == []
        recorder.hold.set()
    assert [record.answer_id.int for record in recorder.records] == [0, 1, 2]


async def test_shutdown_waits_for_a_hanging_recorder_only_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "TIME_LIMIT", 0.1)
    recorder = InMemoryRecorder()
    recorder.hold = asyncio.Event()
    queue = RecordQueue(recorder)
    async with asyncio.timeout(20):
        async with queue.running():
            for number in range(200):
                queue.add(make_record(number))
    assert recorder.records == []


@pytest.mark.parametrize("user", ["", " ", "a b", "a" * 129, "ü", "x\ty"])
async def test_an_invalid_user_id_is_rejected(client: httpx.AsyncClient, user: str) -> None:
    response = await client.post(PATH, json={"question": "x"}, headers=httpx.Headers([(b"X-User-Id", user.encode())]))
    assert response.status_code == 400
    assert [error["field"] for error in response.json()["errors"]] == ["X-User-Id"]
