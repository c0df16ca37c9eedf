"""Reconciliation against Milvus Lite, a Milvus server and a stub of the API: what it finds, leaves alone, and costs."""

import threading
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from indexer_worker.api_calls import ConversationsAPI
from indexer_worker.errors import IndexingError
from indexer_worker.indexing.screening import make_screening, rules_name
from indexer_worker.indexing.service import IndexService
from indexer_worker.indexing.sources.conversations import ConversationSource
from indexer_worker.liveness.queue_depth import JobQueue
from indexer_worker.maintenance import reconcile, runs
from indexer_worker.maintenance.checkpoints import RunCheckpoint
from indexer_worker.maintenance.kinds import KindServices
from indexer_worker.maintenance.rebuild import Rebuilder
from indexer_worker.maintenance.reconcile import Reconciler, differences
from indexer_worker.maintenance.runs import RunService
from indexer_worker.settings import ReconcileSettings
from indexer_worker.vector_store.collection import CONVERSATIONS
from indexer_worker.vector_store.inventory import InventoryPage, MilvusInventory
from indexer_worker.vector_store.replacement import CollectionReplacement
from indexer_worker.vector_store.repository import MilvusRepository
from mh_client import AsyncClient
from mh_common import vector_index as fields
from mh_common.batches import batched
from mh_common.embeddings import TextUse
from mh_common.metrics import exposition
from mh_common.models import CurrentVersion, IndexOutcome, IndexRun, IndexRunStatus, IndexStatus, RunCounts
from mh_common.settings import RedisSettings, SafetySettings
from mh_common.units import CONVERSATION, conversation_unit, conversation_units
from mh_devtools.stubs.index_stub import StubIndex
from mh_devtools.testing.exposition import metric_value
from mh_devtools.testing.fixtures import EACH_MILVUS
from pymilvus import AsyncMilvusClient
from redis import Redis

pytestmark = pytest.mark.redis

LONG_AGO = timedelta(hours=2)


@pytest.fixture(params=EACH_MILVUS)
def milvus_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class ConstantEmbedder:
    """Returns the same vector for every text."""

    model = "fake"
    dimension = 2

    async def embed(self, texts: Iterable[str], use: TextUse = TextUse.PASSAGE) -> list[list[float]]:
        return [[0.6, 0.8] for _ in texts]

    async def close(self) -> None:
        raise AssertionError("the service does not own its embedder")


class Setting:
    """What a run needs, on one Milvus and one API."""

    def __init__(self, api: StubIndex, client: AsyncClient, milvus: AsyncMilvusClient, redis_url: str) -> None:
        self.api = api
        self.milvus = milvus
        self.repository = MilvusRepository(milvus, CONVERSATIONS, model="fake", dimension=2, timeout=10)
        conversations = ConversationsAPI(client)
        self.index = IndexService(
            conversations,
            ConversationSource(conversations),
            ConstantEmbedder(),
            make_screening(SafetySettings()),
            self.repository,
        )
        inventory = MilvusInventory(milvus, CONVERSATIONS, timeout=10, max_rows=50)
        reconciler = Reconciler(conversations, inventory, CONVERSATION, page=20, screened_by=rules_name())
        rebuilder = Rebuilder(
            conversations,
            CollectionReplacement(milvus, CONVERSATIONS, model="fake", dimension=2, timeout=10),
            reconciler,
            lambda name: (inventory, self.index),
            CONVERSATIONS,
        )
        settings = ReconcileSettings(grace=60, busy_grace=3600)
        queue = JobQueue(RedisSettings(url=redis_url))
        kinds = {CONVERSATION: KindServices(self.index, self.repository, reconciler, rebuilder)}
        self.runs = RunService(conversations, kinds, queue.is_idle, settings)

    async def index_all(self) -> None:
        for keys in batched(sorted(self.api.rows), 64):
            await self.index.index(conversation_units(keys))

    async def run(self, **values: Any) -> IndexRun:
        """Execute a run to its end and return its final state in the API."""
        run = self.api.add_run(**values)
        step: RunCheckpoint | None = RunCheckpoint(run_id=run.id, owner="me")
        while step is not None:
            step = await self.runs.run_step(step, attempts=0, crashes=0)
        return self.api.runs[run.id]

    @property
    def queued(self) -> list[int]:
        return sorted(key for ids in self.api.queued for key in ids)


