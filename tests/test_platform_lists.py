"""Lists, exports, imports and counts on the whole platform, with both published clients."""

from pathlib import Path
from typing import Any, get_args

import pytest
from mh_client import AsyncClient, Conversation, ConversationCreate, Sentiment, SentimentPairCount
from mh_client.importing import ImportOptions, import_file
from mh_client.resources.conversations import ExportFormat, Sort
from mh_devtools.stack.server_stack import until_indexed

pytestmark = [pytest.mark.e2e, pytest.mark.mysql, pytest.mark.redis, pytest.mark.timeout(300)]

FIELDS = set(ConversationCreate.model_fields)


def row(question: str, question_sentiment: str = "neutral", answer_sentiment: str = "neutral") -> ConversationCreate:
    values: dict[str, Any] = {"question_sentiment": question_sentiment, "answer_sentiment": answer_sentiment}
    return ConversationCreate(question=question, answer=f"About {question}", **values)


async def stored(api: AsyncClient, **filters: Any) -> list[Conversation]:
    return [one async for one in api.conversations.iterate(**filters)]


async def questions(api: AsyncClient, **filters: Any) -> list[str]:
    return [one.question for one in (await api.conversations.list(**filters)).items]


async def test_filters_narrow_a_list_and_sort_orders_it(api: AsyncClient) -> None:
    for one in (
        row("lighthouse", "negative", "positive"),
        row("harbour", "positive", "positive"),
        row("lantern", "neutral", "negative"),
    ):
        await api.conversations.create(**one.model_dump())
    first, second, third = (await api.conversations.list()).items

    assert await questions(api, question_sentiment="negative") == ["lighthouse"]
    assert await questions(api, question_sentiment=["negative", Sentiment.NEUTRAL]) == ["lighthouse", "lantern"]
    assert await questions(api, answer_sentiment="positive", question_sentiment="positive") == ["harbour"]
    assert await questions(api, q="LANTERN") == ["lantern"]
    assert await questions(api, ids=[third.id, first.id, third.id + 1000]) == ["lighthouse", "lantern"]
    assert await questions(api, created_after=second.created_at) == ["harbour", "lantern"]
    assert await questions(api, created_before=second.created_at) == ["lighthouse"]
    assert await questions(api, created_after=third.created_at, question_sentiment="negative") == []

    changed = await api.conversations.update(first.id, answer="Another")
    assert await questions(api, updated_after=changed.updated_at) == ["lighthouse"]
    assert await questions(api, updated_before=changed.updated_at) == ["harbour", "lantern"]
    assert await questions(api, sort="-updated_at") == ["lighthouse", "lantern", "harbour"]
    assert await questions(api, sort="-id") == ["lantern", "harbour", "lighthouse"]


async def test_pages_follow_each_other_by_their_cursor(api: AsyncClient) -> None:
    ids = await api.conversations.bulk_create([row(f"number {number}") for number in range(5)])
    page = await api.conversations.list(limit=2, sort="-created_at", include_total=True)
    assert (page.total, [one.id for one in page.items]) == (5, ids[:-3:-1])
    rest = await api.conversations.list(limit=3, sort="-created_at", cursor=page.next_cursor)
    assert (rest.total, rest.next_cursor, [one.id for one in rest.items]) == (None, None, ids[2::-1])


@pytest.mark.parametrize("sort", ["id", "-id", "created_at", "-created_at", "updated_at", "-updated_at"])
async def test_iterate_meets_each_row_once_while_others_are_added(api: AsyncClient, sort: Sort) -> None:
    ids = await api.conversations.bulk_create([row(f"number {number}") for number in range(9)])
    seen, added = [], []
    async for one in api.conversations.iterate(sort=sort, limit=2):
        seen.append(one.id)
        if len(seen) <= len(ids):
            added.append((await api.conversations.create(**row("added meanwhile").model_dump())).id)
    assert seen == (ids[::-1] if sort.startswith("-") else ids + added)


