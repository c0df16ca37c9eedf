"""Observability: one trace across the services, ids on log lines, and no text of users anywhere."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from mh_devtools import servers
from mh_devtools.stack.server_stack import ServerStack
from mh_devtools.stubs.openai_stub import Fault, StubOpenAI
from mh_devtools.stubs.otlp_stub import ReceivedSpan, StubCollector
from mh_devtools.testing.exposition import metric_value
from mh_devtools.testing.logs import json_lines
from mh_devtools.testing.waiting import wait_until

pytestmark = pytest.mark.slow

SENTINEL = "xylophonist"
"""Represents text written by a patient, a counselor or a user."""
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
CONVERSATIONS = "/api/v1/conversations"


@dataclass
class Observed:
    """The platform with its logs, metrics and traces."""

    stack: ServerStack
    collector: StubCollector
    openai: StubOpenAI
    folder: Path
    metrics_url: str

    def logged(self) -> str:
        return "\n".join(file.read_text() for file in self.folder.glob("*.log"))

    def lines(self, service: str) -> list[dict[str, Any]]:
        return [line for line in json_lines(self.logged()) if line["service"] == service]

    def scraped(self) -> str:
        addresses = (f"{self.stack.api_url}/metrics", f"{self.stack.rag_url}/metrics", self.metrics_url)
        return "".join(httpx.get(address, timeout=60).raise_for_status().text for address in addresses)

    def spans(self, name: str, trace: str) -> list[ReceivedSpan]:
        return [span for span in self.collector.named(name) if span.trace_id == trace]

    def until_traced(self, trace: str, *names: str) -> None:
        """Wait until spans of these names are there: each process sends its own when it likes."""
        wait_until(lambda: all(self.spans(name, trace) for name in names), what=f"spans {names}")

    def write(self, question: str, traceparent: str = TRACEPARENT) -> None:
        """Add a conversation and wait until search finds it."""
        sentiments = {"question_sentiment": "negative", "answer_sentiment": "neutral"}
        answer = httpx.post(
            f"{self.stack.api_url}{CONVERSATIONS}",
            json={"question": question, "answer": f"An answer: {question}", **sentiments},
            headers={"traceparent": traceparent},
        ).raise_for_status()
        state = f"{self.stack.api_url}{CONVERSATIONS}/{answer.json()['id']}/index-state"
        wait_until(lambda: httpx.get(state, timeout=60).raise_for_status().json()["status"] == "indexed")


@pytest.fixture(scope="module")
def observed(
    request: pytest.FixtureRequest, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Observed]:
    folder = tmp_path_factory.mktemp("observed")
    port = servers.free_port()
    with ExitStack() as stack:
        collector = stack.enter_context(StubCollector.running())
        openai = stack.enter_context(StubOpenAI.running())
        openai.bag_of_words = True
        platform = ServerStack(
            folder,
            mysql_port=request.getfixturevalue("mariadb").port,
            database="observed",
            redis_url=redis_url.removesuffix("/0") + "/12",
            LOG_LEVEL="DEBUG",
            OPENAI_API_KEY=openai.api_key,
            OPENAI_BASE_URL=openai.base_url,
            EMBEDDING_PROVIDER="openai",
            EMBEDDING_TOKEN_PRICE="0.02",
            OPENAI_PROMPT_PRICE="0.15",
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.base_url,
            OTEL_BSP_SCHEDULE_DELAY="100",
        )
        stack.enter_context(platform)
        numbers = str(folder / "numbers")
        stack.enter_context(platform.worker(METRICS_PORT=str(port), PROMETHEUS_MULTIPROC_DIR=numbers))
        yield Observed(platform, collector, openai, folder, f"http://127.0.0.1:{port}/metrics")


def test_one_trace_leads_from_the_request_to_the_row_in_the_index(observed: Observed) -> None:
    observed.write("How do I fall asleep before an exam?")
    job_names = ("job CreatedMentalHealthConversationJob", "embed", "milvus upsert")
    observed.until_traced(TRACE, f"POST {CONVERSATIONS}", "publish", f"GET {CONVERSATIONS}", *job_names)

    def only(name: str) -> ReceivedSpan:
        (span,) = observed.spans(name, TRACE)
        return span

    request, publish = only(f"POST {CONVERSATIONS}"), only("publish")
    job, embed, upsert = only("job CreatedMentalHealthConversationJob"), only("embed"), only("milvus upsert")
    assert (request.service, request.parent_id, request.kind) == ("conversations-api", TRACEPARENT[36:52], "server")
    assert (publish.service, publish.parent_id, publish.kind) == ("conversations-api", request.span_id, "producer")
    assert (job.service, job.parent_id, job.kind) == ("indexer-worker", publish.span_id, "consumer")
    assert {embed.parent_id, upsert.parent_id} == {job.span_id}
    # The worker's own requests to the API are part of it too.
    assert {span.parent_id for span in observed.spans(f"GET {CONVERSATIONS}", TRACE)} == {job.span_id}
    assert request.attributes["http.response.status_code"] == 201


def test_one_trace_leads_through_a_search_and_its_answer(observed: Observed) -> None:
    observed.write("What helps against panic on a bus?", "")
    trace = "5bf92f3577b34da6a3ce929d0e0e4737"
    httpx.post(
        f"{observed.stack.rag_url}/api/v1/answers",
        json={"question": "Panic on a bus, what helps?"},
        headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"},
        timeout=30,
    ).raise_for_status()
    steps = ("search embed", "search search", "search fetch", "llm")
    observed.until_traced(trace, "POST /api/v1/answers", f"GET {CONVERSATIONS}", *steps)

    names = {span.name: span for span in observed.collector.spans if span.trace_id == trace}
    request = names["POST /api/v1/answers"]
    for name in steps:
        assert names[name].parent_id == request.span_id
    fetched = names[f"GET {CONVERSATIONS}"]
    assert (fetched.service, fetched.parent_id) == ("conversations-api", names["search fetch"].span_id)


def test_lines_carry_what_they_belong_to(observed: Observed) -> None:
    observed.write("Why am I always tired?", "00-6bf92f3577b34da6a3ce929d0e0e4738-00f067aa0ba902b7-01")
    for service in ("conversations-api", "rag-api"):
        completed = [line for line in observed.lines(service) if line["event"] == "request_completed"]
        assert completed
        assert all(line["request_id"] for line in completed)
    wait_until(lambda: [line for line in observed.lines("indexer-worker") if line["event"] == "index_job_done"])
    done = [line for line in observed.lines("indexer-worker") if line["event"] == "index_job_done"]
    assert all(line["job_id"] and line["trace_id"] and line["span_id"] for line in done)
    # The API logs the worker's requests for a job with the job's id.
    served = {line.get("request_id") for line in observed.lines("conversations-api")}
    assert {line["job_id"] for line in done} <= served


def test_the_worker_shows_what_all_of_its_processes_did(observed: Observed) -> None:
    observed.write("How do I say no?")
    task = {"task": "CreatedMentalHealthConversationJob"}
    wait_until(lambda: metric_value(httpx.get(observed.metrics_url, timeout=60).text, "mh_queue_taken") == 0)
    text = httpx.get(observed.metrics_url, timeout=60).raise_for_status().text
    assert metric_value(text, "mh_jobs_total", outcome="done", **task) >= 1
    assert metric_value(text, "mh_job_duration_seconds_count", **task) >= 1
    assert metric_value(text, "mh_index_rows_total", outcome="indexed") >= 1
    assert metric_value(text, "mh_milvus_write_duration_seconds_count", operation="upsert") >= 1
    assert metric_value(text, "mh_embedding_calls_total", outcome="ok") >= 1
    assert metric_value(text, "mh_embedding_attempts_total", status="200") >= 1
    tokens = metric_value(text, "mh_embedding_tokens_total")
    assert tokens > 0
    assert metric_value(text, "mh_embedding_cost_total") == pytest.approx(tokens * 0.02 / 1_000_000)
    assert metric_value(text, "mh_redis_up") == 1
    assert metric_value(text, "mh_queue_waiting") == 0


def test_nobodys_words_are_in_logs_metrics_or_traces(observed: Observed) -> None:
    """Call every route that accepts text, and let every dependency that could quote it fail once."""
    api, rag = observed.stack.api_url, observed.stack.rag_url
    observed.write(f"My {SENTINEL} question?")
    quoting = Fault(status=400, body=json.dumps({"error": {"message": f"refused: {SENTINEL}", "code": SENTINEL}}))
    with httpx.Client(timeout=30) as http:
        for address, body in (
            (f"{rag}/api/v1/search", {"query": f"{SENTINEL} one"}),
            (f"{rag}/api/v1/answers", {"question": f"{SENTINEL} two"}),
            (f"{rag}/api/v1/answers", {"question": f"{SENTINEL} three", SENTINEL: SENTINEL}),
            (f"{api}{CONVERSATIONS}", {"question": SENTINEL, "answer": 3}),
            (f"{api}{CONVERSATIONS}/bulk", {"items": [{"question": SENTINEL}]}),
        ):
            http.post(address, json=body)
        http.get(f"{api}{CONVERSATIONS}", params={"q": SENTINEL, "search": SENTINEL})
        http.get(f"{api}{CONVERSATIONS}/{SENTINEL}")
        http.request(SENTINEL.upper(), f"{api}/{SENTINEL}")
        http.post(f"{api}{CONVERSATIONS}", content=f'{{"question": "{SENTINEL}')
        observed.openai.add_faults(quoting)
        assert http.post(f"{rag}/api/v1/search", json={"query": f"{SENTINEL} refused"}).status_code == 422
        observed.openai.add_faults(*[Fault(status=500, body=quoting.body, path="/v1/chat/completions")] * 2)
        assert http.post(f"{rag}/api/v1/answers", json={"question": f"{SENTINEL} two"}).status_code == 502
        # The vectors of both texts of a conversation together, then of the first one alone.
        observed.openai.add_faults(*[Fault(status=400, body=quoting.body, path="/v1/embeddings")] * 2)
        sentiments = {"question_sentiment": "negative", "answer_sentiment": "neutral"}
        http.post(f"{api}{CONVERSATIONS}", json={"question": f"Bad {SENTINEL}", "answer": "a", **sentiments})
    wait_until(lambda: metric_value(observed.scraped(), "mh_index_rows_total", outcome="failed") >= 1)
    wait_until(lambda: [span for span in observed.collector.spans if span.name == "llm" and span.failed])

    wait_until(lambda: [line for line in observed.lines("indexer-worker") if line["event"] == "index_row_refused"])
    (refused,) = [line for line in observed.lines("indexer-worker") if line["event"] == "index_row_refused"]
    assert refused["job_id"]
    assert refused["trace_id"]
    assert SENTINEL not in observed.logged().lower()
    assert SENTINEL not in observed.scraped().lower()
    assert SENTINEL.encode() not in b"".join(observed.collector.received).lower()
