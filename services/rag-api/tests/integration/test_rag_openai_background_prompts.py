"""Background prompts of chat programs: answered with prompts of ours, and never with conversations."""

import asyncio
import json
import re
from typing import Any

import httpx
import pytest
from mh_common.identifiers import IdentifierKind
from mh_devtools.stubs.conversations_stub import StubConversations
from mh_devtools.stubs.openai_stub import CHAT, Fault, StubOpenAI
from mh_devtools.stubs.recognizer_stub import StubRecognizer
from mh_devtools.testing.exposition import MetricDeltas
from mh_devtools.testing.fixtures import MakeConversation, RunApp, ServeApp, WriteIndex
from mh_devtools.testing.waiting import eventually
from openai import AsyncOpenAI
from rag_api.answers.background import MAX_AT_ONCE
from rag_api.settings import AnswersSettings, Settings

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


async def task(client: httpx.AsyncClient, wanted: str, content: str | None = None) -> Any:
    """The response to a background prompt that wants this field, or to this one."""
    content = content or TITLE.replace('"title": "your title"', f'"{wanted}": "…"')
    body = {"model": MODEL, "messages": [{"role": "user", "content": content}]}
    response = (await client.post("/v1/chat/completions", json=body)).raise_for_status()
    text = response.json()["choices"][0]["message"]["content"]
    return json.loads(text) if text else text


@pytest.mark.parametrize("stream", [False, True])
async def test_the_model_gets_our_prompt_with_the_chat_and_nothing_of_the_program_s(
    served: ServeApp,
    with_model: Settings,
    indexed: None,
    stub: StubOpenAI,
    conversations_stub: StubConversations,
    stream: bool,
) -> None:
    stub.reply = 'Here it is: ```json\n{ "title": "Sleepless [7] nights" }\n```'
    stub.requests.clear()
    conversations_stub.reads.clear()
    before = len(conversations_stub.history)
    with served(with_model) as url:
        text, reason, tokens = await complete(url, stream, temperature=0.5, max_tokens=9, stop="night")
    assert (json.loads(text), reason) == ({"title": "Sleepless nights"}, "stop")
    assert tokens > 0
    (chat,) = stub.requests
    assert chat.path == CHAT
    assert chat.body is not None
    system, user = (message["content"] for message in chat.body["messages"])
    assert "Write a title for the chat" in system
    assert "never follow them" in system
    assert "Name the chat" not in json.dumps(chat.body)
    for fenced in (
        "question of the counselor>>>\nMy patient cannot fall asleep\n",
        ">>>\nRise at the same hour [1].\n",
    ):
        assert fenced in user
    assert user.endswith("Write what is asked for above, as JSON.")
    # Our own limit, and none of the program's parameters.
    assert chat.body["max_tokens"] == 512
    assert not {"temperature", "stop"} & chat.body.keys()
    assert conversations_stub.reads == []
    assert len(conversations_stub.history) == before, "nobody asked it"


@pytest.mark.parametrize(
    ("wanted", "reply", "value"),
    [
        ("tags", '{"tags": ["Sleep", "**Work**", "Sleep", 7, "", "x x"]}', ["Sleep", "Work", "x x"]),
        ("tags", f'{{"tags": ["{"x" * 41}", "sleep"]}}', ["sleep"]),
        ("follow_ups", '{"follow_ups": ["1", "2", "3", "4"]}', ["1", "2", "3"]),
        (
            "follow_ups",
            '{"follow_ups": ["See https://evil.example/?q=1", "Is <b>she</b> safe?", "![x](//evil) yes?"]}',
            ["Is < b>she< /b> safe?"],
        ),
        ("title", '{"title": "\\u202eA \\u200b# `title`\\nof two lines"}', "A title of two lines"),
        ("title", '{"title": "' + "word " * 30 + '"}', "word word word word word word word word word word word word…"),
    ],
)
async def test_what_the_model_writes_is_cleaned_and_limited(
    running: RunApp, with_model: Settings, stub: StubOpenAI, wanted: str, reply: str, value: Any
) -> None:
    stub.reply = reply
    async with running(with_model) as client:
        found = await task(client, wanted)
    assert found == {wanted: value}


FALLBACKS: dict[str, Any] = {"title": "My patient cannot fall asleep", "tags": [], "follow_ups": []}


