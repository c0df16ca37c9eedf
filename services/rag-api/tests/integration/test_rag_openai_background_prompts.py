"""Background prompts of chat programs: passed to the language model, and never answered with conversations."""

import json
from typing import Any

import openai
import pytest
from mh_devtools.stubs.conversations_stub import StubConversations
from mh_devtools.stubs.openai_stub import CHAT, Fault, StubOpenAI
from mh_devtools.testing.fixtures import MakeConversation, ServeApp, WriteIndex
from openai import AsyncOpenAI
from rag_api.settings import Settings

MODEL = "mental-health"
TITLE = """### Task:
Name the chat.
### Output:
JSON format: { "title": "your title" }
### Chat History:
<chat_history>
USER: My patient cannot fall asleep
ASSISTANT: Rise at the same hour [1].
</chat_history>"""


@pytest.fixture
async def indexed(index: WriteIndex, conversation: MakeConversation) -> None:
    await index([conversation(1, "My patient cannot fall asleep", "Rise at the same hour every day.")])


async def complete(url: str, stream: bool = False, **request: Any) -> tuple[str, str, int]:
    """Text, finish reason and tokens."""
    values: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": TITLE}], **request}
    async with AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0, timeout=20) as client:
        if not stream:
            whole = await client.chat.completions.create(**values)
            assert whole.choices[0].message.annotations == []
            return whole.choices[0].message.content, whole.choices[0].finish_reason, whole.usage.total_tokens
        text, reason, tokens = "", "", 0
        values["stream_options"] = {"include_usage": True}
        async for chunk in await client.chat.completions.create(stream=True, **values):
            for choice in chunk.choices:
                text += choice.delta.content or ""
                reason = choice.finish_reason or reason
            tokens = chunk.usage.total_tokens if chunk.usage else tokens
        return text, reason, tokens


@pytest.mark.parametrize("stream", [False, True])
async def test_background_prompts_are_passed_to_the_model_without_a_search(
    served: ServeApp,
    with_model: Settings,
    indexed: None,
    stub: StubOpenAI,
    conversations_stub: StubConversations,
    stream: bool,
) -> None:
    stub.reply = '{ "title": "Sleepless [7] nights" }'
    stub.requests.clear()
    conversations_stub.reads.clear()
    before = len(conversations_stub.history)
    with served(with_model) as url:
        text, reason, tokens = await complete(url, stream, temperature=0.5, max_tokens=100)
    assert (text, reason) == (stub.reply, "stop")
    assert tokens > 0
    (chat,) = stub.requests
    assert chat.path == CHAT
    assert chat.body is not None
    assert chat.body["messages"] == [{"role": "user", "content": TITLE}]
    assert (chat.body["temperature"], chat.body["max_tokens"]) == (0.5, 100)
    assert conversations_stub.reads == []
    assert len(conversations_stub.history) == before, "nobody asked it"


@pytest.mark.parametrize("stream", [False, True])
async def test_without_a_model_they_get_the_fallback(
    served: ServeApp, settings: Settings, indexed: None, stub: StubOpenAI, stream: bool
) -> None:
    stub.requests.clear()
    with served(settings) as url:
        text, reason, tokens = await complete(url, stream)
    assert json.loads(text) == {"title": "My patient cannot fall asleep"}
    assert (reason, tokens) == ("stop", 0)
    assert stub.requests == [], "nothing was searched for"


async def test_a_token_limit_is_reported(
    served: ServeApp, with_model: Settings, indexed: None, stub: StubOpenAI
) -> None:
    chunk = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    choice = {"index": 0, "delta": {"content": "{"}, "finish_reason": "length"}
    stub.add_faults(Fault(body=f"data: {json.dumps({**chunk, 'choices': [choice]})}\n\ndata: [DONE]\n\n", path=CHAT))
    with served(with_model) as url:
        assert await complete(url) == ("{", "length", 0)


async def test_an_outage_of_the_model_is_reported(
    served: ServeApp, with_model: Settings, indexed: None, stub: StubOpenAI
) -> None:
    stub.add_faults(Fault(status=500, path=CHAT), Fault(drop=True, path=CHAT))
    with served(with_model) as url:
        with pytest.raises(openai.InternalServerError, match="answered 500") as down:
            await complete(url)
        with pytest.raises(openai.APIError, match="closed the connection"):
            await complete(url, stream=True)
    assert down.value.status_code == 503
