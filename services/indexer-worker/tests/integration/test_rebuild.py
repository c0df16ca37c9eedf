"""Rebuilds with everything the worker assembles: in place on Milvus Lite, and beside the live index with aliases.

Milvus Lite has no aliases and no rename. `Aliases` gives them to its client, with a server's errors.
"""

from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from indexer_worker import bootstrap
from indexer_worker.bootstrap import Services
from indexer_worker.errors import IndexingError, VectorStoreError
from indexer_worker.maintenance import rebuild
from indexer_worker.maintenance.checkpoints import Phase, RunCheckpoint
from indexer_worker.settings import Settings
from mh_common import vector_index as names
from mh_common.milvus import make_client
from mh_common.models import IndexRunKind, IndexRunStatus, IndexStatus
from mh_common.units import CONVERSATION, conversation_unit, conversation_units
from mh_devtools.stubs.index_stub import StubIndex
from mh_devtools.stubs.openai_stub import StubOpenAI
from mh_devtools.testing.fixtures import EACH_MILVUS, LITE, SERVER
from pymilvus import AsyncMilvusClient, MilvusException

pytestmark = pytest.mark.redis

BuildServices = Callable[[str], Any]

IN_PLACE = pytest.mark.parametrize("milvus_kind", [LITE])
"""Only where Milvus has no aliases."""


class Aliases:
    """A client of Milvus Lite with aliases and rename, as a server has them. Shared by all that are made in a test."""

    def __init__(self) -> None:
        self.real: dict[str, str] = {}
        """What Milvus Lite calls a collection, by its name."""
        self.aliases: dict[str, str] = {}
        self.log: list[str] = []
        self.client: Any = None

    def __getattr__(self, method: str) -> Any:
        call = getattr(self.client, method)

        async def translated(name: str, *arguments: Any, **keywords: Any) -> Any:
            name = self.aliases.get(name, name)
            if method == "create_collection":
                self.real[name] = f"real_{len(self.real)}_{len(self.log)}"
                self.log.append(name)
            answer = await call(self.real.get(name, name), *arguments, **keywords)
            if method == "drop_collection":
                assert name not in self.aliases.values(), "a server refuses to drop what an alias names"
                self.real.pop(name, None)
            return answer

        return call if method in ("close", "prepare_index_params") else translated

    async def list_collections(self) -> list[str]:
        return list(self.real)

    async def rename_collection(self, old: str, new: str) -> None:
        self.real[new] = self.real.pop(old)

    async def describe_alias(self, alias: str) -> dict[str, str]:
        if alias not in self.aliases:
            raise MilvusException(1600, "alias not found")
        return {"alias": alias, "collection_name": self.aliases[alias]}

    async def create_alias(self, name: str, alias: str) -> None:
        if alias in self.real:
            raise MilvusException(1601, "alias and collection name conflict")
        self.aliases[alias] = name

    async def alter_alias(self, name: str, alias: str) -> None:
        self.aliases[alias] = name


@pytest.fixture(params=EACH_MILVUS)
def milvus_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def aliases(monkeypatch: pytest.MonkeyPatch, settings: Settings, milvus_kind: str, milvus: AsyncMilvusClient) -> Any:
    """A client of a Milvus that has aliases."""
    if milvus_kind == SERVER:
        return milvus
    aliases = Aliases()

    def client(*arguments: Any) -> Aliases:
        aliases.client = aliases.client or make_client(*arguments)
        return aliases

    monkeypatch.setattr(bootstrap, "make_client", client)
    return aliases