@pytest.fixture
async def setting(
    conversations: StubIndex, milvus: AsyncMilvusClient, redis: Redis, redis_url: str
) -> AsyncIterator[Setting]:
    async with AsyncClient(conversations.base_url, timeout=5, max_retries=0) as client:
        yield Setting(conversations, client, milvus, redis_url)


def counts(run: IndexRun) -> tuple[int, int, int, int, int]:
    return run.checked, run.missing, run.stale, run.orphaned, run.repaired


async def test_a_matching_index_costs_one_comparison_and_queues_nothing(setting: Setting) -> None:
    for key in range(1, 101):
        setting.api.put(key, "text")
    await setting.index_all()

    run = await setting.run()

    assert (run.status, counts(run)) == (IndexRunStatus.DONE, (100, 0, 0, 0, 0))
    assert setting.api.pages == [0, 20, 40, 60, 80]


async def test_missing_stale_doubled_and_orphaned_rows_are_found_and_only_they_are_queued(setting: Setting) -> None:
    for key in range(1, 101):
        setting.api.put(key, "text")
    await setting.index_all()
    await setting.milvus.delete(fields.COLLECTION, ids=[5, 100])
    (row,) = await setting.milvus.query(fields.COLLECTION, filter="id == 30", output_fields=["*"])
    await setting.milvus.insert(fields.COLLECTION, [{name: row[name] for name in row if name != fields.SPARSE}])
    behind = setting.api.put(40, "a text whose change the index missed")
    setting.api.outcomes.append(
        IndexOutcome(**conversation_unit(40)._asdict(), version=behind.version, status=IndexStatus.INDEXED)
    )
    for key in (50, 99):
        setting.api.remove(key)

    before = exposition().decode()
    run = await setting.run()

    assert (run.status, counts(run)) == (IndexRunStatus.DONE, (98, 2, 2, 2, 6))
    after = exposition().decode()
    for name, labels, number in (
        ("mh_index_runs_total", {"outcome": "done"}, 1),
        *(("mh_index_run_rows_total", {"finding": kind}, 2) for kind in ("missing", "stale", "orphaned")),
        ("mh_index_run_rows_total", {"finding": "checked"}, 98),
        ("mh_index_run_rows_total", {"finding": "repaired"}, 6),
    ):
        labels = {"kind": "reconcile", **labels}
        assert metric_value(after, name, **labels) - metric_value(before, name, **labels) == number
    assert setting.queued == [5, 30, 40, 50, 99, 100]


async def test_many_orphans_beside_no_conversation_are_found_in_constant_memory(setting: Setting) -> None:
    for key in range(1, 301):
        setting.api.put(key, "text")
    await setting.index_all()
    setting.api.rows.clear()

    run = await setting.run()

    assert counts(run) == (0, 0, 0, 300, 300)
    assert setting.queued == list(range(1, 301))
    assert max(len(ids) for ids in setting.api.queued) <= 50


async def test_pending_rows_are_left_alone_until_they_must_be_lost(
    setting: Setting, conversations: StubIndex, redis: Redis
) -> None:
    for key in (1, 2, 3):
        conversations.put(key, "text")
    await setting.index.index(conversation_units([3]))
    conversations.outcomes.clear()  # the row is in the index, and the report of that was lost
    conversations.set_pending_for(2, timedelta(minutes=2))
    conversations.set_pending_for(3, timedelta(minutes=2))

    redis.rpush("index", "another job")
    busy = await setting.run()
    redis.delete("index")
    idle = await setting.run()

    assert counts(busy) == (3, 0, 0, 0, 0)
    assert counts(idle) == (3, 1, 1, 0, 2)
    assert setting.queued == [2, 3]


async def test_a_row_that_waits_for_very_long_is_queued_even_while_others_wait(
    setting: Setting, conversations: StubIndex, redis: Redis
) -> None:
    conversations.put(1, "text")
    conversations.set_pending_for(1, LONG_AGO)
    redis.rpush("index", "another job")

    await setting.run()

    assert setting.queued == [1]


