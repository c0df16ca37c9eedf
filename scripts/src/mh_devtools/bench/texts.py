"""Statistics on the conversations' texts, and generated conversations of the same lengths."""

import csv
import itertools
import re
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mh_client import ConversationCreate
from mh_common.embeddings.local import find_model_dir
from mh_common.stemming import indexed_words
from mh_common.vector_index import embedded_text
from tokenizers import Tokenizer


@dataclass(frozen=True)
class TextFigures:
    """Means per conversation. Tokens are the local model's; for English, their number is close to OpenAI's."""

    question_words: float
    answer_words: float
    question_bytes: float
    answer_bytes: float
    embedded_tokens: float
    """Tokens of the question, plus those of question and answer together, as both are embedded."""
    indexed_words_bytes: float
    distinct_words: float


def measure_texts(rows: Sequence[ConversationCreate]) -> TextFigures:
    """Return the means over the data set."""
    tokenizer = Tokenizer.from_file(str(find_model_dir() / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def tokens(text: str) -> int:
        return len(tokenizer.encode(text).ids)

    def mean(of: Sequence[int]) -> float:
        return statistics.fmean(of)

    return TextFigures(
        question_words=mean([len(row.question.split()) for row in rows]),
        answer_words=mean([len(row.answer.split()) for row in rows]),
        question_bytes=mean([len(row.question.encode()) for row in rows]),
        answer_bytes=mean([len(row.answer.encode()) for row in rows]),
        embedded_tokens=mean([tokens(row.question) + tokens(embedded_text(row.question, row.answer)) for row in rows]),
        indexed_words_bytes=mean([len(indexed_words(row.question, row.answer).encode()) for row in rows]),
        distinct_words=mean([len(set(re.findall(r"\w+", f"{row.question} {row.answer}".lower()))) for row in rows]),
    )


def numbered(rows: Sequence[ConversationCreate], first: int = 0, mark: str = "") -> Iterator[ConversationCreate]:
    """Yield the data set's conversations repeatedly, starting at number `first`, with questions made unique by number.

    `mark` distinguishes the questions of several such sequences.
    """
    for number in itertools.count(first):
        row = rows[number % len(rows)]
        yield row.model_copy(update={"question": f"{row.question} ({mark}{number})"})


def variants(rows: Sequence[ConversationCreate], first: int, count: int) -> list[ConversationCreate]:
    """Return `count` conversations of `numbered`."""
    return list(itertools.islice(numbered(rows, first), count))


def write_rows(rows: Sequence[ConversationCreate], file: Path) -> None:
    """Write conversations to a CSV file that can be imported."""
    with file.open("w", encoding="utf-8", newline="") as output:
        writer = csv.DictWriter(output, list(ConversationCreate.model_fields))
        writer.writeheader()
        writer.writerows(row.model_dump(mode="json") for row in rows)
