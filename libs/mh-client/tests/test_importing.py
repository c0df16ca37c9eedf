"""Importing a file over HTTP: every row is stored exactly once, whatever fails in between."""

import asyncio
import csv
import json
import re
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mh_client import (
    APIConnectionError,
    AsyncClient,
    ImportRefusedError,
    IndexStatus,
    Sentiment,
    UnprocessableError,
    _import_chunks,
    importing,
)
from mh_client._import_options import make_tag
from mh_client.importing import ImportOptions, ImportProgress, import_file, wait_until_indexed
from mh_devtools.stubs.platform_stub import StubPlatform
from mh_devtools.testing.waiting import wait_until

HEADER = ["question", "answer", "question_sentiment", "answer_sentiment"]


@pytest.fixture
def options(tmp_path: Path) -> ImportOptions:
    return ImportOptions(batch_rows=10, state_dir=tmp_path / "state")


def write_csv(path: Path, rows: list[list[str]], header: list[str] = HEADER) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def numbered(count: int) -> list[list[str]]:
    return [[f"question {number}", f"answer\n{number}", "positive", "negative"] for number in range(count)]


async def run(stub: StubPlatform, path: Path, options: ImportOptions, max_retries: int = 0) -> ImportProgress:
    async with AsyncClient(stub.base_url, max_retries=max_retries, sleep=lambda _: asyncio.sleep(0)) as client:
        return await import_file(client, path, options)


def questions(stub: StubPlatform) -> list[str]:
    return sorted(row.question for row in stub.rows)


async def test_every_row_arrives_once_however_often_the_file_is_imported(
    stub: StubPlatform, options: ImportOptions, tmp_path: Path
) -> None:
    path = write_csv(tmp_path / "file.csv", numbered(95))
    first = await run(stub, path, options)
    assert (first.added, first.skipped, first.rejected, first.rejects) == (95, 0, 0, None)
    assert first.done_bytes == first.total_bytes == path.stat().st_size
    assert questions(stub) == sorted(f"question {number}" for number in range(95))
    assert {(row.answer, row.question_sentiment) for row in stub.rows} == {
        (f"answer\n{number}", Sentiment.POSITIVE) for number in range(95)
    }
    assert sorted(stub.bulks) == [5] + [10] * 9

    second = await run(stub, path, replace(options, batch_rows=7))
    assert (second.added, second.skipped) == (0, 95)
    assert len(stub.rows) == 95


async def test_equal_rows_are_skipped_or_added_as_asked(
    stub: StubPlatform, options: ImportOptions, tmp_path: Path
) -> None:
    path = write_csv(tmp_path / "file.csv", numbered(1) * 25)
    first = await run(stub, path, options)
    assert (first.added, first.skipped, len(stub.rows)) == (1, 24, 1)
    for _ in range(2):
        added = await run(stub, path, replace(options, on_duplicate="add", state_dir=tmp_path / "other"))
    # Another run of the same file adds nothing, as its journal says.
    assert (added.added, added.skipped, added.earlier, len(stub.rows)) == (0, 25, 25, 26)


async def test_rows_that_another_import_stored_are_skipped(
    stub: StubPlatform, options: ImportOptions, tmp_path: Path
) -> None:
    await run(stub, write_csv(tmp_path / "file.csv", numbered(30)), options)
    # The same rows in another file, with other line ends, and ten more.
    rows = [[cell.replace("\n", "\r\n") for cell in row] for row in numbered(40)]
    done = await run(stub, write_csv(tmp_path / "again.csv", rows), options)
    assert (done.added, done.updated, done.skipped, done.earlier) == (10, 0, 30, 0)
    assert len(stub.rows) == 40


