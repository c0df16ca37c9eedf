import asyncio
import json
import math
import traceback
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from mh_common.embeddings.openai_compatible import OpenAICompatibleEmbedder
from mh_common.embeddings.protocol import Embedder, EmbedderError
from mh_common.retries import Backoff
from mh_devtools.stubs import openai_stub
from mh_devtools.stubs.openai_stub import MALFORMED, Fault, StubOpenAI
from mh_devtools.testing.waiting import eventually

DIMENSION = 8
SECRET = "what the patient said"


@pytest.fixture(scope="module")
def server() -> Iterator[StubOpenAI]:
    with StubOpenAI.running(dimension=DIMENSION) as stub:
        yield stub


@pytest.fixture
def stub(server: StubOpenAI) -> Iterator[StubOpenAI]:
    server.reset()
    yield server
    server.reverse = False
    server.release()


class Clock:
    """Replaces sleeping: records the waits and returns at once."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Make:
    """Creates embedders that use the stub, and closes them after the test."""

    def __init__(self, stub: StubOpenAI, clock: Clock) -> None:
        self.made: list[OpenAICompatibleEmbedder] = []
        self.defaults: dict[str, Any] = {
            "api_key": stub.api_key,
            "base_url": stub.base_url,
            "model": "some-model",
            "dimension": DIMENSION,
            "backoff": Backoff(base_s=1.0, ceiling_s=4.0, jitter=lambda: 1.0),
            "sleep": clock.sleep,
        }

    def __call__(self, **changes: Any) -> OpenAICompatibleEmbedder:
        self.made.append(OpenAICompatibleEmbedder(**(self.defaults | changes)))
        return self.made[-1]


@pytest.fixture
async def make(stub: StubOpenAI, clock: Clock) -> AsyncIterator[Make]:
    make = Make(stub, clock)
    yield make
    for embedder in make.made:
        await embedder.close()


def expected(text: str, dimension: int = DIMENSION) -> Any:
    return pytest.approx(openai_stub.embedding(text, dimension, bag_of_words=False))


async def failure(embedder: Embedder, texts: list[str] | None = None) -> EmbedderError:
    with pytest.raises(EmbedderError) as caught:
        await embedder.embed(texts or [SECRET])
    printed = "".join(traceback.format_exception(caught.value))
    assert SECRET not in printed
    return caught.value


async def test_many_batches_keep_the_order(make: Make, stub: StubOpenAI) -> None:
    stub.reverse = True
    texts = [f"text {number}" for number in range(101)]
    embedder: Embedder = make(batch_size=7, max_concurrency=3)
    vectors = await embedder.embed(texts)
    assert vectors == [expected(text) for text in texts]
    assert sorted(len(request.body["input"]) for request in stub.requests if request.body) == [3, *[7] * 14]
    assert (embedder.model, embedder.dimension) == ("some-model", DIMENSION)


async def test_no_texts_need_no_request(make: Make, stub: StubOpenAI) -> None:
    assert await make().embed([]) == []
    assert stub.requests == []


async def test_concurrent_requests_are_limited(make: Make, stub: StubOpenAI) -> None:
    stub.add_faults(*[Fault(hang=True)] * 5)
    call = asyncio.create_task(make(batch_size=1, max_concurrency=2).embed(list("abcde")))
    while len(stub.requests) < 2:  # noqa: ASYNC110 - the stub counts in another thread
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    assert len(stub.requests) == 2
    stub.release()
    assert await call == [expected(text) for text in "abcde"]


async def test_the_request_is_understood_by_any_server(make: Make, stub: StubOpenAI) -> None:
    await make().embed(["a"])
    assert stub.requests[0].body == {"input": ["a"], "model": "some-model", "encoding_format": "float"}


async def test_a_shortened_dimension_is_requested(make: Make, stub: StubOpenAI) -> None:
    assert await make(model="text-embedding-3-large", dimension=4).embed(["a"]) == [expected("a", 4)]
    assert stub.requests[0].body is not None
    assert stub.requests[0].body["dimensions"] == 4


async def test_long_empty_and_unencodable_texts_are_sent_in_a_form_the_server_takes(
    make: Make, stub: StubOpenAI
) -> None:
    vectors = await make(max_text_bytes=10).embed(["", "x" * 1_000_000, "😀" * 1_000_000, "a\ud800b"])
    assert len(vectors) == 4
    assert stub.requests[0].body is not None
    assert stub.requests[0].body["input"] == [" ", "x" * 10, "😀😀", "a?b"]


async def test_a_request_stays_below_the_servers_token_limit(make: Make, stub: StubOpenAI) -> None:
    await make(max_concurrency=1).embed(["x" * 1_000_000] * 30)
    assert [len(request.body["input"]) for request in stub.requests if request.body] == [25, 5]


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529])
async def test_a_busy_server_is_retried(make: Make, stub: StubOpenAI, clock: Clock, status: int) -> None:
    stub.add_faults(Fault(status=status), Fault(status=status))
    assert await make().embed(["a"]) == [expected("a")]
    assert len(stub.requests) == 3
    assert clock.waits == [1.0, 2.0]


async def test_attempts_are_limited(make: Make, stub: StubOpenAI, clock: Clock) -> None:
    stub.add_faults(*[Fault(status=503)] * 5)
    error = await failure(make(max_attempts=5))
    assert error.transient
    assert error.retry_after is None
    assert "503" in str(error)
    assert len(stub.requests) == 5
    assert clock.waits == [1.0, 2.0, 4.0, 4.0]


async def test_the_total_wait_is_limited(make: Make, stub: StubOpenAI, clock: Clock) -> None:
    stub.add_faults(*[Fault(status=503)] * 5)
    await failure(make(max_wait=3.5))
    assert clock.waits == [1.0, 2.0]


async def test_retry_after_is_honoured(make: Make, stub: StubOpenAI, clock: Clock) -> None:
    stub.add_faults(Fault(status=429, headers={"Retry-After": "11"}))
    stub.add_faults(Fault(status=503, headers={"retry-after-ms": "7500"}))
    await make().embed(["a"])
    assert clock.waits == [11.0, 7.5]


async def test_a_too_long_retry_after_is_passed_to_the_caller(make: Make, stub: StubOpenAI, clock: Clock) -> None:
    stub.add_faults(Fault(status=429, headers={"Retry-After": "600"}))
    error = await failure(make())
    assert (error.transient, error.retry_after) == (True, 600.0)
    assert clock.waits == []


async def test_a_hanging_server_is_a_timeout(make: Make, stub: StubOpenAI) -> None:
    stub.add_faults(Fault(hang=True), Fault(hang=True))
    error = await failure(make(timeout=0.5, max_attempts=2))
    assert error.transient
    assert "in time" in str(error)
    await eventually(lambda: len(stub.requests) == 2)


@pytest.mark.parametrize("fault", [Fault(drop=True), MALFORMED, Fault(body='{"data": null}')])
async def test_a_broken_response_is_retried(make: Make, stub: StubOpenAI, fault: Fault) -> None:
    stub.add_faults(fault)
    if fault.body and "null" in fault.body:
        assert "one vector for each of 1" in str(await failure(make()))
    else:
        assert await make().embed(["a"]) == [expected("a")]


async def test_an_html_page_instead_of_json_is_an_error(make: Make, stub: StubOpenAI) -> None:
    page = Fault(body="<html>Please log in</html>", headers={"content-type": "text/html"})
    stub.add_faults(page, page)
    error = await failure(make(max_attempts=2))
    assert error.transient
    assert "not JSON" in str(error)


async def test_no_server_is_transient(make: Make) -> None:
    error = await failure(make(base_url="http://127.0.0.1:9/v1", max_attempts=2))
    assert error.transient
    assert "cannot be reached" in str(error)


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_rejected_text_is_permanent_and_not_retried(make: Make, stub: StubOpenAI, status: int) -> None:
    quoting = json.dumps({"error": {"message": f"Cannot embed: {SECRET}", "type": "x", "param": None, "code": None}})
    stub.add_faults(Fault(status=status, body=quoting))
    error = await failure(make())
    assert not error.transient
    assert error.__cause__ is None
    assert error.__context__ is None
    assert len(stub.requests) == 1


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(status=401), "rejected the API key (401)"),
        (Fault(status=403), "rejected the API key (403)"),
        (Fault(status=404), "returned 404"),
        (Fault(wrong_dimension=True), "length 9, expected 8"),
        (Fault(body='{"data": [{"index": 0, "embedding": "AACAPw=="}]}'), "length 1, expected 8"),
        (Fault(body='{"data": [{"index": 0, "embedding": "no base64!"}]}'), "length str, expected 8"),
        (Fault(status=429, body='{"error": {"code": "insufficient_quota"}}'), "no quota"),
    ],
)
async def test_what_an_operator_must_fix_is_transient_but_not_retried(
    make: Make, stub: StubOpenAI, fault: Fault, words: str
) -> None:
    stub.add_faults(fault)
    error = await failure(make())
    assert error.transient
    assert words in str(error)
    assert len(stub.requests) == 1


@pytest.mark.parametrize("vector", ["0, 0", "NaN, 1", "1, Infinity", "1.7e308, 1.7e308", '"a", 1'])
async def test_a_zero_or_non_finite_vector_is_permanent(make: Make, stub: StubOpenAI, vector: str) -> None:
    stub.add_faults(Fault(body=f'{{"data": [{{"index": 0, "embedding": [{vector}]}}]}}'))
    error = await failure(make(dimension=2))
    assert not error.transient


async def test_vectors_have_unit_length(make: Make, stub: StubOpenAI) -> None:
    stub.add_faults(Fault(body='{"data": [{"index": 0, "embedding": [3, 4]}]}'))
    assert await make(dimension=2).embed(["a"]) == [pytest.approx([0.6, 0.8])]


@pytest.mark.parametrize("indexes", [[], [0], [0, 0], [1, 2], [0, 1, 2], [None, 0], ["0", 1]])
async def test_one_vector_for_each_text_is_required(make: Make, stub: StubOpenAI, indexes: list[Any]) -> None:
    data = [{"index": index, "embedding": [1.0] * DIMENSION} for index in indexes]
    stub.add_faults(Fault(body=json.dumps({"data": data})))
    error = await failure(make(), ["a", "b"])
    assert error.transient
    assert "each of 2 texts" in str(error)


async def test_one_failed_batch_cancels_the_others(make: Make, stub: StubOpenAI) -> None:
    stub.add_faults(Fault(status=400), *[Fault(hang=True)] * 9)
    async with asyncio.timeout(5):
        error = await failure(make(batch_size=1, max_concurrency=3), [SECRET] * 9)
    assert not error.transient


async def test_the_default_waits_are_real_and_bounded(make: Make, stub: StubOpenAI) -> None:
    stub.add_faults(Fault(status=503))
    embedder = make(backoff=None, sleep=asyncio.sleep)
    async with asyncio.timeout(5):
        (vector,) = await embedder.embed(["a"])
    assert math.hypot(*vector) == pytest.approx(1.0)
