"""Streamed answers, from a real server; every test runs with Client and AsyncClient."""

import asyncio
import json
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mh_client import (
    AnswerDone,
    AnswerEvent,
    AnswerRisk,
    AnswerSources,
    AnswerToken,
    AnswerUsage,
    APIConnectionError,
    APIStatusError,
    AsyncClient,
    Client,
    ConversationTurn,
    ResponseDecodeError,
    RiskLevel,
    ServerError,
)
from mh_client._event_stream import EventDecoder, ServerEvent
from mh_devtools.stubs.platform_stub import ACUTE, StubPlatform
from mh_devtools.testing.fixtures import CallMethod

Stream = Callable[..., list[AnswerEvent]]
PROBLEM = json.dumps({"title": "Bad Gateway", "status": 502, "detail": "The model broke off.", "request_id": "r-1"})


@pytest.fixture(params=["Client", "AsyncClient"])
def stream(request: pytest.FixtureRequest, stub: StubPlatform) -> Stream:
    """Request a streamed answer and return its events; those received before an error are in `seen`."""

    def sync(seen: list[AnswerEvent], args: Any, kwargs: Any) -> None:
        with Client(stub.base_url, max_retries=0) as client:
            for event in client.answer_stream(*args, **kwargs):
                seen.append(event)  # noqa: PERF402 - keep what was received before an error

    async def awaited(seen: list[AnswerEvent], args: Any, kwargs: Any) -> None:
        async with AsyncClient(stub.base_url, max_retries=0) as client:
            async for event in client.answer_stream(*args, **kwargs):
                seen.append(event)  # noqa: PERF401 - keep what was received before an error

    def run(*args: Any, seen: list[AnswerEvent] | None = None, **kwargs: Any) -> list[AnswerEvent]:
        events = [] if seen is None else seen
        if request.param == "Client":
            sync(events, args, kwargs)
        else:
            asyncio.run(awaited(events, args, kwargs))
        return events

    return run


def test_events_are_typed_and_come_in_order(stub: StubPlatform, stream: Stream) -> None:
    stub.tokens = ["Schlaf\u2028 ist", " gut ☕️", " [1]."]
    events = stream("bus", top_k=2)
    assert [type(event) for event in events] == [AnswerRisk, AnswerSources, *[AnswerToken] * 3, AnswerUsage, AnswerDone]
    assert "".join(event.text for event in events if isinstance(event, AnswerToken)) == "".join(stub.tokens)
    assert isinstance(events[1], AnswerSources)
    assert events[1].sources[0].id == 7
    assert stub.queries == [{"question": "bus", "top_k": 2}]
    assert stub.users == [None]


def test_what_was_noticed_comes_first(stub: StubPlatform, stream: Stream) -> None:
    stub.noticed = ACUTE
    events = stream("He wants to take them all tonight")
    assert events[0] == ACUTE
    assert [type(event) for event in events[:2]] == [AnswerRisk, AnswerSources]


def test_answers_and_searches_say_what_was_noticed(stub: StubPlatform, calling: Callable[..., CallMethod]) -> None:
    stub.noticed = ACUTE
    call = calling(stub.base_url)
    answer, found = call("answer", "He wants to take them all tonight"), call("search", "take them all tonight")
    for one in (answer, found):
        assert (one.risk, one.risk_notice) == (ACUTE.risk, ACUTE.risk_notice)
        assert next(iter(one.model_dump())) == "risk"
    assert answer.as_text() == f"{ACUTE.as_text()}\n\n{answer.answer}"
    assert found.as_line() == "[Notice] Acute risk noticed: suicide (“take them all tonight”). Act first."


def test_older_platforms_screen_nothing_which_is_said(
    stub: StubPlatform, stream: Stream, calling: Callable[..., CallMethod]
) -> None:
    stub.noticed = None
    call = calling(stub.base_url)
    answer, found = call("answer", "bus"), call("search", "bus")
    for one in (answer, found):
        assert (one.risk.level, one.risk.screened, one.risk_notice) == (RiskLevel.NONE, False, None)
    assert answer.as_text().endswith(f"\n\n{answer.answer}")
    assert answer.as_text().startswith("[Notice] This question was not screened for risk.")
    assert isinstance(stream("bus")[0], AnswerSources)