async def test_an_update_takes_the_other_fields_also_of_a_file_that_was_imported_before(
    stub: StubPlatform, options: ImportOptions, tmp_path: Path
) -> None:
    header = [*HEADER, "category"]
    path = write_csv(tmp_path / "file.csv", [[*row, "sleep"] for row in numbered(30)], header)
    await run(stub, path, options)
    assert stub.tags == [stub.tags[0]] * 30
    stub.rows[:5] = [row.model_copy(update={"category": "else", "author": "Jane"}) for row in stub.rows[:5]]
    done = await run(stub, path, replace(options, on_duplicate="update", tag="second"))
    assert (done.added, done.updated, done.skipped, done.earlier) == (0, 5, 25, 0)
    assert {(row.category, row.author) for row in stub.rows} == {("sleep", "Jane"), ("sleep", None)}
    assert stub.updated == {"second": {1, 2, 3, 4, 5}}


async def test_of_equal_rows_in_a_file_the_last_one_updates(
    stub: StubPlatform, options: ImportOptions, tmp_path: Path
) -> None:
    rows = [[*row, f"c{number}"] for number, row in enumerate(numbered(1) * 45)]
    path = write_csv(tmp_path / "file.csv", rows, [*HEADER, "category"])
    await run(stub, path, replace(options, on_duplicate="update", concurrency=8))
    assert [row.category for row in stub.rows] == ["c44"]


async def test_what_an_import_adds_carries_its_tag(stub: StubPlatform, options: ImportOptions, tmp_path: Path) -> None:
    made = await run(stub, write_csv(tmp_path / "my d\u00e4ta (v2).csv", numbered(3)), options)
    assert made.tag is not None
    assert re.fullmatch(r"my-d\u00e4ta-v2-\d{4}-\d\d-\d\d-\d{4}-[0-9a-f]{4}", made.tag)
    given = await run(stub, write_csv(tmp_path / "b.csv", numbered(5)), replace(options, tag=" spring "))
    assert (given.tag, stub.tags) == ("spring", [made.tag] * 3 + ["spring"] * 2)
    assert len({make_tag("a.csv") for _ in range(20)}) > 1
    with pytest.raises(ImportRefusedError, match="the tag must be on one line"):
        replace(options, tag="a\nb")


async def test_a_resumed_import_keeps_its_tag(stub: StubPlatform, options: ImportOptions, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "file.csv", numbered(95))
    stub.break_after = 3
    with pytest.raises(APIConnectionError):
        await run(stub, path, options)
    stub.break_after = None
    with pytest.raises(ImportRefusedError, match="finish it without --tag"):
        await run(stub, path, replace(options, tag="another"))
    done = await run(stub, path, options)
    assert set(stub.tags) == {done.tag}
    assert len(stub.rows) == 95


async def test_an_import_that_was_cut_off_is_finished_with_the_platform_at_another_address(
    stub: StubPlatform, options: ImportOptions, tmp_path: Path
) -> None:
    """Its journal is not found then: what is there is recognised by its content."""
    path = write_csv(tmp_path / "file.csv", numbered(95))
    stub.break_after = 4
    with pytest.raises(APIConnectionError):
        await run(stub, path, replace(options, concurrency=1))
    stub.break_after = None
    assert len(stub.rows) == 40
    async with AsyncClient(stub.base_url.replace("127.0.0.1", "localhost")) as client:
        done = await import_file(client, path, options)
    assert (done.added, done.skipped, done.earlier) == (55, 40, 0)
    assert Counter(questions(stub)) == Counter(row[0] for row in numbered(95))


async def test_an_interrupted_import_of_a_release_without_tags_is_finished(
    stub: StubPlatform, options: ImportOptions, tmp_path: Path
) -> None:
    path = write_csv(tmp_path / "file.csv", numbered(25))
    stub.break_after = 1
    with pytest.raises(APIConnectionError):
        await run(stub, path, replace(options, on_duplicate="add", concurrency=1))
    journal = next(options.state_dir.iterdir())
    entries = [json.loads(line) for line in journal.read_text().splitlines() if line.strip()]
    for entry in entries:
        for name in ("on_duplicate", "tag"):
            entry.get("plan", {}).pop(name, None)
    # What was stored was not noted, and had no tag.
    entries = [entry for entry in entries if "batch" not in entry]
    journal.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    stub.break_after = None
    done = await run(stub, path, options)
    assert (done.added, done.skipped, len(stub.rows)) == (15, 10, 25)
    assert set(stub.tags[10:]) == {done.tag}


