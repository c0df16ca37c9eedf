"""Experiments: evaluations of search or of answers on a labelled data set, saved for comparison."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    model_validator,
)

from mh_common.models.base import NORMAL_FORM, AtMost, OneOf, WireModel, max_json_bytes, reject_blank, reject_nul

MAX_CASES = 10_000
"""Most cases of a data set."""

MAX_MEASURES = 32
MAX_THEMES = 200
MAX_CONFIGURATION_BYTES = 16_384

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
MeasureName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_@.]{0,31}$")]
Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(reject_nul),
    AfterValidator(reject_blank),
    NORMAL_FORM,
]
Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
ValuesPerCase = Annotated[list[Fraction | None], AtMost(MAX_CASES)]


class ExperimentKind(StrEnum):
    """What was evaluated."""

    SEARCH = "search"
    ANSWERS = "answers"


class DataSet(WireModel):
    """The queries or questions that were run. Only experiments with the same hash can be compared case by case."""

    name: Name = Field(description="The file's name.")
    sha256: Sha256 = Field(description="SHA-256 of the file, in lower-case hexadecimal.")
    cases: int = Field(ge=1, le=MAX_CASES, description="Number of labelled queries.")


class Figure(WireModel):
    """A mean over the cases that have a value, and its 95 % confidence interval."""

    value: Fraction
    low: Fraction
    high: Fraction

    @model_validator(mode="after")
    def _is_an_interval(self) -> Self:
        if self.low > self.high:
            raise ValueError("low must not be above high")
        return self


Figures = Annotated[dict[MeasureName, Figure], AtMost(MAX_MEASURES, least=1)]


class ThemeMetrics(WireModel):
    """The figures for the cases of one theme."""

    cases: int = Field(ge=1, le=MAX_CASES)
    figures: Figures


class ExperimentMetrics(WireModel):
    """The figures over all cases and by theme."""

    figures: Figures = Field(description="By measure, for example hit@3 or citation_recall.")
    themes: Annotated[dict[Name, ThemeMetrics], AtMost(MAX_THEMES)] = Field(default={}, description="By theme.")


class _ExperimentFields(WireModel):
    kind: OneOf[ExperimentKind] = Field(
        default=ExperimentKind.SEARCH, description="What was evaluated. Kinds have different measures."
    )
    name: Name = Field(description="A descriptive name, for example mode=hybrid.")
    configuration: Annotated[dict[str, JsonValue], AfterValidator(max_json_bytes(MAX_CONFIGURATION_BYTES))] = Field(
        description="What was evaluated: mode, model, fusion, filters, k …; up to 16 KiB of JSON."
    )
    data_set: DataSet
    metrics: ExperimentMetrics
    duration_seconds: float = Field(ge=0, le=1e9, allow_inf_nan=False, description="From the first query to the last.")
    note: Annotated[str, StringConstraints(max_length=2000), AfterValidator(reject_nul)] | None = None


class ExperimentCreate(_ExperimentFields):
    """An experiment to save."""

    per_case: Annotated[dict[MeasureName, ValuesPerCase], AtMost(MAX_MEASURES)] = Field(
        default={},
        description="Each measure's value for every case, in the data set's order; null if it is not about the case.",
    )

    @model_validator(mode="after")
    def _fits_the_data_set(self) -> Self:
        if any(len(values) != self.data_set.cases for values in self.per_case.values()):
            raise ValueError("per_case must have data_set.cases values for each measure")
        if self.per_case and self.per_case.keys() != self.metrics.figures.keys():
            raise ValueError("per_case must have the same measures as metrics.figures, or be empty")
        return self


class Experiment(_ExperimentFields):
    """A saved experiment, without its values per case."""

    model_config = ConfigDict(extra="ignore", strict=False)

    id: int
    created_at: AwareDatetime = Field(description="UTC, microseconds.")


class ExperimentDetail(Experiment):
    """An experiment with its values per case, for paired significance tests."""

    per_case: dict[str, list[float | None]] = Field(
        description="Each measure's value for every case, in the data set's order, null if it is not about the case; "
        "empty if none were sent."
    )


class ExperimentPage(BaseModel):
    """One page of experiments, newest first."""

    items: list[Experiment]
    next_cursor: str | None = Field(description="Pass it as `cursor` for the next page; null on the last one.")