async def test_failed_rows_are_no_difference_unless_the_index_holds_them(
    setting: Setting, conversations: StubIndex
) -> None:
    for key in (1, 2):
        conversations.put(key, "text")
    await setting.index.index(conversation_units([1]))
    for key in (1, 2):
        failed = IndexOutcome(
            **conversation_unit(key)._asdict(), version=1, status=IndexStatus.FAILED, reason="refused"
        )
        conversations.outcomes.append(failed)

    await setting.run()

    assert setting.queued == [1]


async def test_rows_that_change_between_the_two_reads_are_no_difference(
    setting: Setting, conversations: StubIndex
) -> None:
    for key in range(1, 31):
        conversations.put(key, "text")
    await setting.index_all()

    def move() -> None:
        # The page was taken with this row, which the index does not hold any more.
        conversations.rows.pop(4, None)

    conversations.after_versions = move
    await setting.milvus.delete(fields.COLLECTION, ids=[4])

    run = await setting.run()

    assert run.repaired == 0
    assert setting.queued == []


async def test_since_looks_only_at_what_changed_and_force_queues_all_of_it(
    setting: Setting, conversations: StubIndex
) -> None:
    recent = datetime(2026, 9, 1, tzinfo=UTC)
    for key in range(1, 61):
        conversations.put(key, "text", **({"updated_at": recent} if key in (7, 55) else {}))
    await setting.index_all()
    await setting.milvus.delete(fields.COLLECTION, ids=[7, 8])
    conversations.remove(20)

    since = await setting.run(since=recent)
    assert counts(since) == (2, 1, 0, 0, 1)
    assert setting.queued == [7]

    conversations.queued.clear()
    force = await setting.run(force=True)
    assert counts(force) == (59, 2, 0, 1, 60)
    assert setting.queued == list(range(1, 61))


async def test_a_collection_of_another_model_ends_the_run_with_that_reason(
    setting: Setting, milvus: AsyncMilvusClient
) -> None:
    await MilvusRepository(milvus, CONVERSATIONS, model="former", dimension=2, timeout=10).prepare()

    run = await setting.run()

    assert run.status is IndexRunStatus.FAILED
    assert "'embedding=former;dimension=2;" in (run.reason or "")


async def test_one_run_at_a_time_and_a_dead_holder_is_followed(setting: Setting, conversations: StubIndex) -> None:
    conversations.put(1, "text")
    first, second = conversations.add_run(), conversations.add_run()
    conversations.owners[first.id] = ("somebody", float("inf"))

    assert await setting.runs.run_step(RunCheckpoint(run_id=first.id, owner="me"), 0, 0) is None
    assert await setting.runs.run_step(RunCheckpoint(run_id=second.id, owner="me"), 0, 0) is None
    assert await setting.runs.run_step(RunCheckpoint(run_id=999, owner="me"), 0, 0) is None
    assert conversations.pages == []

    conversations.owners[first.id] = ("somebody", 0.0)
    assert await setting.runs.run_step(RunCheckpoint(run_id=first.id, owner="me"), 0, 0) is None
    assert conversations.runs[first.id].status is IndexRunStatus.DONE


async def test_a_long_run_is_many_steps_whose_counts_add_up(
    setting: Setting, conversations: StubIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "STEP_S", -1.0)
    for key in range(1, 61):
        conversations.put(key, "text")
        conversations.set_pending_for(key, LONG_AGO)
    run = conversations.add_run()
    step = RunCheckpoint(run_id=run.id, owner="me")

    # Each step does something, however short the time.
    for after in (20, 40):
        following = await setting.runs.run_step(step, 0, 0)
        assert following is not None
        assert following.after == after
        assert conversations.runs[run.id].checked == after
        # The same message may come twice.
        assert await setting.runs.run_step(step, 0, 0) == following
        step = following
    assert await setting.runs.run_step(step, 0, 0) is None
    assert counts(conversations.runs[run.id]) == (60, 60, 0, 0, 60)