async def test_after_an_undo_the_file_can_be_imported_again(
    stub: StubPlatform, options: ImportOptions, tmp_path: Path
) -> None:
    path = write_csv(tmp_path / "file.csv", [*numbered(30), ["", "a", "positive", "negative"]])
    first = await run(stub, path, options)
    other = await run(stub, write_csv(tmp_path / "other.csv", numbered(35)[30:]), options)
    assert first.tag
    async with AsyncClient(stub.base_url) as client:
        undone = await client.conversations.undo_import(first.tag)
    assert (undone.deleted, len(stub.rows)) == (30, 5)
    assert (await run(stub, path, options)).added == 0
    importing.forget_import(first.tag, options.state_dir)
    importing.forget_import("of nothing", options.state_dir)
    again = await run(stub, path, options)
    assert (again.added, len(stub.rows)) == (30, 35)
    assert again.tag not in (first.tag, other.tag)
    assert (await run(stub, path, options)).earlier == 30


def test_labels_do_not_replace_what_people_corrected(options: ImportOptions) -> None:
    with pytest.raises(ImportRefusedError, match="an update cannot label sentiments"):
        replace(options, on_duplicate="update", labeller=lambda text: Sentiment.NEUTRAL)
    with pytest.raises(ImportRefusedError, match="on_duplicate must be add, skip, update"):
        replace(options, on_duplicate="replace")  # type: ignore[arg-type]


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("stored_before", [1, 3, 9])
async def test_a_server_crash_after_its_commit_neither_loses_nor_duplicates_rows(
    stub: StubPlatform, options: ImportOptions, tmp_path: Path, concurrency: int, stored_before: int
) -> None:
    path = write_csv(tmp_path / "file.csv", numbered(95))
    options = replace(options, concurrency=concurrency)
    stub.break_after = stored_before
    with pytest.raises(APIConnectionError):
        await run(stub, path, options)
    assert len(stub.rows) >= stored_before * 10 - 5

    stub.break_after = None
    # Another batch size would make other batches, with keys unknown to the server: the first run's is kept.
    finished = await run(stub, path, replace(options, batch_rows=1000))
    assert questions(stub) == sorted(f"question {number}" for number in range(95))
    assert finished.added + finished.skipped == 95
    assert (await run(stub, path, options)).skipped == 95


async def test_a_lost_response_is_recovered_within_one_run(
    stub: StubPlatform, options: ImportOptions, tmp_path: Path
) -> None:
    path = write_csv(tmp_path / "file.csv", numbered(30))
    stub.break_after = 2
    calls = 0

    async def mend(seconds: float) -> None:
        nonlocal calls
        calls += 1
        stub.break_after = None

    async with AsyncClient(stub.base_url, sleep=mend) as client:
        await import_file(client, path, replace(options, concurrency=1))
    assert calls == 1
    assert Counter(questions(stub)) == Counter(row[0] for row in numbered(30))


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 8), min_size=1, max_size=4), st.integers(1, 12), st.sets(st.integers(0, 39)))
def test_any_sequence_of_interruptions_stores_every_valid_row_once(
    stub: StubPlatform, tmp_path_factory: pytest.TempPathFactory, deaths: list[int], batch_rows: int, bad: set[int]
) -> None:
    folder = tmp_path_factory.mktemp("chain")
    rows = numbered(40)
    for number in bad:
        rows[number][2 if number % 2 else 0] = "refused" if number % 2 == 0 else "happy"
    path = write_csv(folder / "file.csv", rows)
    options = ImportOptions(batch_rows=batch_rows, concurrency=2, state_dir=folder)
    stub.rows.clear()
    stub.refuse = lambda row: "is not wanted" if row.question == "refused" else None
    for stored in deaths:
        stub.break_after = len(stub.done) + stored
        with suppress(APIConnectionError):
            asyncio.run(run(stub, path, options))
    stub.break_after = None
    final = asyncio.run(run(stub, path, options))
    assert questions(stub) == sorted(f"question {number}" for number in range(40) if number not in bad)
    assert final.rejected == len(bad)


