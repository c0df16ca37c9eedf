"""Conversations are screened when they are indexed: what is reported, and what searches can filter by.

With everything the worker assembles, on Milvus Lite.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from indexer_worker import bootstrap
from indexer_worker.bootstrap import Services
from indexer_worker.errors import IndexMismatchError
from indexer_worker.indexing import screening
from indexer_worker.indexing.screening import rules_name
from indexer_worker.maintenance.checkpoints import RunCheckpoint
from indexer_worker.settings import Settings
from indexer_worker.vector_store.collection import collection_schema
from indexer_worker.vector_store.rows import vector_row
from mh_common import advice
from mh_common import vector_index as fields
from mh_common.fields import UNSAFE_ADVICE, FoundAdvice, RiskLevel
from mh_common.models import IndexOutcome, IndexRun, IndexRunKind, IndexRunStatus, IndexStatus, UnitScreening
from mh_common.risk import lexicon
from mh_common.settings import SafetySettings
from mh_common.units import CONVERSATION, conversation_unit, conversation_units
from mh_devtools.stubs.index_stub import StubIndex
from pymilvus import AsyncMilvusClient

pytestmark = pytest.mark.redis

DANGER = "I want to kill myself tonight."
QUIET = "I lie awake and count the hours."
RULES = rules_name()

Start = Callable[..., Awaitable[Services]]


@pytest.fixture
async def start(settings: Settings) -> AsyncIterator[Start]:
    """Assemble the services of a worker; `screened`: whether SAFETY_SCREENING is on."""
    async with AsyncExitStack() as stack:

        async def started(*, screened: bool = True) -> Services:
            safety = SafetySettings(screening="on" if screened else "off")
            return await bootstrap.build_services(settings.model_copy(update={"safety": safety}), stack)

        yield started


async def index(services: Services, *keys: int) -> None:
    await services.of(CONVERSATION).index.index(conversation_units(keys))


async def run(services: Services, stub: StubIndex, kind: IndexRunKind) -> IndexRun:
    """Execute a run to its end."""
    step: RunCheckpoint | None = RunCheckpoint(run_id=stub.add_run(kind).id, owner="me")
    while step is not None:
        run_id = step.run_id
        step = await services.runs.run_step(step, attempts=0, crashes=0)
    assert stub.runs[run_id].status is IndexRunStatus.DONE
    return stub.runs[run_id]


async def found(milvus: AsyncMilvusClient, expression: str) -> list[int]:
    """Return the ids of the rows that match."""
    rows = await milvus.query(
        fields.COLLECTION, filter=expression, output_fields=[fields.ID], consistency_level="Strong"
    )
    return sorted(row[fields.ID] for row in rows)


def reported(stub: StubIndex) -> dict[int, tuple[int, RiskLevel | None, str | None]]:
    """Return what was last reported of each conversation: version, level and rules."""
    return {one.source_id: (one.version, one.risk_level, one.screened_by) for one in stub.screenings}


async def test_the_highest_level_of_question_and_answer_is_reported_and_can_be_filtered_by(
    start: Start, conversations: StubIndex, milvus: AsyncMilvusClient
) -> None:
    conversations.put(1, DANGER)
    conversations.put(2, QUIET, answer=f"A patient wrote: {DANGER}")
    conversations.put(3, QUIET, answer="Keep a fixed hour.")
    # What a browser shows is read.
    conversations.put(4, "<p>I want to <b>kill</b> myself&nbsp;tonight.</p>")

    await index(await start(), 1, 2, 3, 4)

    assert await found(milvus, 'risk_level in ["elevated", "acute"]') == [1, 2, 4]
    assert await found(milvus, 'risk_level in ["none"]') == [3]
    levels = {key: level for key, (_, level, _) in reported(conversations).items()}
    assert levels == {1: RiskLevel.ACUTE, 2: RiskLevel.ACUTE, 3: RiskLevel.NONE, 4: RiskLevel.ACUTE}
    assert {rules for _, _, rules in reported(conversations).values()} == {RULES}


async def test_the_first_harmful_advice_of_the_answer_is_reported_and_can_be_filtered_by(
    start: Start, conversations: StubIndex, milvus: AsyncMilvusClient
) -> None:
    conversations.put(1, QUIET, answer="Sleep well. It is just a phase. Stop taking your pills.")
    conversations.put(2, QUIET, answer="<p>Stop taking&nbsp;your <b>pills</b>.</p>")
    conversations.put(3, QUIET, answer="Do not stop taking your pills without your doctor.")
    # What the person who asks writes is no advice.
    conversations.put(4, "Should I do this: stop taking your pills. He said so.", answer="Talk to your doctor first.")

    await index(await start(), 1, 2, 3, 4)

    assert await found(milvus, 'unsafe_advice in ["minimising"]') == [1]
    assert await found(milvus, 'unsafe_advice in ["medication", "minimising"]') == [1, 2]
    assert await found(milvus, 'unsafe_advice in ["none"]') == [3, 4]
    kinds = {one.source_id: one.unsafe_advice for one in conversations.screenings}
    assert kinds == {
        1: FoundAdvice.MINIMISING,
        2: FoundAdvice.MEDICATION,
        3: FoundAdvice.NONE,
        4: FoundAdvice.NONE,
    }


async def test_a_change_is_screened_again(start: Start, conversations: StubIndex, milvus: AsyncMilvusClient) -> None:
    services = await start()
    conversations.put(1, DANGER)
    await index(services, 1)
    # The level that the API has is that of the version before.
    conversations.put(1, QUIET, risk_level=RiskLevel.ACUTE, unsafe_advice=FoundAdvice.DELAY)

    await index(services, 1)

    assert await found(milvus, 'risk_level in ["acute"]') == []
    assert await found(milvus, 'risk_level in ["none"] and unsafe_advice in ["none"]') == [1]
    assert reported(conversations) == {1: (2, RiskLevel.NONE, RULES)}


async def test_what_changed_while_it_was_screened_is_screened_and_reported_anew(
    start: Start, conversations: StubIndex, milvus: AsyncMilvusClient
) -> None:
    conversations.put(1, QUIET)
    changes = iter([DANGER])

    def change(ids: list[int]) -> None:
        if text := next(changes, None):
            conversations.put(1, text)

    conversations.after_read = change

    await index(await start(), 1)

    assert [(one.version, one.risk_level) for one in conversations.screenings] == [
        (1, RiskLevel.NONE),
        (2, RiskLevel.ACUTE),
    ]
    assert await found(milvus, 'risk_level in ["acute"]') == [1]


async def test_a_long_text_is_screened_as_far_as_the_index_holds_it(
    start: Start, conversations: StubIndex, milvus: AsyncMilvusClient
) -> None:
    room = screening.MAX_SCREENED - len(DANGER)
    words = "quiet words. "
    conversations.put(1, (words * (room // len(words))).ljust(room) + DANGER)
    conversations.put(2, words * (screening.MAX_SCREENED // len(words) + 1) + DANGER)

    await index(await start(), 1, 2)

    assert await found(milvus, 'risk_level in ["acute"]') == [1]


async def test_switched_off_nothing_is_screened_and_what_was_found_is_erased(
    start: Start, conversations: StubIndex, milvus: AsyncMilvusClient
) -> None:
    conversations.put(1, DANGER)
    await index(await start(), 1)
    services = await start(screened=False)
    conversations.put(2, DANGER)

    await index(services, 2)
    assert await found(milvus, 'risk_level in [""] and unsafe_advice in [""]') == [2]
    assert reported(conversations)[2] == (1, None, None)

    # The first one was screened before: a reconciliation queues it.
    await run(services, conversations, IndexRunKind.RECONCILE)
    assert conversations.queued == [[1]]
    await index(services, 1)
    assert await found(milvus, 'risk_level in [""]') == [1, 2]
    assert reported(conversations)[1] == (1, None, None)


async def test_other_rules_screen_everything_again_and_nothing_is_missing_meanwhile(
    start: Start, conversations: StubIndex, milvus: AsyncMilvusClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, text in ((1, DANGER), (2, QUIET), (3, "is pending"), (4, "has failed")):
        conversations.put(key, text)
    await index(await start(), 1, 2)
    failed = {**conversation_unit(4)._asdict(), "version": 1, "status": IndexStatus.FAILED, "reason": "refused"}
    conversations.outcomes.append(IndexOutcome.model_validate(failed))
    services = await start()
    unchanged = await run(services, conversations, IndexRunKind.RECONCILE)
    assert (unchanged.repaired, conversations.queued) == (0, [])

    # What the release before reported.
    before = [one.model_copy(update={"screened_by": "lexicon-0"}) for one in conversations.screenings]
    conversations.screenings[:] = before

    done = await run(services, conversations, IndexRunKind.RECONCILE)

    assert (done.checked, done.missing, done.stale, done.orphaned, done.repaired) == (4, 0, 0, 0, 2)
    assert conversations.queued == [[1, 2]]
    await index(services, 1, 2)
    assert {rules for _, _, rules in reported(conversations).values()} == {RULES}
    assert (await run(services, conversations, IndexRunKind.RECONCILE)).repaired == 0


async def test_a_collection_without_the_field_is_refused_and_a_rebuild_screens_all_of_it(
    start: Start,
    conversations: StubIndex,
    milvus: AsyncMilvusClient,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for key, text in ((1, DANGER), (2, QUIET)):
        conversations.put(key, text)
    with monkeypatch.context() as patch:
        await write_as_the_release_before(milvus, conversations, settings, patch)
    services = await start()
    with pytest.raises(IndexMismatchError, match=r"different fields: unsafe_advice\).*mh index rebuild"):
        await index(services, 1)
    assert conversations.screenings == []

    done = await run(services, conversations, IndexRunKind.REBUILD)

    assert await found(milvus, 'risk_level in ["acute"]') == [1]
    assert reported(conversations) == {1: (1, RiskLevel.ACUTE, RULES), 2: (1, RiskLevel.NONE, RULES)}
    # Nothing is left for jobs to screen.
    assert (done.checked, conversations.queued) == (2, [])


async def write_as_the_release_before(
    milvus: AsyncMilvusClient, stub: StubIndex, settings: Settings, patch: pytest.MonkeyPatch
) -> None:
    """Fill a collection without the field, and report its rows as a worker does that does not screen."""
    model, dimension = settings.embedding.model or "", settings.embedding.dimension or 0
    patch.setattr(fields, "FILTERABLE", [field for field in fields.FILTERABLE if field is not UNSAFE_ADVICE])
    patch.setattr(fields, "SCHEMA", 5)
    await milvus.create_collection(fields.COLLECTION, schema=collection_schema(model, dimension))
    vector = [1.0] + [0.0] * (dimension - 1)
    await milvus.insert(fields.COLLECTION, [vector_row(row, vector, vector) for row in stub.rows.values()])
    for key in stub.rows:
        outcome = {**conversation_unit(key)._asdict(), "version": 1, "status": IndexStatus.INDEXED}
        stub.outcomes.append(IndexOutcome.model_validate(outcome))


def test_the_name_of_the_rules_can_be_reported_and_names_all_of_them() -> None:
    values = {**conversation_unit(1)._asdict(), "version": 1, "risk_level": RiskLevel.LOW, "screened_by": RULES}
    assert UnitScreening.model_validate(values).screened_by == RULES
    assert RULES.split("+") == [lexicon.rules_name(), advice.rules_name()]