async def test_a_step_that_cannot_reach_the_index_is_tried_again_and_then_given_up(
    setting: Setting, conversations: StubIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = conversations.add_run()
    step = RunCheckpoint(run_id=run.id, owner="me", counts=RunCounts(checked=3))
    monkeypatch.setattr(setting.milvus, "has_collection", _nothing_answers)

    with pytest.raises(IndexingError, match="Milvus"):
        await setting.runs.run_step(step, 0, 0)
    assert await setting.runs.run_step(step, runs.MAX_ATTEMPTS - 1, 0) is None

    failed = conversations.runs[run.id]
    assert (failed.status, failed.checked) == (IndexRunStatus.FAILED, 3)
    assert "Milvus" in (failed.reason or "")


async def _nothing_answers(*_: object, **__: object) -> None:
    raise TimeoutError


async def test_an_api_that_fails_midway_means_a_retry(setting: Setting, conversations: StubIndex) -> None:
    run = conversations.add_run()
    conversations.statuses = [503]

    with pytest.raises(IndexingError, match="503"):
        await setting.runs.run_step(RunCheckpoint(run_id=run.id, owner="me"), 0, 0)
    assert await setting.runs.run_step(RunCheckpoint(run_id=run.id, owner="me"), 1, 0) is None
    assert conversations.runs[run.id].status is IndexRunStatus.DONE


async def test_a_step_that_takes_long_keeps_its_lease(
    setting: Setting, conversations: StubIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setting.runs, "_heartbeat", 0.01)
    claimed_again = threading.Event()
    conversations.on_claim = lambda: claimed_again.set() if len(conversations.claims) == 4 else None
    conversations.after_versions = lambda: claimed_again.wait(30)
    run = conversations.add_run()

    assert await setting.runs.run_step(RunCheckpoint(run_id=run.id, owner="me"), 0, 0) is None

    assert claimed_again.is_set()
    assert set(conversations.claims) == {(run.id, "me")}
    assert conversations.runs[run.id].status is IndexRunStatus.DONE


async def test_while_redis_is_unreachable_pending_rows_are_left_alone(
    setting: Setting, conversations: StubIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversations.put(1, "text")
    conversations.set_pending_for(1, timedelta(minutes=2))
    away = JobQueue(RedisSettings(url="redis://127.0.0.1:1/0"))
    monkeypatch.setattr(setting.runs, "_queue_is_idle", away.is_idle)

    assert counts(await setting.run()) == (1, 0, 0, 0, 0)
    away.close()


async def test_an_unreachable_api_means_a_retry(setting: Setting) -> None:
    async with AsyncClient("http://127.0.0.1:1", timeout=1, max_retries=0) as nobody:
        service = Setting(setting.api, nobody, setting.milvus, "redis://127.0.0.1:1/0").runs

        with pytest.raises(IndexingError):
            await service.run_step(RunCheckpoint(run_id=1, owner="me"), 0, 0)
        with pytest.raises(IndexingError):
            await service.add(setting.api.add_run().kind)


ROWS = st.dictionaries(
    st.integers(1, 12), st.tuples(st.integers(1, 3), st.sampled_from(IndexStatus), st.booleans()), max_size=12
)
INDEXED = st.dictionaries(st.integers(1, 12), st.integers(1, 3), max_size=12)
NOW = datetime(2026, 5, 1, tzinfo=UTC)


@given(ROWS, INDEXED, st.frozensets(st.integers(1, 12)))
def test_every_row_that_says_indexed_and_is_not_and_every_orphan_is_a_difference(
    rows: dict[int, tuple[int, IndexStatus, bool]], indexed: dict[int, int], duplicates: frozenset[int]
) -> None:
    present = [
        CurrentVersion(
            **conversation_unit(key)._asdict(),
            version=version,
            status=status,
            queued_at=NOW - timedelta(days=overdue),
        )
        for key, (version, status, overdue) in rows.items()
    ]

    versions = {conversation_unit(key): version for key, version in indexed.items()}
    page = InventoryPage(conversation_unit(12), versions, frozenset(conversation_units(duplicates)) & versions.keys())
    found = {key.source_id for key in differences(present, page, overdue_before=NOW)}

    for key in range(1, 13):
        if key not in rows:
            assert (key in found) == (key in indexed)
            continue
        version, status, overdue = rows[key]
        if status is IndexStatus.INDEXED:
            assert (key in found) == (indexed.get(key) != version or key in duplicates)
        elif status is IndexStatus.PENDING:
            assert (key in found) == overdue
        else:
            assert (key in found) == (key in indexed)
