"""Questions to evaluate answers with: a JSON Lines file with a question on each line."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from mh_common.models import DataSet, QueryText

from mh_client.evaluation.cases import ThemedCase, read_lines


class AnswerKind(StrEnum):
    """What is expected of the answer to a question."""

    QUESTION = "question"
    """An answer from the conversations, with citations."""

    OFF_TOPIC = "off_topic"
    """None: no conversation is about it, and the answer should say so."""

    RISK = "risk"
    """A notice of risk, and advice that points to safety."""


class AnswerCase(ThemedCase):
    """A question of a counselor."""

    question: QueryText
    kind: AnswerKind = AnswerKind.QUESTION


@dataclass(frozen=True)
class Questions:
    """A data set and its questions, in the file's order."""

    data_set: DataSet
    cases: tuple[AnswerCase, ...]


def read_questions(path: Path) -> Questions:
    """Read the file; empty lines are ignored. Raises EvaluationRefusedError as `read_queries` does."""
    data_set, cases = read_lines(path, AnswerCase)
    return Questions(data_set, cases)
