"""The text-embeddings-inference adapter against a real HTTP server that returns each response format."""

import base64
import json
import math
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from mh_common.embeddings.protocol import EmbedderError, VectorLengthError
from mh_common.embeddings.text_embeddings_inference import TextEmbeddingsInferenceEmbedder
from mh_common.retries import Backoff
from mh_devtools.stubs.server import serving
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

SECRET = "what the patient said"
Answer = tuple[int, dict[str, str], Any]


class StubServer:
    """Returns the next of `answers` (status, headers, content), or else [length of text, 1, 0] for each text."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.requests: list[dict[str, Any]] = []
        self.shape: Callable[[list[list[float]]], Any] = lambda vectors: vectors
        self.url = ""
        self.app = Starlette(routes=[Route("/tei/embed", self._embed, methods=["POST"])])

    async def _embed(self, request: Request) -> Response:
        body = json.loads(await request.body())
        self.requests.append({"authorization": request.headers.get("authorization"), **body})
        status, headers, content = self.answers.pop(0) if self.answers else (200, {}, None)
        if content is None:
            content = self.shape([[float(len(text)), 1.0, 0.0] for text in body["inputs"]])
        text = content if isinstance(content, bytes) else json.dumps(content).encode()
        return Response(text, status, headers, media_type="application/json")


@pytest.fixture
def stub() -> Iterator[StubServer]:
    stub = StubServer()
    with serving(stub.app) as url:
        stub.url = url
        yield stub


@pytest.fixture
async def make(stub: StubServer) -> AsyncIterator[Callable[..., TextEmbeddingsInferenceEmbedder]]:
    made: list[TextEmbeddingsInferenceEmbedder] = []
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    def make(**changes: Any) -> TextEmbeddingsInferenceEmbedder:
        values: dict[str, Any] = {
            "base_url": f"{stub.url}/tei/",
            "api_key": None,
            "model": "e5",
            "dimension": 3,
            "backoff": Backoff(jitter=lambda: 0.0),
            "sleep": sleep,
        }
        made.append(TextEmbeddingsInferenceEmbedder(**(values | changes)))
        return made[-1]

    yield make
    for embedder in made:
        await embedder.close()


Make = Callable[..., TextEmbeddingsInferenceEmbedder]


def expected(text: str) -> Any:
    norm = math.hypot(len(text), 1)
    return pytest.approx([len(text) / norm, 1 / norm, 0.0], rel=1e-6)


def in_base64(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


async def test_texts_go_in_batches_and_vectors_come_back_in_order(stub: StubServer, make: Make) -> None:
    texts = ["a", "bb", "ccc", "", "e" * 5]
    vectors = await make(api_key="key", batch_size=2, max_concurrency=1).embed(texts)
    assert vectors == [expected(text or " ") for text in texts]
    assert [request["inputs"] for request in stub.requests] == [["a", "bb"], ["ccc", " "], ["eeeee"]]
    assert {request["authorization"] for request in stub.requests} == {"Bearer key"}
    assert all(request["truncate"] for request in stub.requests)


@pytest.mark.parametrize(
    "shape",
    [
        lambda vectors: vectors,
        lambda vectors: [in_base64(vector) for vector in vectors],
        lambda vectors: vectors[0],
        lambda vectors: in_base64(vectors[0]),
    ],
    ids=["nested", "base64", "flat", "base64 alone"],
)
async def test_every_response_format_is_understood(
    stub: StubServer, make: Make, shape: Callable[[list[list[float]]], Any]
) -> None:
    stub.shape = shape
    assert await make(batch_size=1).embed(["a", "bb"]) == [expected("a"), expected("bb")]


async def test_a_busy_server_is_retried_after_the_requested_wait(stub: StubServer, make: Make) -> None:
    busy = {"error": "Model is overloaded", "error_type": "Overloaded"}
    stub.answers = [(429, {"Retry-After": "3"}, busy), (424, {}, busy), (503, {}, busy), (200, {}, b"<html>")]
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    assert await make(sleep=sleep).embed(["a"]) == [expected("a")]
    assert waits == [3.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("answer", "transient", "words"),
    [
        ((413, {}, {"error": SECRET}), False, "rejected the text (413)"),
        ((422, {}, {"error": SECRET}), False, "rejected the text (422)"),
        ((401, {}, {"error": SECRET}), True, "rejected the API key (401)"),
        ((404, {}, {"error": SECRET}), True, "returned 404"),
        ((429, {"Retry-After": "120"}, {}), True, "returned 429"),
        ((200, {}, [[1.0, 0.0, 0.0]] * 2), True, "one vector for each of 1 texts"),
        ((200, {}, {"embeddings": []}), True, "one vector for each of 1 texts"),
        ((200, {}, []), True, "one vector for each of 1 texts"),
        ((200, {}, [[0.0, 0.0, 0.0]]), False, "zero or non-finite vector"),
        ((200, {}, [[1.0, "x", 0.0]]), False, "zero or non-finite vector"),
        ((200, {}, [[1.0, 0.0]]), True, "length 2, expected 3"),
        ((200, {}, [[[1.0, 0.0, 0.0]]]), True, "length 1, expected 3"),
        ((200, {}, [["", 1]]), True, "length 2, expected 3"),
        ((200, {}, ["no base64!"]), True, "length str, expected 3"),
    ],
)
async def test_every_failure_is_one_error_without_any_text(
    stub: StubServer, make: Make, answer: Answer, transient: bool, words: str
) -> None:
    stub.answers = [answer]
    with pytest.raises(EmbedderError) as caught:
        await make().embed([SECRET])
    assert words in str(caught.value)
    assert caught.value.transient is transient
    assert SECRET not in str(caught.value)
    assert caught.value.retry_after == (120.0 if "429" in words else None)


async def test_an_unreachable_or_silent_server_is_reported(make: Make, stub: StubServer) -> None:
    with pytest.raises(EmbedderError, match="cannot be reached"):
        await make(base_url="http://127.0.0.1:9", max_attempts=2).embed(["a"])
    with pytest.raises(EmbedderError, match="did not answer in time"):
        await make(timeout=1e-9, max_attempts=1).embed(["a"])


async def test_shorter_vectors_are_padded_only_if_enabled(stub: StubServer, make: Make) -> None:
    with pytest.raises(VectorLengthError, match="length 3, expected 5"):
        await make(dimension=5).embed(["a"])
    [vector] = await make(dimension=5, pad=True).embed(["a"])
    assert vector[:3] == expected("a")
    assert vector[3:] == [0.0, 0.0]
    with pytest.raises(VectorLengthError, match="length 3, expected 2"):
        await make(dimension=2, pad=True).embed(["a"])