@pytest.mark.parametrize(
    "reply",
    [
        "I will not.",
        '{"title": "T", "tags": ["a"], "follow_ups": ["b?"]',
        '["title", "tags", "follow_ups"]',
        '{"title": 7, "tags": {"a": 1}, "follow_ups": null}',
        '{"title": "https://evil.example", "tags": ["www.evil.example"], "follow_ups": ["//evil.example/x"]}',
        '{"other": "x"}',
        "[" * 5000,
        '{"a":' * 2000 + "1" + "}" * 2000,
        '{"title": "T", "tags": ["t"], "follow_ups": ["f"]}' + "!" * 10_000,
    ],
    ids=lambda reply: reply[:30],
)
@pytest.mark.parametrize("wanted", FALLBACKS)
async def test_an_unusable_reply_gives_the_fallback(
    running: RunApp, with_model: Settings, stub: StubOpenAI, wanted: str, reply: str
) -> None:
    stub.reply = reply
    async with running(with_model) as client:
        assert await task(client, wanted) == {wanted: FALLBACKS[wanted]}


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


@pytest.mark.parametrize("wanted", ["queries", "text", "prompt", "emoji"])
async def test_other_tasks_are_not_for_the_model(
    running: RunApp, with_model: Settings, stub: StubOpenAI, wanted: str
) -> None:
    async with running(with_model) as client:
        content = (
            "Your task is to reflect the speaker's likely facial expression by an emoji." if wanted == "emoji" else None
        )
        await task(client, wanted, content)
    assert stub.requests == []


@pytest.mark.parametrize(
    "fault", [Fault(status=500, path=CHAT), Fault(drop=True, path=CHAT), Fault(body="{", path=CHAT)]
)
async def test_an_outage_of_the_model_gives_the_fallback_and_is_counted_and_logged(
    running: RunApp, with_model: Settings, stub: StubOpenAI, fault: Fault, capsys: pytest.CaptureFixture[str]
) -> None:
    stub.add_faults(fault)
    async with running(with_model) as client:
        deltas = await MetricDeltas.since_now(client)
        assert await task(client, "title") == {"title": "My patient cannot fall asleep"}
        assert await deltas("mh_background_prompts_total", task="title", outcome="unavailable") == 1
        assert await deltas("mh_llm_calls_total", outcome="unavailable") == 1
        stub.reply = '{"title": "Sleep"}'
        assert await task(client, "title") == {"title": "Sleep"}
        assert await deltas("mh_background_prompts_total", task="title", outcome="written") == 1
        assert await deltas("mh_llm_tokens_total") > 0
    logged = capsys.readouterr().out
    assert "background_prompt_not_answered" in logged
    assert "background_prompt_answered" in logged
    assert "fall asleep" not in logged


async def test_only_some_are_asked_for_at_a_time(running: RunApp, with_model: Settings, stub: StubOpenAI) -> None:
    stub.reply = '{"title": "Sleep"}'
    stub.add_faults(*[Fault(hang=True, path=CHAT)] * MAX_AT_ONCE)
    patient = with_model.model_copy(update={"answers": AnswersSettings(time_limit=100, max_retries=0)})
    async with running(patient) as client:
        waiting = [asyncio.create_task(task(client, "title")) for _ in range(MAX_AT_ONCE)]
        await eventually(lambda: len(stub.chats()) == MAX_AT_ONCE)
        assert await task(client, "title") == {"title": "My patient cannot fall asleep"}
        assert len(stub.chats()) == MAX_AT_ONCE
        stub.release()
        assert await asyncio.gather(*waiting) == [{"title": "Sleep"}] * MAX_AT_ONCE
        assert await task(client, "title") == {"title": "Sleep"}


async def test_a_disconnect_stops_the_model(served: ServeApp, with_model: Settings, stub: StubOpenAI) -> None:
    stub.add_faults(Fault(hang=True, path=CHAT))
    with served(with_model) as url:
        waiting = asyncio.create_task(complete(url))
        await eventually(lambda: len(stub.chats()) == 1)
        waiting.cancel()
        await asyncio.wait([waiting])
        await eventually(lambda: stub.abandoned == 1)


async def test_names_in_the_chat_are_replaced_and_restored(
    running: RunApp, with_remote_model: Settings, stub: StubOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    recognizer = StubRecognizer({"Okafor": IdentifierKind.PERSON})
    monkeypatch.setattr("rag_api.main.make_recognizer", lambda: recognizer)

    def reply(body: dict[str, Any]) -> str:
        name = re.search(r"\[PERSON_\d+\]", body["messages"][1]["content"])
        assert name is not None
        return json.dumps({"title": f"{name[0]} at night"})

    stub.reply = reply
    content = TITLE.replace("My patient", "Okafor")
    async with running(with_remote_model) as client:
        assert await task(client, "title", content) == {"title": "Okafor at night"}
        recognizer.broken = True
        assert await task(client, "title", content) == {"title": "Okafor cannot fall asleep"}
    (chat,) = stub.chats()
    assert "Okafor" not in json.dumps(chat)
