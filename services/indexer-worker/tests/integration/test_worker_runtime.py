"""The runtime: synchronous jobs on one event loop, with the real clients made from settings."""

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
from indexer_worker.errors import JobTimeoutError, VectorStoreError
from indexer_worker.maintenance.checkpoints import RunCheckpoint
from indexer_worker.runtime import Runtime
from indexer_worker.settings import Settings
from mh_common.models import IndexRunKind, IndexRunStatus
from mh_common.units import conversation_unit, conversation_units
from mh_devtools.stubs.index_stub import StubIndex
from mh_devtools.stubs.openai_stub import StubOpenAI


@pytest.fixture
def settings(empty_milvus_uri: str, conversations: StubIndex, stub_openai: StubOpenAI) -> Settings:
    return Settings.model_validate(
        {
            "milvus": {"uri": empty_milvus_uri},
            "conversations": {"url": conversations.base_url},
            "embedding": {"base_url": stub_openai.base_url, "api_key": stub_openai.api_key, "dimension": 1536},
        }
    )


@pytest.fixture
def runtime(settings: Settings) -> Iterator[Runtime]:
    with closing(Runtime(settings)) as runtime:
        yield runtime


def test_a_hanging_job_is_aborted_and_the_next_one_works(settings: Settings, conversations: StubIndex) -> None:
    conversations.put(1, "text")
    released = threading.Event()
    conversations.after_read = lambda ids: released.wait(30)
    impatient = settings.model_copy(update={"worker": settings.worker.model_copy(update={"job_timeout": 4.0})})

    with closing(Runtime(impatient)) as runtime:
        runtime.prepare()
        with pytest.raises(JobTimeoutError, match="longer than 4 s"):
            runtime.index(conversation_units([1]))
        released.set()
        runtime.index(conversation_units([1]))

    assert [outcome.version for outcome in conversations.outcomes] == [1]


def test_jobs_of_several_threads_run_one_after_the_other(runtime: Runtime, conversations: StubIndex) -> None:
    for key in range(1, 9):
        conversations.put(key, f"text {key}")

    threads = [threading.Thread(target=runtime.index, args=(conversation_units([key]),)) for key in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcome.source_id for outcome in conversations.outcomes) == list(range(1, 9))


def test_a_run_is_added_and_carried_out_and_a_row_given_up(runtime: Runtime, conversations: StubIndex) -> None:
    conversations.put(1, "text")
    runtime.give_up(conversation_unit(1), "the worker died")

    step = RunCheckpoint(run_id=runtime.add_run(IndexRunKind.RECONCILE), owner="me")

    assert runtime.run_step(step, attempts=0, crashes=0) is None
    assert conversations.runs[step.run_id].status is IndexRunStatus.DONE
    assert [outcome.reason for outcome in conversations.outcomes] == ["the worker died"]


def test_a_runtime_without_milvus_says_so_and_can_be_closed(settings: Settings) -> None:
    nowhere = settings.model_copy(update={"milvus": settings.milvus.model_copy(update={"uri": "http://127.0.0.1:1"})})

    with closing(Runtime(nowhere)) as runtime, pytest.raises(VectorStoreError, match="Milvus"):
        runtime.prepare()


def test_a_runtime_that_was_never_used_closes_at_once(settings: Settings) -> None:
    Runtime(settings).close()