@pytest.mark.parametrize("form", get_args(ExportFormat))
async def test_an_export_can_be_imported_again(api: AsyncClient, tmp_path: Path, form: ExportFormat) -> None:
    await api.conversations.bulk_create(
        [
            row("plain", "positive", "negative"),
            row('"quoted", with commas;\r\nand line breaks\n\nand a \\ at the end\\', "negative"),
            row("😶‍🌫️ ¿Por qué? なぜ \u2028 \x85 \ufeff =1+1"),
            row("=1+1"),
            row("'-'"),
            *(row(f"number {number}") for number in range(250)),
        ]
    )
    before = await stored(api)
    path = tmp_path / "exported"
    path.write_bytes(b"".join([piece async for piece in api.conversations.export(format=form)]))
    assert await api.conversations.bulk_delete([one.id for one in before]) == 255

    progress = await import_file(api, path, ImportOptions(state_dir=tmp_path, concurrency=1))

    assert (progress.added, progress.rejected) == (255, 0)
    after = await stored(api)
    assert [one.model_dump(include=FIELDS) for one in after] == [one.model_dump(include=FIELDS) for one in before]
    again = await import_file(api, path, ImportOptions(state_dir=tmp_path))
    assert (again.added, again.skipped) == (0, 255)


async def test_an_import_is_searched_by_its_tag_and_taken_back(
    api: AsyncClient, rag: AsyncClient, tmp_path: Path
) -> None:
    [old] = await api.conversations.bulk_create([row("A lantern in the fog")])
    path = tmp_path / "file.csv"
    lines = "".join(
        f"{one},a,neutral,neutral\n" for one in ("A bell in the fog", "A lantern at sea", "A bell in the fog")
    )
    path.write_text(f"question,answer,question_sentiment,answer_sentiment\n{lines}")
    options = ImportOptions(state_dir=tmp_path, tag="fog")
    done = await import_file(api, path, options)
    assert (done.added, done.skipped, done.tag) == (2, 1, "fog")
    bell, sea = [one.id for one in await stored(api, import_tag="fog")]
    await until_indexed(api)
    assert {hit.id for hit in (await rag.search("fog", import_tag="fog")).hits} == {bell, sea}
    assert {hit.id for hit in (await rag.search("lantern -import_tag:*")).hits} == {old}

    await api.conversations.update(sea, answer="Another")
    undone = await api.conversations.undo_import("fog")
    assert (undone.deleted, undone.edited_ids) == (1, [sea])
    await until_indexed(api)
    assert {hit.id for hit in (await rag.search("fog", import_tag="fog")).hits} == {sea}


async def test_an_export_takes_filters_and_writes_json_lines(api: AsyncClient) -> None:
    await api.conversations.bulk_create([row("kept", "negative"), row("left\nout"), row("kept\ntoo", "negative")])
    exported = b"".join(
        [piece async for piece in api.conversations.export(format="jsonl", question_sentiment="negative")]
    )
    found = [Conversation.model_validate_json(line) for line in exported.splitlines()]
    assert [one.question for one in found] == ["kept", "kept\ntoo"]


async def test_stats_count_what_is_stored(api: AsyncClient) -> None:
    await api.conversations.bulk_create([row("a", "negative", "positive"), row("b", "negative", "positive"), row("c")])
    stats = await api.conversations.stats()
    assert stats.total == sum(stats.index_status.values()) == 3
    assert stats.question_sentiment == {Sentiment.POSITIVE: 0, Sentiment.NEGATIVE: 2, Sentiment.NEUTRAL: 1}
    assert stats.answer_sentiment == {Sentiment.POSITIVE: 2, Sentiment.NEGATIVE: 0, Sentiment.NEUTRAL: 1}
    pair = SentimentPairCount(question_sentiment=Sentiment.NEGATIVE, answer_sentiment=Sentiment.POSITIVE, count=2)
    assert pair in stats.pairs
    months = {f"{one.created_at:%Y-%m}" for one in await stored(api)}
    assert {(month.month, month.count) for month in stats.per_month} == {(month, 3) for month in months}
