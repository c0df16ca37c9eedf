import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator

import openai
import pytest
from mh_devtools import servers
from mh_devtools.stubs.openai_stub import MALFORMED, Fault, StubOpenAI, embedding
from mh_devtools.testing.waiting import wait_until


@pytest.fixture(scope="module")
def server() -> Iterator[StubOpenAI]:
    with StubOpenAI.running(dimension=16) as stub:
        yield stub


@pytest.fixture
def stub(server: StubOpenAI) -> StubOpenAI:
    server.reset()
    return server


@pytest.fixture
async def client(stub: StubOpenAI) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=stub.base_url, api_key=stub.api_key, max_retries=0, timeout=5) as client:
        yield client


async def test_vectors_are_the_same_as_floats_and_as_base64(client: openai.AsyncOpenAI) -> None:
    floats = await client.embeddings.create(input="a", model="m", encoding_format="float")
    packed = await client.embeddings.create(input=["a", "b"], model="m")
    assert floats.data[0].embedding == pytest.approx(embedding("a", 16, bag_of_words=False))
    assert packed.data[0].embedding == pytest.approx(floats.data[0].embedding, rel=1e-5)
    assert packed.data[1].embedding != packed.data[0].embedding


def test_texts_that_share_words_are_near_when_asked_for() -> None:
    sad, very_sad, invoice, marks = (
        embedding(text, 512, bag_of_words=True) for text in ("I feel sad", "I feel very sad", "pay the bill", "?!")
    )
    near = sum(a * b for a, b in zip(sad, very_sad, strict=True))
    far = sum(a * b for a, b in zip(sad, invoice, strict=True))
    assert near > 0.8
    assert abs(far) < 0.4
    assert sum(a * a for a in marks) == pytest.approx(1.0)


@pytest.mark.parametrize("wrong", ["", [], ["a", ""], ["a"] * 2049])
async def test_inputs_that_openai_refuses_are_refused(client: openai.AsyncOpenAI, wrong: str | list[str]) -> None:
    with pytest.raises(openai.BadRequestError, match="input"):
        await client.embeddings.create(input=wrong, model="m")


async def test_a_chat_is_answered(client: openai.AsyncOpenAI, stub: StubOpenAI) -> None:
    stub.reply = "Two words"
    answer = await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hello"}])
    assert answer.choices[0].message.content == "Two words"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 2
    assert stub.requests[0].path == "/v1/chat/completions"
    assert stub.requests[0].headers["authorization"] == "Bearer stub-key"


async def test_a_chat_is_streamed(client: openai.AsyncOpenAI, stub: StubOpenAI) -> None:
    stub.reply = lambda body: f" You said:\n\n{body['messages'][0]['content']} "
    stream = await client.chat.completions.create(
        model="m",
        messages=[{"role": "user", "content": "hello"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == " You said:\n\nhello "
    assert [chunk.choices[0].finish_reason for chunk in chunks[:-1]] == [*[None] * (len(chunks) - 2), "stop"]
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert len({chunk.id for chunk in chunks}) == 1


async def test_a_stream_can_break_off(client: openai.AsyncOpenAI, stub: StubOpenAI) -> None:
    stub.reply = "one two three four"
    stub.add_faults(Fault(drop=True))
    stream = await client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": "hello"}], stream=True
    )
    said = [(await anext(stream)).choices[0].delta.content for _ in range(4)]
    assert said == ["", "one", " two", " three"]
    with pytest.raises(openai.APIConnectionError):
        await anext(stream)


async def test_a_chat_needs_messages(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="messages"):
        await client.chat.completions.create(model="m", messages=[])


async def test_an_answer_can_fail_for_a_chat_alone(client: openai.AsyncOpenAI, stub: StubOpenAI) -> None:
    stub.add_faults(Fault(status=503, path="/v1/chat/completions"))
    await client.embeddings.create(input="a", model="m")
    with pytest.raises(openai.InternalServerError):
        await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hello"}])


async def test_models_are_listed(client: openai.AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == ["stub-model"]


async def test_a_wrong_key_is_refused_in_openais_form(client: openai.AsyncOpenAI, stub: StubOpenAI) -> None:
    with pytest.raises(openai.AuthenticationError) as caught:
        await client.with_options(api_key="wrong").models.list()
    assert caught.value.code == "invalid_api_key"
    assert len(stub.requests) == 1


async def test_faults_come_in_order_and_may_wait_for_a_path(client: openai.AsyncOpenAI, stub: StubOpenAI) -> None:
    stub.add_faults(Fault(status=500, path="/v1/embeddings"), Fault(status=429, headers={"Retry-After": "3"}))
    with pytest.raises(openai.RateLimitError) as caught:
        await client.models.list()
    assert caught.value.response.headers["retry-after"] == "3"
    with pytest.raises(openai.InternalServerError):
        await client.embeddings.create(input="a", model="m")
    await client.models.list()


@pytest.mark.parametrize("fault", [MALFORMED, Fault(drop=True)])
async def test_an_answer_can_be_broken(client: openai.AsyncOpenAI, stub: StubOpenAI, fault: Fault) -> None:
    stub.add_faults(fault)
    with pytest.raises((openai.APIConnectionError, ValueError)):
        await client.embeddings.create(input="a", model="m")


async def test_an_answer_can_be_late(client: openai.AsyncOpenAI, stub: StubOpenAI) -> None:
    stub.add_faults(Fault(delay=0.1))
    start = time.perf_counter()
    await client.models.list()
    assert time.perf_counter() - start > 0.1


def test_a_body_that_is_not_json_is_refused(stub: StubOpenAI) -> None:
    request = urllib.request.Request(  # noqa: S310 - the stub's own address
        f"{stub.base_url}/embeddings", data=b"{", headers={"Authorization": "Bearer stub-key"}
    )
    with pytest.raises(urllib.error.HTTPError, match="400") as refused:
        urllib.request.urlopen(request)  # noqa: S310
    refused.value.close()
    assert stub.requests[0].body is None


def test_leaving_the_block_ends_the_server() -> None:
    with StubOpenAI.running() as stub:
        port = int(stub.base_url.split(":")[2].split("/")[0])
        socket.create_connection(("127.0.0.1", port)).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_it_runs_as_a_process() -> None:
    port = servers.free_port()
    command = [sys.executable, "-m", "mh_devtools.stubs.openai_stub", "--port", str(port), "--dimension", "4"]
    with subprocess.Popen(command) as process:
        try:
            wait_until(lambda: servers.listens(port))
            with openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="stub-key", max_retries=0) as client:
                vector = client.embeddings.create(input="a", model="m").data[0].embedding
        finally:
            process.terminate()
    assert len(vector) == 4
