"""Conversations on the whole platform, as users of both published clients meet them."""

import uuid
from itertools import product
from typing import Any

import pytest
from mh_client import (
    AsyncClient,
    BadRequestError,
    ConflictError,
    ConversationCreate,
    FoundAdvice,
    IndexStatus,
    InvalidInputError,
    NotFoundError,
    Origin,
    PreconditionFailedError,
    ReviewState,
    RiskLevel,
    Sentiment,
    UnprocessableError,
)
from mh_devtools.stack.server_stack import ServerStack
from mh_devtools.testing.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.mysql, pytest.mark.redis, pytest.mark.timeout(300)]

CONTENT: dict[str, Any] = {
    "question": "Why do I wake at four?",
    "answer": "Tell me about your evenings.",
    "question_sentiment": "negative",
    "answer_sentiment": "neutral",
}


def row(question: str = "Why?", **fields: Any) -> ConversationCreate:
    return ConversationCreate(**CONTENT | {"question": question} | fields)


async def test_a_conversation_lives_from_create_to_delete(api: AsyncClient) -> None:
    created = await api.conversations.create(**CONTENT | {"question": "  Why do I wake at four? 🌙\r\nEvery night  "})
    assert (created.version, created.index_status) == (1, IndexStatus.PENDING)
    assert created.question == "Why do I wake at four? 🌙\r\nEvery night"

    changed = await api.conversations.update(created.id, if_match=1, answer_sentiment="positive")
    assert (changed.version, changed.answer_sentiment, changed.question) == (2, Sentiment.POSITIVE, created.question)
    assert changed.created_at == created.created_at < changed.updated_at

    replaced = await api.conversations.replace(created.id, if_match=2, **CONTENT)
    assert replaced.version == 3
    assert ConversationCreate(**replaced.model_dump(include=set(CONTENT))) == ConversationCreate(**CONTENT)
    read = await api.conversations.get(created.id)
    of_the_index = {"index_status", "risk_level", "unsafe_advice"}
    assert read.model_dump(exclude=of_the_index) == replaced.model_dump(exclude=of_the_index)

    await api.conversations.delete(created.id, if_match=3)
    with pytest.raises(NotFoundError):
        await api.conversations.get(created.id)


async def test_what_speaks_of_danger_is_found_by_its_level_in_lists_and_searches(
    api: AsyncClient, rag: AsyncClient
) -> None:
    danger, quiet = await api.conversations.bulk_create([row("I want to kill myself tonight."), row()])

    async def levels() -> list[RiskLevel | None]:
        return [one.risk_level for one in (await api.conversations.list()).items]

    async def is_screened() -> bool:
        return None not in await levels()

    await eventually(is_screened)
    assert await levels() == [RiskLevel.ACUTE, RiskLevel.NONE]
    review: Any = {"risk_level": ["elevated", "acute"]}
    assert [one.id for one in (await api.conversations.list(**review)).items] == [danger]
    hits = (await rag.search("why tonight", **review)).hits
    assert [(hit.id, hit.risk_level) for hit in hits] == [(danger, RiskLevel.ACUTE)]
    assert [hit.id for hit in (await rag.search("why -risk_level:acute")).hits] == [quiet]
    assert (await api.conversations.stats()).risk_level[RiskLevel.ACUTE] == 1

    changed = await api.conversations.update(danger, question="Why do I wake at four?")
    assert (changed.version, changed.risk_level) == (2, None)
    await eventually(is_screened)
    assert (await api.conversations.list(**review)).items == []


