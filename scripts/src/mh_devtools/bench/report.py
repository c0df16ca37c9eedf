"""Reports: tables of the figures, and a list of those that miss their goals."""

from collections.abc import Sequence

from mh_devtools.bench.measuring import Figure
from mh_devtools.bench.record import Record

HEAD = ("figure", "goal", "median (range)", "reached", "what was measured, medians")


def number(value: float) -> str:
    """Format a number with its significant digits."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def line(figure: Figure) -> str:
    """Return a figure as a line of the table."""
    reached = "" if figure.goal is None else "yes" if figure.met else "**no**"
    sides = "; ".join(f"{name}: {number(_median(values))}" for name, values in figure.sides.items())
    note = f"{sides}. {figure.note}" if sides and figure.note else sides + figure.note
    return f"{_short_line(figure)} {reached} | {note} |"


def _short_line(figure: Figure) -> str:
    """Return name, goal and median, with the extremes if there are several rounds."""
    spread = f"{number(figure.value)}{_unit(figure)}"
    if len(figure.values) > 1:
        spread += f" ({number(min(figure.values))} to {number(max(figure.values))})"
    goal = "" if figure.goal is None else f"{figure.goal}{_unit(figure)}"
    return f"| {figure.name} | {goal} | {spread} |"


def _unit(figure: Figure) -> str:
    return "" if figure.unit in ("", "times") else f" {figure.unit}"


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


def table(figures: Sequence[Figure]) -> str:
    """Return a section's figures as a Markdown table."""
    head = [f"| {' | '.join(HEAD)} |", "|" + "---|" * len(HEAD)]
    return "\n".join([*head, *(line(figure) for figure in figures)])


def shortfalls(record: Record) -> str:
    """Return a list of the figures that miss their goals, the worst first."""
    short = [figure for figures in record.sections.values() for figure in figures if not figure.met]
    if not short:
        return "Every goal is reached."
    lines = [_shortfall(figure) for figure in sorted(short, key=_lack, reverse=True)]
    total = sum(figure.goal is not None for figures in record.sections.values() for figure in figures)
    return "\n".join([f"{total - len(short)} of {total} goals are reached. These are not:", "", *lines])


def _lack(figure: Figure) -> float:
    """Return the factor by which a figure misses its goal."""
    assert figure.goal is not None
    if figure.goal.at_least:
        return figure.goal.bound / max(figure.value, 1e-9)
    return figure.value / max(figure.goal.bound, 1e-9)


def _shortfall(figure: Figure) -> str:
    unit = _unit(figure)
    return f"- {figure.name}: {number(figure.value)}{unit}, where the goal is {figure.goal}{unit}."


def about(record: Record) -> str:
    """Return a description of the run's environment."""
    machine, commit, data = (record.about[name] for name in ("machine", "commit", "data"))
    changed = ", with changes that are not committed" if commit["changed"] else ""
    versions = ", ".join(f"{name} {version}" for name, version in record.about["versions"].items())
    minutes = sum(record.minutes.values())
    return (
        f"{record.date}, commit `{commit['id'][:12]}`{changed}; {machine['cpus']} cores of {machine['processor']}, "
        f"{machine['memory_gib']} GiB, Python {machine['python']}, {machine['platform']}. "
        f"Data: {data['rows']:,} conversations, on average {data['question_words']} words a question and "
        f"{data['answer_words']} an answer. The run took {minutes:.0f} minutes. Versions: {versions}."
    )


def tables(record: Record) -> dict[str, str]:
    """Return every table of docs/benchmarks.md by its marker."""
    return {
        "about": about(record),
        "shortfalls": shortfalls(record),
        **{name: table(figures) for name, figures in record.sections.items()},
    }


def highlights(record: Record, names: Sequence[str]) -> str:
    """Return the README's table with these figures, in this order. Raises KeyError if one is missing."""
    known = {figure.name: figure for figures in record.sections.values() for figure in figures}
    lines = (_short_line(known[name]) for name in names)
    return "\n".join(["| figure | goal | measured |", "|---|---|---|", *lines])
