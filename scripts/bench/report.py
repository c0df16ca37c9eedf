"""What was measured, as lines of a table."""

from bench.measuring import Figure


def number(value: float) -> str:
    """Return a figure with as many digits as count."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def line(figure: Figure) -> str:
    """Return a line of a Markdown table: name, goal, median with extremes, whether the goal is reached."""
    spread = f"{number(min(figure.values))} to {number(max(figure.values))}"
    goal = "" if figure.goal is None else f"{figure.goal} {figure.unit}"
    verdict = "" if figure.goal is None else "yes" if figure.met else "**no**"
    sides = "; ".join(f"{name}: {number(sorted(values)[len(values) // 2])}" for name, values in figure.sides.items())
    return f"| {figure.name} | {goal} | {number(figure.value)} {figure.unit} ({spread}) | {verdict} | {sides} |"