async def test_a_review_reaches_searches_and_answers_and_a_restored_text_is_searched(
    api: AsyncClient, rag: AsyncClient
) -> None:
    kept, left = await api.conversations.bulk_create(
        [row("Why do I lie awake?", answer="Keep the same hours."), row("Why am I awake?", answer="Sell the house.")]
    )
    assert (await api.conversations.get(kept)).origin is Origin.IMPORT
    rejected = await api.conversations.review(left, "rejected", if_match=1)
    assert (rejected.version, rejected.review_state) == (1, ReviewState.REJECTED)
    assert (await api.conversations.bulk_review([kept], "approved")).changed == 1

    async def found(state: ReviewState) -> list[int]:
        return [hit.id for hit in (await rag.search("why awake", review_state=state)).hits]

    async def are_indexed() -> bool:
        return await found(ReviewState.APPROVED) == [kept] and await found(ReviewState.REJECTED) == [left]

    await eventually(are_indexed)
    assert [hit.id for hit in (await rag.search("awake review_state:rejected")).hits] == [left]
    answer = await rag.answer("Why does a patient lie awake?")
    assert left not in [source.id for source in answer.sources]
    assert "Sell the house" not in answer.answer

    await api.conversations.update(kept, answer="Count lighthouses.")
    restored = await api.conversations.restore(kept, 1, if_match=2)
    assert (restored.version, restored.review_state) == (3, ReviewState.UNREVIEWED)
    page = await api.conversations.versions(kept)
    assert [one.answer for one in page.items] == ["Keep the same hours.", "Count lighthouses.", "Keep the same hours."]
    assert (await api.conversations.version(kept, 2)).answer == "Count lighthouses."

    async def is_restored() -> bool:
        return [hit.version for hit in (await rag.search("same hours", review_state="unreviewed")).hits] == [3]

    await eventually(is_restored)


async def test_answers_that_give_harmful_advice_are_found_in_lists_and_searches(
    api: AsyncClient, rag: AsyncClient
) -> None:
    harmful, sensible = await api.conversations.bulk_create([row(answer="Stop taking your pills."), row()])

    async def is_screened() -> bool:
        return None not in [one.unsafe_advice for one in (await api.conversations.list()).items]

    await eventually(is_screened)
    found = (await api.conversations.list(unsafe_advice=["medication", "delay"])).items
    assert [(one.id, one.unsafe_advice) for one in found] == [(harmful, FoundAdvice.MEDICATION)]
    assert [hit.id for hit in (await rag.search("why unsafe_advice:medication")).hits] == [harmful]
    assert [hit.id for hit in (await rag.search("why", unsafe_advice="none")).hits] == [sensible]
    assert (await api.conversations.stats()).unsafe_advice[FoundAdvice.MEDICATION] == 1


async def test_a_change_meant_for_another_version_is_refused(api: AsyncClient) -> None:
    created = await api.conversations.create(**CONTENT)
    await api.conversations.update(created.id, question="Changed by a colleague")

    with pytest.raises(PreconditionFailedError) as refused:
        await api.conversations.update(created.id, if_match=1, question="Mine")
    with pytest.raises(PreconditionFailedError):
        await api.conversations.replace(created.id, if_match=1, **CONTENT)
    with pytest.raises(PreconditionFailedError):
        await api.conversations.delete(created.id, if_match=1)

    assert refused.value.status_code == 412
    assert refused.value.problem is not None
    assert "version 2" in (refused.value.problem.detail or "")
    assert (await api.conversations.get(created.id)).question == "Changed by a colleague"


async def test_what_is_not_there_is_said_with_a_request_id(api: AsyncClient) -> None:
    gone = (await api.conversations.create(**CONTENT)).id
    await api.conversations.delete(gone)

    for call in (
        lambda: api.conversations.get(gone),
        lambda: api.conversations.update(gone, question="Anybody?"),
        lambda: api.conversations.replace(gone, **CONTENT),
        lambda: api.conversations.delete(gone),
        lambda: api.conversations.index_state(gone),
    ):
        with pytest.raises(NotFoundError) as missing:
            await call()
        assert missing.value.request_id
        assert missing.value.problem is not None
        assert missing.value.problem.status == 404


