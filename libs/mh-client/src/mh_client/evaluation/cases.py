"""Labelled queries: a JSON Lines file with a query and its relevant results on each line."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self, TypeVar

from mh_common.models import ConversationId, DataSet, QueryText, SearchHit
from mh_common.models.experiments import MAX_CASES, MAX_THEMES, Name
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from mh_client._base import field_problems
from mh_client._errors import EvaluationRefusedError

QuestionText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class ThemedCase(BaseModel):
    """A case that may belong to a theme."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    theme: Name | None = None


C = TypeVar("C", bound=ThemedCase)


class Case(ThemedCase):
    """A query and its relevant results: one or more questions, by their text, or conversations, by their ids."""

    query: QueryText
    relevant_question: QuestionText | None = None
    relevant_questions: Annotated[list[QuestionText], Field(min_length=1)] | None = None
    relevant_ids: Annotated[list[ConversationId], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _says_what_is_relevant(self) -> Self:
        given = (self.relevant_question, self.relevant_questions, self.relevant_ids)
        if sum(one is not None for one in given) != 1:
            raise ValueError("give one of relevant_question, relevant_questions and relevant_ids")
        return self

    def relevant(self) -> set[str]:
        """Return the keys of the relevant results, in the form of `ranked`."""
        if self.relevant_ids is not None:
            return {str(key) for key in self.relevant_ids}
        return {self.relevant_question} if self.relevant_question else set(self.relevant_questions or ())

    def ranked(self, hits: Sequence[SearchHit]) -> list[str]:
        """Return the keys of the hits, best first: distinct questions, or ids if `relevant_ids` is set."""
        if self.relevant_ids is None:
            return list(dict.fromkeys(hit.question.strip() for hit in hits))
        return list(dict.fromkeys(str(hit.id) for hit in hits))


@dataclass(frozen=True)
class LabelledQueries:
    """A data set and its cases, in the file's order."""

    data_set: DataSet
    cases: tuple[Case, ...]

    def by_theme(self) -> dict[str, list[int]]:
        """Return the indexes of the cases of each theme, by name; cases without a theme are left out."""
        return indexes_by_theme(self.cases)


def indexes_by_theme(cases: Sequence[ThemedCase]) -> dict[str, list[int]]:
    """Return the indexes of the cases of each theme, by name; cases without a theme are left out."""
    themes: dict[str, list[int]] = {}
    for index, case in enumerate(cases):
        if case.theme is not None:
            themes.setdefault(case.theme, []).append(index)
    return dict(sorted(themes.items()))


def read_queries(path: Path) -> LabelledQueries:
    """Read the file; empty lines are ignored.

    Raises:
        EvaluationRefusedError: the file cannot be read, or a line is invalid; the message has its number, not its text.
    """
    data_set, cases = read_lines(path, Case)
    return LabelledQueries(data_set, cases)


def read_lines(path: Path, kind: type[C]) -> tuple[DataSet, tuple[C, ...]]:
    """Read a file of cases of this kind, one a line. Raises EvaluationRefusedError as `read_queries` does."""
    try:
        content = path.read_bytes()
        lines = content.decode("utf-8").split("\n")
    except OSError as error:
        raise EvaluationRefusedError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise EvaluationRefusedError(f"{path} is not UTF-8 (byte {error.start})") from None
    cases = tuple(_case(path, number, line, kind) for number, line in enumerate(lines, start=1) if line.strip())
    if not 1 <= len(cases) <= MAX_CASES:
        raise EvaluationRefusedError(f"{path} has {len(cases):,} queries; 1 to {MAX_CASES:,} are allowed")
    data_set = DataSet(name=path.name[-200:], sha256=hashlib.sha256(content).hexdigest(), cases=len(cases))
    if len(indexes_by_theme(cases)) > MAX_THEMES:
        raise EvaluationRefusedError(f"{path} has more than {MAX_THEMES} themes")
    return data_set, cases


def _case(path: Path, number: int, line: str, kind: type[C]) -> C:
    try:
        return kind.model_validate_json(line)
    except ValidationError as error:
        problem = field_problems(error)[0]
        where = f"{problem.field}: " if problem.field else ""
        raise EvaluationRefusedError(f"{path}, line {number}: {where}{problem.message}") from None
