"""Disconnects: work stops when the client is gone. The shipped app under uvicorn, with the OpenAI stub behind it."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from mh_devtools.stubs.openai_stub import CHAT, Fault, StubOpenAI
from mh_devtools.testing.fixtures import MakeConversation, ServeApp, WriteIndex
from mh_devtools.testing.waiting import eventually
from rag_api.settings import AnswersSettings, Settings

PATH = "/api/v1/answers"
QUESTION = "How do I help a patient who cannot fall asleep?"


@pytest.fixture
async def indexed(index: WriteIndex, conversation: MakeConversation) -> None:
    await index([conversation(1, "I cannot fall asleep", "Rise at the same hour every day.")])


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=20, headers={"Accept": "text/event-stream"}) as client:
        yield client


async def test_a_disconnect_stops_the_model(
    served: ServeApp, with_model: Settings, indexed: None, stub: StubOpenAI, http: httpx.AsyncClient
) -> None:
    stub.reply = "One. " + "word " * 10_000
    stub.event_delay = 0.01
    try:
        with served(with_model) as url:
            async with http.stream("POST", url + PATH, json={"question": QUESTION}) as response:
                async for text in response.aiter_text():
                    if "event: token" in text:
                        break
            # Closing the connection closes that to the model, too, long before the end of its answer.
            await eventually(lambda: stub.abandoned == 1)
    finally:
        stub.event_delay = 0.0


async def test_a_disconnect_stops_a_silent_model(
    served: ServeApp, with_model: Settings, indexed: None, stub: StubOpenAI, http: httpx.AsyncClient
) -> None:
    stub.add_faults(Fault(stall=True, path=CHAT))
    stub.reply = "One. Two three four five six."
    # Neither a keep-alive comment nor a deadline ends it before the test times out.
    patient = {
        "answers": AnswersSettings(time_limit=100, max_retries=0, heartbeat=100),
        "openai": with_model.openai.model_copy(update={"timeout": 100}),
    }
    with served(with_model.model_copy(update=patient)) as url:
        async with http.stream("POST", url + PATH, json={"question": QUESTION}) as response:
            async for text in response.aiter_text():
                if "event: token" in text:
                    break
        await eventually(lambda: stub.abandoned == 1)


@pytest.mark.parametrize("accept", ["text/event-stream", "application/json"])
async def test_a_disconnect_before_the_answer_starts_costs_nothing(
    served: ServeApp, with_model: Settings, indexed: None, stub: StubOpenAI, accept: str
) -> None:
    stub.add_faults(Fault(hang=True, path=CHAT))
    history = [{"role": "user", "content": "My patient wakes at night."}]
    with served(with_model) as url:
        async with httpx.AsyncClient(headers={"Accept": accept}, timeout=60) as http:
            request = http.post(url + PATH, json={"question": "And then?", "conversation_history": history})
            task = asyncio.create_task(request)
            await eventually(lambda: len(stub.chats()) == 1)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await eventually(lambda: stub.abandoned == 1)
        # The records of both go through the same queue, in order.
        async with httpx.AsyncClient(timeout=20) as http:
            await http.post(url + PATH, json={"question": QUESTION})
    assert len(stub.chats()) == 2