@pytest.fixture
def little_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step writes one batch of two, of pages of four."""
    monkeypatch.setattr(rebuild, "STEP_S", -1.0)
    monkeypatch.setattr(rebuild, "FILL_PAGE", 4)
    monkeypatch.setattr(rebuild, "BATCH", 2)


async def index_all(services: Services, conversations: StubIndex) -> None:
    await services.of(CONVERSATION).index.index(conversation_units(sorted(conversations.rows)))


async def finish(services: Services, step: RunCheckpoint | None) -> list[RunCheckpoint]:
    """Carry the run out; return the steps."""
    steps = []
    while step is not None:
        steps.append(step)
        step = await services.runs.run_step(step, attempts=0, crashes=0)
    return steps


async def searched(client: Any) -> dict[int, int]:
    """Return id and version of all that readers search; fails when an id is there twice."""
    everything = {"filter": f"{names.ID} > 0", "consistency_level": "Strong"}
    rows = await client.query(names.COLLECTION, output_fields=[names.VERSION], **everything)
    counted = await client.query(names.COLLECTION, output_fields=["count(*)"], **everything)
    assert counted[0]["count(*)"] == len(rows)
    return {row[names.ID]: row[names.VERSION] for row in rows}


async def behind_the_alias(client: Any) -> str:
    """Return the collection that readers search."""
    return str((await client.describe_alias(names.COLLECTION))["collection_name"])


async def model(client: Any) -> str:
    return str((await client.describe_collection(names.COLLECTION))["description"]).split(";")[0]


async def carried_out_by_jobs(services: Services, conversations: StubIndex) -> None:
    """Do what the API would queue."""
    for ids in conversations.queued:
        await services.of(CONVERSATION).index.index(conversation_units(ids[:64]))


@IN_PLACE
async def test_in_place_the_index_is_emptied_and_filled_and_says_so_meanwhile(
    build_services: BuildServices, conversations: StubIndex, milvus: AsyncMilvusClient, little_steps: None
) -> None:
    for key in range(1, 8):
        conversations.put(key, f"text {key}")
    await index_all(await build_services("former"), conversations)
    services = await build_services("next")
    step = RunCheckpoint(run_id=conversations.add_run(IndexRunKind.REBUILD).id, owner="me")

    following = await services.runs.run_step(step, 0, 0)

    assert following is not None
    assert await milvus.has_collection(names.REBUILD_MARKER)
    assert await searched(milvus) == {1: 1, 2: 1}
    # The same step again, as after a death of its process, does not empty it a second time.
    await services.runs.run_step(step, 0, 0)
    assert len(await searched(milvus)) == 4
    steps = await finish(services, following)
    assert [one.phase for one in steps][-1] is Phase.COMPARE
    assert await model(milvus) == "embedding=next"
    assert await searched(milvus) == dict.fromkeys(range(1, 8), 1)
    assert await milvus.list_collections() == [names.COLLECTION]
    assert conversations.runs[step.run_id].status is IndexRunStatus.DONE


@IN_PLACE
async def test_no_text_is_embedded_twice_for_a_rebuild_or_another_import(
    settings: Settings, conversations: StubIndex, milvus: AsyncMilvusClient, stub_openai: StubOpenAI, tmp_path: Path
) -> None:
    kept = settings.worker.model_copy(update={"embedding_cache": tmp_path / "embeddings.sqlite"})
    settings = settings.model_copy(update={"worker": kept})
    for key in range(1, 20):
        conversations.put(key, f"text {key % 5}", answer=f"answer {key}")
    async with AsyncExitStack() as stack:
        await index_all(await bootstrap.build_services(settings, stack), conversations)
    asked = stub_openai.requests[-1].body
    assert asked is not None
    assert len(asked["input"]) == 5 + 19
    stub_openai.reset()

    # Another process, with nothing in its memory.
    async with AsyncExitStack() as stack:
        services = await bootstrap.build_services(settings, stack)
        await finish(services, RunCheckpoint(run_id=conversations.add_run(IndexRunKind.REBUILD).id, owner="me"))
    assert len(await searched(milvus)) == 19
    # The same texts under other ids, in an index that lost everything.
    await milvus.drop_collection(names.COLLECTION)
    for key in range(1, 20):
        del conversations.rows[key]
        conversations.put(100 + key, f"text {key % 5}", answer=f"answer {key}")
    async with AsyncExitStack() as stack:
        await index_all(await bootstrap.build_services(settings, stack), conversations)
    assert set(await searched(milvus)) == set(range(101, 120))
    assert stub_openai.requests == []


async def test_with_aliases_the_live_index_stays_whole_until_the_new_one_takes_its_place(
    build_services: BuildServices, conversations: StubIndex, aliases: Any, little_steps: None
) -> None:
    for key in range(1, 8):
        conversations.put(key, f"text {key}")
    await index_all(await build_services("former"), conversations)
    services = await build_services("next")
    before_the_switch: list[tuple[str, int]] = []

    for run_id in (1, 2):
        step: RunCheckpoint | None = RunCheckpoint(run_id=conversations.add_run(IndexRunKind.REBUILD).id, owner="me")
        while step is not None and step.phase is not Phase.COMPARE:
            before_the_switch.append((await model(aliases), len(await searched(aliases))))
            step = await services.runs.run_step(step, 0, 0)
        await finish(services, step)
        assert await behind_the_alias(aliases) == names.rebuilt_collection(run_id)
        assert await aliases.list_collections() == [names.rebuilt_collection(run_id)]
        assert await searched(aliases) == dict.fromkeys(range(1, 8), 1)

    assert set(before_the_switch) == {("embedding=former", 7), ("embedding=next", 7)}
    assert await model(aliases) == "embedding=next"
    assert conversations.queued == []


@IN_PLACE
async def test_a_collection_recreated_by_a_worker_with_old_settings_is_emptied_again(
    build_services: BuildServices, conversations: StubIndex, milvus: AsyncMilvusClient, little_steps: None
) -> None:
    for key in range(1, 8):
        conversations.put(key, f"text {key}")
    former, services = await build_services("former"), await build_services("next")
    step = RunCheckpoint(run_id=conversations.add_run(IndexRunKind.REBUILD).id, owner="me")
    await services.runs.run_step(step, 0, 0)
    await milvus.drop_collection(names.COLLECTION)
    await former.of(CONVERSATION).index.index(conversation_units([1]))
    assert await model(milvus) == "embedding=former"

    await finish(services, step)

    assert await model(milvus) == "embedding=next"
    assert await searched(milvus) == dict.fromkeys(range(1, 8), 1)


async def test_what_changes_during_a_rebuild_is_not_lost(
    build_services: BuildServices, conversations: StubIndex, aliases: Any
) -> None:
    """Jobs go on to write the live index until the switch, and report what they wrote there as indexed."""
    for key in range(1, 8):
        conversations.put(key, f"text {key}")
    services = await build_services("former")
    await index_all(services, conversations)
    step: RunCheckpoint | None = RunCheckpoint(run_id=conversations.add_run(IndexRunKind.REBUILD).id, owner="me")

    while step is not None and step.phase is not Phase.COMPARE:
        following = await services.runs.run_step(step, 0, 0)
        if following is not None and following.phase is Phase.COMPARE:
            # As if these jobs had written just before the switch.
            conversations.put(1, "changed")
            conversations.put(8, "added")
            conversations.remove(2)
            await aliases.alter_alias(names.replaced_collection(1), names.COLLECTION)
            await services.of(CONVERSATION).index.index(conversation_units([1, 2, 8]))
            await aliases.alter_alias(names.rebuilt_collection(1), names.COLLECTION)
        step = following
    assert await searched(aliases) == dict.fromkeys(range(1, 8), 1)
    await finish(services, step)
    await carried_out_by_jobs(services, conversations)

    assert await searched(aliases) == {1: 2, **dict.fromkeys((3, 4, 5, 6, 7, 8), 1)}
    assert sorted(conversations.queued[0]) == [1, 2, 8]


@pytest.mark.parametrize("died_after", ["rename", "rename and another worker's start", "alias"])
async def test_an_interrupted_switch_is_completed(
    build_services: BuildServices, conversations: StubIndex, aliases: Any, died_after: str
) -> None:
    conversations.put(1, "text")
    services = await build_services("former")
    await index_all(services, conversations)
    run = conversations.add_run(IndexRunKind.REBUILD)
    target = names.rebuilt_collection(run.id)
    filled = await services.runs.run_step(RunCheckpoint(run_id=run.id, owner="me"), 0, 0)
    assert filled is not None
    await aliases.rename_collection(names.COLLECTION, names.replaced_collection(run.id))
    if died_after == "alias":
        await aliases.create_alias(target, names.COLLECTION)
    elif "another" in died_after:
        with pytest.raises(VectorStoreError):
            await services.of(CONVERSATION).repository.prepare()
        await services.of(CONVERSATION).repository.prepare()

    await finish(services, filled)

    assert await behind_the_alias(aliases) == target
    assert await aliases.list_collections() == [target]
    assert await searched(aliases) == {1: 1}


async def test_a_row_that_failed_before_and_that_the_new_model_takes_is_no_failure_any_more(
    build_services: BuildServices, conversations: StubIndex, milvus: AsyncMilvusClient
) -> None:
    for key in range(1, 5):
        conversations.put(key, f"text {key}")
    services = await build_services("former")
    await index_all(services, conversations)
    await services.of(CONVERSATION).index.give_up(conversation_unit(3), "refused")
    assert set(await searched(milvus)) == {1, 2, 4}

    await finish(services, RunCheckpoint(run_id=conversations.add_run(IndexRunKind.REBUILD).id, owner="me"))
    await carried_out_by_jobs(services, conversations)

    assert set(await searched(milvus)) == {1, 2, 3, 4}
    assert conversations.queued == [[3]]
    assert conversations.outcomes[-1].status is IndexStatus.INDEXED


@IN_PLACE
async def test_rows_that_end_the_process_are_left_to_jobs_of_their_own(
    build_services: BuildServices, conversations: StubIndex, milvus: AsyncMilvusClient, little_steps: None
) -> None:
    for key in range(1, 6):
        conversations.put(key, f"text {key}")
    services = await build_services("former")
    step = RunCheckpoint(run_id=conversations.add_run(IndexRunKind.REBUILD).id, owner="me")

    skipped = await services.runs.run_step(step, attempts=0, crashes=2)
    assert skipped is not None
    assert skipped.after == 2
    assert await searched(milvus) == {}


async def test_an_answer_that_is_not_understood_never_empties_the_index(
    build_services: BuildServices, conversations: StubIndex, milvus: AsyncMilvusClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversations.put(1, "text")
    services = await build_services("former")
    await index_all(services, conversations)

    async def answer(*_: object) -> None:
        raise MilvusException(5, "internal error")

    monkeypatch.setattr(AsyncMilvusClient, "describe_alias", answer)

    with pytest.raises(IndexingError):
        await services.runs.run_step(
            RunCheckpoint(run_id=conversations.add_run(IndexRunKind.REBUILD).id, owner="me"), 0, 0
        )
    assert await searched(milvus) == {1: 1}