async def test_bad_fields_are_named_before_anything_is_sent(api: AsyncClient) -> None:
    with pytest.raises(InvalidInputError) as refused:
        await api.conversations.create(**CONTENT | {"question": " ", "answer_sentiment": "glad"})
    assert {error.field for error in refused.value.errors} == {"question", "answer_sentiment"}
    with pytest.raises(InvalidInputError) as refused:
        await api.conversations.bulk_create([*[CONTENT] * 1200, CONTENT | {"answer": ""}])
    assert [(error.row, error.field) for error in refused.value.errors] == [(1200, "items.1200.answer")]
    assert (await api.conversations.stats()).total == 0


async def test_bad_rows_of_a_bulk_request_are_named_and_none_is_stored(api: AsyncClient) -> None:
    # Not validated by the client, as by one that is older than the server.
    bad = row().model_copy(update={"question": "nul \x00", "answer": " "})
    with pytest.raises(UnprocessableError) as refused:
        await api.conversations.bulk_create([row(), bad, row(), bad])
    assert refused.value.problem is not None
    assert {(error.row, error.field) for error in refused.value.problem.errors or []} == {
        (number, f"items.{number}.{field}") for number, field in product((1, 3), ("question", "answer"))
    }
    assert "nul " not in str(refused.value)
    assert (await api.conversations.stats()).total == 0


async def test_a_parameter_that_makes_no_sense_is_refused(api: AsyncClient) -> None:
    await api.conversations.bulk_create([row(), row(), row()])
    page = await api.conversations.list(limit=2, sort="-id")
    with pytest.raises(BadRequestError) as refused:
        await api.conversations.list(limit=2, sort="id", cursor=page.next_cursor)
    assert refused.value.problem is not None
    assert [error.field for error in refused.value.problem.errors or []] == ["cursor"]
    with pytest.raises(BadRequestError):
        await api.conversations.list(limit=201)


async def test_a_repeated_request_is_answered_again_and_not_done_again(api: AsyncClient) -> None:
    key, bulk_key, delete_key = (str(uuid.uuid4()) for _ in range(3))
    first = await api.conversations.create(**CONTENT, idempotency_key=key)
    await api.conversations.update(first.id, question="Changed meanwhile")
    assert await api.conversations.create(**CONTENT, idempotency_key=key) == first

    ids = await api.conversations.bulk_create([row("a"), row("b")], idempotency_key=bulk_key)
    assert await api.conversations.bulk_create([row("a"), row("b")], idempotency_key=bulk_key) == ids
    assert (await api.conversations.stats()).total == 3
    for _ in range(2):
        assert await api.conversations.bulk_delete([*ids, ids[0] + 1000], idempotency_key=delete_key) == 2

    with pytest.raises(UnprocessableError) as refused:
        await api.conversations.create(**CONTENT | {"answer": "Another"}, idempotency_key=key)
    assert "Idempotency-Key" in str(refused.value)
    assert (await api.conversations.stats()).total == 1


async def test_a_request_whose_twin_is_still_in_work_is_a_conflict(api: AsyncClient, platform: ServerStack) -> None:
    key = str(uuid.uuid4())
    with platform.connect_to_mysql(platform.database) as twin:
        taken = (
            "INSERT INTO idempotency_keys (`key`, request_hash, created_at, result_ids) VALUES (%s, '', NOW(6), '[]')"
        )
        twin.cursor().execute(taken, (key,))
        with pytest.raises(ConflictError):
            await api.conversations.create(**CONTENT, idempotency_key=key)
        twin.rollback()

    await api.conversations.create(**CONTENT, idempotency_key=key)
    assert (await api.conversations.stats()).total == 1


async def test_a_thousand_rows_go_in_as_one(api: AsyncClient) -> None:
    rows = [row(f"Question of kind {number % 5}", answer=f"Answer {number}") for number in range(1000)]
    ids = await api.conversations.bulk_create(rows)
    stored = {one.id: one.answer async for one in api.conversations.iterate(limit=200)}
    assert [stored[key] for key in ids] == [one.answer for one in rows]
    assert len(stored) == 1000
    assert await api.conversations.bulk_delete(ids) == 1000
