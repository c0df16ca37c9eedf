"""A quality gate for evaluations: minimum figures, given directly or in a baseline file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from mh_common.models import ExperimentCreate, Sha256
from mh_common.models.parameters import decimal
from pydantic import BaseModel, ConfigDict, ValidationError

from mh_client._errors import EvaluationRefusedError

_ROUNDING: Final = 1e-9


class Baseline(BaseModel):
    """Minimum figures, by name of the configuration and of the measure."""

    model_config = ConfigDict(extra="forbid")

    data_set_sha256: Sha256
    figures: dict[str, dict[str, float]]


class Gate:
    """The minimum figures for runs. The baseline is read by the constructor, before anything is run.

    `limits`: `MEASURE=VALUE`, for every run. `baseline`: a file; runs may be up to `tolerance` below it. With `write`
    the file is written instead.

    Raises:
        EvaluationRefusedError: a limit or the baseline is invalid.
    """

    def __init__(
        self, limits: Sequence[str] = (), baseline: Path | None = None, tolerance: float = 0.01, write: bool = False
    ) -> None:
        if write and baseline is None:
            raise EvaluationRefusedError("--write-baseline needs --baseline, the file to write")
        self._limits = parse_limits(limits)
        self._tolerance = tolerance
        self._target = baseline if write else None
        self._baseline = read_baseline(baseline) if baseline is not None and not write else None

    def failures(self, experiments: Sequence[ExperimentCreate]) -> list[str]:
        """Return a line for each figure that is too low. Raises EvaluationRefusedError if they cannot be compared."""
        if self._target is not None:
            write_baseline(self._target, experiments)
        lines = below_limits(experiments, self._limits)
        if self._baseline is not None:
            lines += below_baseline(experiments, self._baseline, self._tolerance)
        return lines


def parse_limits(limits: Sequence[str]) -> dict[str, float]:
    """Parse `MEASURE=VALUE` limits, by measure. Raises EvaluationRefusedError."""
    found = {}
    for limit in limits:
        name, _, text = limit.partition("=")
        try:
            found[name] = decimal(text)
        except ValueError:
            raise EvaluationRefusedError(f"{limit!r} is not of the form MEASURE=VALUE, such as hit@3=0.6") from None
    return found


def below_limits(experiments: Sequence[ExperimentCreate], limits: Mapping[str, float]) -> list[str]:
    """Return a line for each figure below its limit. Raises EvaluationRefusedError for an unknown measure."""
    lines = []
    for one in experiments:
        for measure, limit in limits.items():
            value = _value(one, measure)
            if value < limit - _ROUNDING:
                lines.append(f"{one.name}: {measure} is {value:.4f}, below {limit:.4f}")
    return lines


def read_baseline(path: Path) -> Baseline:
    """Read a baseline. Raises EvaluationRefusedError."""
    try:
        return Baseline.model_validate_json(path.read_bytes())
    except OSError as error:
        reason = f"{error.strerror}; create it with --write-baseline"
        raise EvaluationRefusedError(f"the baseline {path} cannot be read: {reason}") from error
    except ValidationError:
        raise EvaluationRefusedError(f"{path} is not a baseline; create one with --write-baseline") from None


def write_baseline(path: Path, experiments: Sequence[ExperimentCreate]) -> None:
    """Write the experiments' figures as the baseline. Raises EvaluationRefusedError."""
    figures = {
        one.name: {name: round(figure.value, 4) for name, figure in one.metrics.figures.items()} for one in experiments
    }
    baseline = Baseline(data_set_sha256=experiments[0].data_set.sha256, figures=figures)
    try:
        path.write_text(baseline.model_dump_json(indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise EvaluationRefusedError(f"{path} cannot be written: {error.strerror}") from error


def below_baseline(experiments: Sequence[ExperimentCreate], baseline: Baseline, tolerance: float) -> list[str]:
    """Return a line for each figure that is more than `tolerance` below the baseline's.

    Raises:
        EvaluationRefusedError: the baseline is for another data set, or lacks a configuration.
    """
    lines = []
    for one in experiments:
        if one.data_set.sha256 != baseline.data_set_sha256:
            message = "the baseline is for another data set; check the figures and recreate it with --write-baseline"
            raise EvaluationRefusedError(message)
        if one.name not in baseline.figures:
            raise EvaluationRefusedError(f"the baseline has no {one.name!r}; it has {', '.join(baseline.figures)}")
        for measure, before in baseline.figures[one.name].items():
            value = _value(one, measure)
            if value < before - tolerance - _ROUNDING:
                lines.append(f"{one.name}: {measure} is {value:.4f}, {before - value:.4f} below the baseline")
    return lines


def _value(experiment: ExperimentCreate, measure: str) -> float:
    figures = experiment.metrics.figures
    if measure not in figures:
        raise EvaluationRefusedError(f"there is no measure {measure!r}; the measures are {', '.join(figures)}")
    return figures[measure].value
