"""POST /api/v1/answers as a stream of events, from the shipped app under uvicorn, with the OpenAI stub behind it."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from mh_common.models import Answer, Conversation
from mh_devtools.stubs.openai_stub import CHAT, Fault, StubOpenAI
from mh_devtools.testing.fixtures import ServeApp
from pymilvus import AsyncMilvusClient
from rag_api.settings import AnswersSettings, Settings

PATH = "/api/v1/answers"
QUESTION = "How do I help a patient who cannot fall asleep?"
HEADERS = {"Accept": "text/event-stream"}
Event = tuple[str, dict[str, Any]]


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=20, headers=HEADERS) as client:
        yield client


def events(text: str) -> list[Event]:
    """Return the events of a complete stream, without comments."""
    found = []
    for block in text.removesuffix("\n\n").split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
        if lines:
            found.append((lines["event"], json.loads(lines["data"])))
    return found


async def ask(http: httpx.AsyncClient, url: str, **request: Any) -> list[Event]:
    response = await http.post(url + PATH, json={"question": QUESTION, **request})
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["X-Accel-Buffering"] == "no"
    return events(response.text)


def assemble(stream: list[Event]) -> Answer:
    text = "".join(data["text"] for name, data in stream if name == "token")
    parts = {key: value for name, data in stream if name != "token" for key, value in data.items()}
    return Answer(answer=text, **parts)


def names(stream: list[Event]) -> list[str]:
    return [name for name, _ in stream]


async def test_sources_come_first_then_tokens_then_usage(
    served: ServeApp, with_model: Settings, indexed: list[Conversation], stub: StubOpenAI, http: httpx.AsyncClient
) -> None:
    stub.reply = "Agree on fixed hours first [1]. Then write all worries down [2]."
    with served(with_model) as url:
        stream = await ask(http, url)
        whole = Answer.model_validate(
            (await http.post(url + PATH, json={"question": QUESTION}, headers={"Accept": "*/*"})).json()
        )
    # Sentence by sentence, since each is checked before it is shown.
    assert names(stream) == ["risk", "sources", "token", "token", "usage", "done"]
    answer = assemble(stream)
    assert answer.answer == whole.answer == stub.reply
    assert answer.grounded
    same = {
        "sources",
        "standalone_query",
        "query_origin",
        "model",
        "usage",
        "grounded",
        "prompt_version",
        "template_hash",
    }
    assert answer.model_dump(include=same) == whole.model_dump(include=same)
    assert answer.usage.total_tokens > 0
    assert len(answer.template_hash or "") == 64
    assert answer.answer_id != whole.answer_id


async def test_sources_are_sent_before_the_model_responds(
    served: ServeApp, with_model: Settings, indexed: list[Conversation], stub: StubOpenAI, http: httpx.AsyncClient
) -> None:
    stub.add_faults(Fault(hang=True, path=CHAT))
    quick = with_model.model_copy(update={"answers": AnswersSettings(time_limit=30, max_retries=0, heartbeat=0.05)})
    with served(quick) as url:
        async with http.stream("POST", url + PATH, json={"question": QUESTION}) as response:
            received, silent = "", True
            async for text in response.aiter_text():
                received += text
                # Keep-alive comments keep proxies from timing out.
                if silent and received.count(": ping\n\n") >= 2:
                    silent = False
                    assert names(events(received)) == ["risk", "sources"]
                    stub.release()
    assert names(events(received))[-2:] == ["usage", "done"]


async def test_a_split_citation_is_held_back_until_it_is_checked(
    served: ServeApp, with_model: Settings, indexed: list[Conversation], stub: StubOpenAI, http: httpx.AsyncClient
) -> None:
    stub.reply = "Rise early each day [9]. Write the worries down [2, 7][1-3]. See ![x](https://evil.example/?q=1)."
    stub.pieces = list
    with served(with_model) as url:
        stream = await ask(http, url)
        whole = (await http.post(url + PATH, json={"question": QUESTION}, headers={"Accept": "*/*"})).json()
    tokens = [data["text"] for name, data in stream if name == "token"]
    assert "".join(tokens) == "Rise early each day. Write the worries down [2][1][2][3]. See [x] (⟨link removed⟩)."
    assert len(tokens) == 3
    assert whole["answer"] == "".join(tokens)
    assert assemble(stream).uncited_sentences == ["Rise early each day.", "See [x] (⟨link removed⟩)."]
    assert not assemble(stream).grounded


async def test_extractive_answers_are_streamed(
    served: ServeApp, settings: Settings, indexed: list[Conversation], http: httpx.AsyncClient
) -> None:
    with served(settings) as url:
        stream = await ask(http, url)
        whole = (await http.post(url + PATH, json={"question": QUESTION}, headers={"Accept": "*/*"})).json()
    assert names(stream)[:4] == ["risk", "sources", "token", "token"]
    answer = assemble(stream)
    assert answer.answer == whole["answer"]
    assert (answer.model, answer.grounded, answer.prompt_version) == ("extractive", True, None)


async def test_a_stream_says_that_nothing_was_found(
    served: ServeApp, with_model: Settings, milvus: AsyncMilvusClient, stub: StubOpenAI, http: httpx.AsyncClient
) -> None:
    with served(with_model) as url:
        stream = await ask(http, url)
    assert names(stream) == ["risk", "sources", "token", "usage", "done"]
    assert assemble(stream).answer.startswith("Nothing relevant was found")
    assert assemble(stream).model == "none"
    assert stub.chats() == []


def chunks(*parts: dict[str, Any], end: str = "data: [DONE]\n\n") -> str:
    base = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "stub-chat"}
    return "".join(f"data: {json.dumps({**base, **part})}\n\n" for part in parts) + end


def delta(finish_reason: str | None = None, **message: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": message, "finish_reason": finish_reason}]}


@pytest.mark.parametrize(
    ("fault", "status", "words", "tokens"),
    [
        (Fault(status=500, path=CHAT), 502, "answered 500", 0),
        (Fault(status=401, path=CHAT), 502, "rejects the API key", 0),
        (Fault(body=chunks(delta(content="One. Two ")), path=CHAT), 502, "ended in the middle", 1),
        (Fault(drop=True, path=CHAT), 502, "closed the connection", 1),
        (Fault(body=chunks(delta(content="One. Two ")) + "data: {\n\n", path=CHAT), 502, "ended in the middle", 1),
        (Fault(body=chunks(delta(content="One. Two "), end="data: {]\n\n"), path=CHAT), 502, "unreadable", 1),
        (Fault(body=chunks(delta(content="One. Two "), end='data: "x"\n\n'), path=CHAT), 502, "unreadable", 1),
        (
            Fault(body=chunks(delta(content="One. Two "), end='data: {"error": {"message": "zebra"}}\n\n'), path=CHAT),
            502,
            "failed in the middle",
            1,
        ),
        (
            Fault(body=chunks(delta(content="One. Two "), delta("content_filter")), path=CHAT),
            503,
            "refuses to answer",
            1,
        ),
        (Fault(body=chunks(delta(refusal="No.")), path=CHAT), 503, "refuses to answer", 0),
        (Fault(body=chunks(delta(content="[9]"), delta("stop")), path=CHAT), 502, "empty", 0),
        (Fault(body=chunks(), path=CHAT), 502, "ended in the middle", 0),
        (Fault(stall=True, path=CHAT), 504, "did not answer in time", 1),
    ],
)
async def test_an_error_in_mid_stream_is_an_event(
    served: ServeApp,
    with_model: Settings,
    indexed: list[Conversation],
    stub: StubOpenAI,
    http: httpx.AsyncClient,
    fault: Fault,
    status: int,
    words: str,
    tokens: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stub.add_faults(fault)
    stub.reply = "One. Two three four five six seven eight."
    limits = AnswersSettings(time_limit=5 if fault.stall else 30, max_retries=0)
    with served(with_model.model_copy(update={"answers": limits})) as url:
        stream = await ask(http, url)
    assert names(stream)[:2] == ["risk", "sources"]
    assert names(stream)[-1] == "error"
    assert bool(names(stream).count("token")) == bool(tokens)
    problem = stream[-1][1]
    assert problem["status"] == status
    assert words in problem["detail"]
    assert problem["instance"] == PATH
    assert problem["request_id"]
    # They were sent before.
    assert "sources" not in problem
    assert "zebra" not in json.dumps(problem) + capsys.readouterr().out


async def test_an_unexpected_error_is_reported_without_its_message(
    served: ServeApp,
    with_model: Settings,
    indexed: list[Conversation],
    http: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(text: str) -> None:
        raise RuntimeError(f"zebra {text}")

    monkeypatch.setattr("rag_api.answers.generators.check_grounding", broken)
    with served(with_model) as url:
        stream = await ask(http, url)
    assert names(stream)[-1] == "error"
    assert stream[-1][1]["status"] == 500
    assert "zebra" not in json.dumps(stream)


async def test_only_failures_before_the_first_token_are_retried(
    served: ServeApp, with_model: Settings, indexed: list[Conversation], stub: StubOpenAI, http: httpx.AsyncClient
) -> None:
    limits = AnswersSettings(time_limit=10, max_retries=2)
    with served(with_model.model_copy(update={"answers": limits})) as url:
        stub.add_faults(Fault(status=503, path=CHAT, headers={"Retry-After": "0"}))
        assert names(await ask(http, url))[-1] == "done"
        assert len(stub.chats()) == 2
        stub.add_faults(Fault(drop=True, path=CHAT))
        assert names(await ask(http, url))[-1] == "error"
        assert len(stub.chats()) == 3


async def test_an_error_before_the_first_event_is_a_problem_response(
    served: ServeApp, with_model: Settings, indexed: list[Conversation], statuses: list[int], http: httpx.AsyncClient
) -> None:
    statuses += [500, 500]
    with served(with_model) as url:
        response = await http.post(url + PATH, json={"question": QUESTION})
        assert response.status_code == 503
        assert response.headers["Content-Type"] == "application/problem+json"
        response = await http.post(url + PATH, json={"question": ""})
        assert (response.status_code, response.headers["Content-Type"]) == (422, "application/problem+json")
