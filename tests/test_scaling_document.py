"""The figures in docs/scaling.md are those that the script computes, and the script is correct."""

from dataclasses import replace
from pathlib import Path

import pytest
from mh_client import ConversationCreate
from mh_common.models import Sentiment
from mh_devtools.bench import sizing, texts
from mh_devtools.bench.documents import filled
from mh_devtools.bench.sizing import Assumptions, Measured


@pytest.fixture(scope="module")
def measured() -> Measured:
    return Measured()


def cell(table: str, row: str, column: int) -> str:
    [line] = [line for line in table.splitlines() if line.startswith(f"| {row} ")]
    return line.split(" | ")[column].removesuffix(" |")


def test_the_document_has_the_tables_that_the_script_makes(measured: Measured) -> None:
    document = sizing.DOCUMENT.read_text(encoding="utf-8")
    assert filled(document, sizing.tables(measured, Assumptions())) == document, (
        "run `make rates`, or python -m mh_devtools.bench.sizing --write"
    )


def test_bytes_of_a_vector_follow_the_formulas() -> None:
    # By hand: 384 * 4 = 1,536; 2 * 18 * 4 = 144; 384 / 8 + 16 = 64; 0.225 * 1,536 = 345.6; a node of 1,764 bytes fits a
    # sector of 4,096 twice; one of 6,372 (1,536 dimensions) needs two sectors.
    one = Assumptions(vectors=1)
    assert list(sizing.vector_bytes(one, 384).values()) == [1536, 1680, 448, 64, pytest.approx(345.6), 2048]
    assert sizing.vector_bytes(one, 1536)["DISKANN, disk of each query node's share"] == 8192
    assert sizing.vector_bytes(Assumptions(), 384)["vectors as they are"] == 2 * 1536


def test_tables_follow_the_measurements(measured: Measured) -> None:
    chosen = Assumptions()
    storage = sizing.storage_table(measured, chosen)
    assert cell(storage, "vectors as they are, 384 dims", 2) == "3.1 GB"
    assert cell(storage, "vectors as they are, 1536 dims", 3) == "1.2 TB"
    tokens = measured.texts["embedded_tokens"]
    filling = sizing.filling_table(measured, chosen)
    assert cell(filling, "price at OpenAI", 2) == f"${sizing.number(100 * tokens * 0.02)}"
    dearer = sizing.filling_table(measured, replace(chosen, price=0.2))
    assert cell(dearer, "price at OpenAI", 2) == f"${sizing.number(100 * tokens * 0.2)}"
    seconds = measured.document["rates"]["search"]["cpu_ms"]["rag-api"] / 1000
    cores = int(cell(sizing.peak_table(measured, chosen), "rag-api, queries embedded by OpenAI: cores", 2))
    assert cores - 1 < 500 * seconds / 0.6 <= cores


def test_variants_have_the_lengths_of_the_data_set_and_no_question_twice(tmp_path: Path) -> None:
    from mh_devtools.bench.data import read_rows

    rows = [
        ConversationCreate(
            question=f"word {number} " * number,
            answer="answer, with a comma",
            question_sentiment=Sentiment.NEGATIVE,
            answer_sentiment=Sentiment.POSITIVE,
        )
        for number in range(1, 4)
    ]
    more = [*texts.variants(rows, 0, 5), *texts.variants(rows, 5, 5)]
    texts.write_rows(more, tmp_path / "rows.csv")
    assert read_rows(tmp_path / "rows.csv") == more
    assert len({row.question for row in more}) == len(more) == 10
    found = texts.measure_texts(rows)
    assert (found.question_words, found.answer_words) == (4, 4)
    assert found.embedded_tokens > 2 * found.question_words + found.answer_words
    assert found.indexed_words_bytes > found.question_bytes
    assert found.distinct_words == 6