def test_history_and_user_are_sent(stub: StubPlatform, stream: Stream) -> None:
    turns = [ConversationTurn(role="user", content="How?"), {"role": "assistant", "content": "So."}]
    stream("And then?", conversation_history=turns, user_id="dr.ana")
    history = [{"role": "user", "content": "How?"}, {"role": "assistant", "content": "So."}]
    assert stub.queries == [{"question": "And then?", "top_k": 3, "conversation_history": history}]
    assert stub.users == ["dr.ana"]


@pytest.mark.parametrize("breaks", [True, False])
def test_an_incomplete_answer_is_an_error(stub: StubPlatform, stream: Stream, breaks: bool) -> None:
    stub.stream_end = "event: done\ndata: {"
    stub.stream_breaks = breaks
    seen: list[AnswerEvent] = []
    with pytest.raises(APIConnectionError):
        stream("bus", seen=seen)
    assert [type(event) for event in seen] == [AnswerRisk, AnswerSources, AnswerToken, AnswerToken]


def test_an_error_in_the_stream_is_the_servers_error(stub: StubPlatform, stream: Stream) -> None:
    stub.stream_end = f"event: error\ndata: {PROBLEM}\n\n"
    seen: list[AnswerEvent] = []
    with pytest.raises(ServerError, match="502 Bad Gateway: The model broke off") as caught:
        stream("bus", seen=seen)
    assert (caught.value.status_code, caught.value.request_id) == (502, "r-1")
    assert caught.value.problem is not None
    assert len(seen) == 4


def test_an_error_before_the_stream_is_the_servers_error(stub: StubPlatform, stream: Stream) -> None:
    with pytest.raises(APIStatusError) as caught:
        stream("too much")
    assert caught.value.status_code == 503
    assert caught.value.noticed is None
    stub.noticed = ACUTE
    with pytest.raises(APIStatusError) as caught:
        stream("too much")
    assert caught.value.noticed == ACUTE
    assert "take them all" not in str(caught.value)


@pytest.mark.parametrize("end", ["event: done\ndata: {}\n\n", "event: error\ndata: no\n\n"])
def test_an_event_in_another_format_is_an_error(stub: StubPlatform, stream: Stream, end: str) -> None:
    stub.stream_end = end
    with pytest.raises(ResponseDecodeError, match=r"`(done|error)` in a format"):
        stream("bus")


def test_events_of_later_releases_are_ignored(stub: StubPlatform, stream: Stream) -> None:
    done = AnswerDone(model="m", grounded=True).model_dump_json()
    stub.stream_end = f"event: mood\ndata: good\n\ndata: nameless\n\nevent: done\ndata: {done}\n\n"
    assert isinstance(stream("bus")[-1], AnswerDone)


async def test_leaving_early_closes_the_connection(stub: StubPlatform) -> None:
    stub.stream_end = ": waiting\n\n"
    async with AsyncClient(stub.base_url) as client, aclosing(client.answer_stream("bus")) as events:
        async for event in events:
            assert isinstance(event, AnswerRisk)
            break
    with Client(stub.base_url) as sync_client:
        for event in sync_client.answer_stream("bus"):
            assert isinstance(event, AnswerRisk)
            break


EVENTS = st.lists(
    st.builds(
        ServerEvent,
        st.sampled_from(["token", "done", "message"]),
        st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\r"), min_size=1, max_size=20),
    ),
    max_size=5,
)


@given(EVENTS, st.sampled_from([b"\n", b"\r\n", b"\r"]), st.data())
def test_events_do_not_depend_on_how_the_stream_is_split(
    events: list[ServerEvent], end: bytes, data: st.DataObject
) -> None:
    whole = b""
    for event in events:
        lines = [f"event: {event.name}", ": a comment", *(f"data: {line}" for line in event.data.split("\n"))]
        whole += b"".join(line.encode() + end for line in [*lines, "id: 1", "retry", ""])
    # A final carriage return may be the first half of CRLF, unless something follows.
    whole += b": " + end
    places = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=10)))
    decoder = EventDecoder()
    pieces = [whole[start:stop] for start, stop in zip([0, *places], [*places, len(whole)], strict=True)]
    assert [event for piece in pieces for event in decoder.feed(piece)] == events