def test_without_rejects_there_is_no_rejects_file(stub: StubPlatform, options: ImportOptions, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "file.csv", numbered(3))
    asyncio.run(run(stub, path, options))
    assert [found for found in tmp_path.iterdir() if found.is_file()] == [path]


async def test_rejected_rows_go_to_a_file_that_can_be_repaired_and_imported(
    stub: StubPlatform, options: ImportOptions, tmp_path: Path
) -> None:
    rows = [*numbered(3), ["", "no question", "positive", "negative"], ["refused", "a", "neutral", "neutral"]]
    path = write_csv(tmp_path / "file.csv", [[*row, "note"] for row in rows], [*HEADER, "remark"])
    stub.refuse = lambda row: "is not wanted" if row.question == "refused" else None
    done = await run(stub, path, options)
    assert (done.added, done.rejected) == (3, 2)
    assert done.rejects == tmp_path / "file.csv.rejects.csv"
    with done.rejects.open(newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    assert [(row["line"], row["reason"]) for row in found] == [
        ("8", "the question is empty, or nothing in it is visible; fill it in"),
        ("9", "question: is not wanted"),
    ]
    assert found[0] == {**found[0], "question": "", "answer": "no question", "remark": "note"}

    repaired = done.rejects.read_text().replace(",,no", ",now there,no").replace("refused", "wanted")
    done.rejects.write_text(repaired)
    mended = await run(stub, done.rejects, options)
    assert (mended.added, mended.rejected, mended.rejects) == (2, 0, None)
    assert len(stub.rows) == 5


async def test_an_import_succeeds_if_all_rows_of_a_batch_are_rejected(
    stub: StubPlatform, options: ImportOptions, tmp_path: Path
) -> None:
    stub.refuse = lambda row: "is not wanted"
    rejects = tmp_path / "elsewhere.csv"
    done = await run(stub, write_csv(tmp_path / "file.csv", numbered(11)), replace(options, rejects=rejects))
    assert (done.added, done.rejected, done.rejects) == (0, 11, rejects)


async def test_many_rejects_in_a_row_are_not_held_in_memory(
    stub: StubPlatform, options: ImportOptions, tmp_path: Path
) -> None:
    path = write_csv(tmp_path / "file.csv", [["", "a", "neutral", "neutral"]] * 2500)
    seen: list[int] = []
    async with AsyncClient(stub.base_url) as client:
        done = await import_file(client, path, options, lambda progress: seen.append(progress.rejected))
    assert done.rejected == 2500
    assert seen == [0, 1000, 2000, 2500]


@pytest.mark.parametrize(("platform", "earlier"), [("counselors", 95), (None, 0)])
async def test_the_journal_of_a_named_platform_is_found_at_another_url(
    stub: StubPlatform, options: ImportOptions, tmp_path: Path, platform: str | None, earlier: int
) -> None:
    path = write_csv(tmp_path / "file.csv", numbered(95))
    named = replace(options, platform=platform)
    await run(stub, path, named)
    async with AsyncClient(stub.base_url.replace("127.0.0.1", "localhost")) as client:
        done = await import_file(client, path, named)
    assert (done.skipped, done.earlier) == (95, earlier)
    assert len(stub.rows) == 95


async def test_an_error_that_names_no_row_is_raised(stub: StubPlatform, options: ImportOptions, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "file.csv", numbered(3))
    options = replace(options, tag="t")
    await run(stub, path, options)
    journal = next(options.state_dir.iterdir())
    # The server has the key of the batch with other content.
    stub.done = {key: (b"other", ids) for key, (_, ids) in stub.done.items()}
    lines = journal.read_text().splitlines()
    journal.write_text("\n".join(line for line in lines if 'batch"' not in line) + "\n")
    with pytest.raises(UnprocessableError):
        await run(stub, path, options)


async def test_requests_are_bounded_in_number_and_size(
    stub: StubPlatform, options: ImportOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_import_chunks, "BATCH_BYTES", 1000)
    rows = numbered(6)
    for row in rows:
        row[1] = "é" * 200
    rows[3][1] = "x" * 5000
    path = write_csv(tmp_path / "file.csv", rows)
    stub.hold = True
    running = asyncio.create_task(run(stub, path, replace(options, concurrency=2)))
    await asyncio.to_thread(wait_until, lambda: stub.at_once == 2)
    stub.hold = False
    await running
    assert sorted(stub.bulks) == [1, 1, 2, 2]
    assert stub.at_once == 2
    assert len(stub.rows) == 6


async def test_missing_labels_are_added_and_a_second_run_adds_what_the_first_rejected(
    stub: StubPlatform, options: ImportOptions, tmp_path: Path
) -> None:
    rows = numbered(5)
    rows[1][2] = rows[4][3] = ""
    path = write_csv(tmp_path / "file.csv", rows)
    first = await run(stub, path, options)
    assert (first.added, first.rejected) == (3, 2)
    labelling = replace(options, labeller=lambda text: Sentiment.NEUTRAL)
    second = await run(stub, path, labelling)
    assert (second.added, second.skipped, second.rejected) == (2, 3, 0)
    assert Counter(questions(stub)) == Counter(f"question {number}" for number in range(5))
    assert [row.question_sentiment for row in stub.rows if row.question == "question 1"] == [Sentiment.NEUTRAL]


async def test_an_interrupted_import_is_not_resumed_with_other_labels(
    stub: StubPlatform, options: ImportOptions, tmp_path: Path
) -> None:
    path = write_csv(tmp_path / "file.csv", numbered(25))
    stub.break_after = 1
    with pytest.raises(APIConnectionError):
        await run(stub, path, options)
    with pytest.raises(ImportRefusedError, match="without --label-missing was interrupted"):
        await run(stub, path, replace(options, labeller=lambda text: Sentiment.NEUTRAL))


async def test_each_server_has_its_own_journal(options: ImportOptions, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "file.csv", numbered(3))
    with StubPlatform.running() as one, StubPlatform.running() as other:
        await run(one, path, options)
        await run(other, path, options)
        assert len(one.rows) == len(other.rows) == 3


async def test_a_path_that_is_not_a_file_is_rejected(
    stub: StubPlatform, options: ImportOptions, tmp_path: Path
) -> None:
    with pytest.raises(ImportRefusedError, match="no such file"):
        await run(stub, tmp_path / "absent.csv", options)
    with pytest.raises(ImportRefusedError, match="is not a file"):
        await run(stub, tmp_path, options)
    path = write_csv(tmp_path / "file.csv", numbered(3))
    with pytest.raises(ImportRefusedError, match="Not a directory"):
        await run(stub, path, replace(options, state_dir=path))
    assert stub.bulks == []


async def test_an_error_in_the_middle_of_the_file_stops_the_import_cleanly(
    stub: StubPlatform, options: ImportOptions, tmp_path: Path
) -> None:
    first = {"question": "q", "answer": "a", "question_sentiment": "pos", "answer_sentiment": "neg"}
    table = pyarrow.Table.from_pylist([first] * 15)
    pyarrow.parquet.write_table(table, path := tmp_path / "file.parquet", row_group_size=5, compression="none")
    content = bytearray(path.read_bytes())
    last = pyarrow.parquet.ParquetFile(path).metadata.row_group(2).column(0)
    content[last.dictionary_page_offset : last.dictionary_page_offset + 12] = bytes(range(200, 212))
    path.write_bytes(content)
    with pytest.raises(ImportRefusedError, match=r"file\.parquet: "):
        await run(stub, path, options)


async def test_waiting_stops_when_nothing_is_pending(stub: StubPlatform) -> None:
    stub.pending = [3, 1, 0]
    seen: list[int] = []
    async with AsyncClient(stub.base_url) as client:
        await wait_until_indexed(
            client, lambda stats: seen.append(stats.index_status[IndexStatus.PENDING]), sleep=lambda _: asyncio.sleep(0)
        )
    assert seen == [3, 1, 0]
