"""Lint and render the Helm chart, without a cluster and without the `helm` command.

    python -m mh_devtools.deployment.chart VALUES

Helm itself does it: its Go SDK, as the library that helm-python-sdk brings. Prints the manifests; exit code 1 with what
lint found, with what does not fit the chart's schema, or with the name of a value that is missing.
"""

import sys
from pathlib import Path
from typing import Any

import helm_python
import yaml  # type: ignore[import-untyped]  # ships no type information

from mh_devtools.paths import ROOT

CHART = ROOT / "infra" / "helm" / "mental-health"
WARNING = 2
"""Lint's severities are 0 unknown, 1 information, 2 warning, 3 error."""


def render(values: dict[str, Any], release: str, namespace: str) -> dict[str, str]:
    """Return the manifests by template. Raises `helm_python.HelmError` with what is wrong."""
    with helm_python.Chart.load(str(CHART)) as chart:
        chart.validate_schema(chart.merge_values(values))
        return chart.render(values, name=release, namespace=namespace)


def main() -> None:
    """Lint, then print."""
    values = yaml.safe_load(Path(sys.argv[1]).read_text(encoding="utf-8")) if sys.argv[1:] else {}
    try:
        manifests = render(values, "demo", "mental-health")
    except helm_python.HelmError as error:
        sys.exit(str(error))
    findings = helm_python.lint(str(CHART), values, strict=True)["messages"]
    if found := [finding for finding in findings if finding["severity"] >= WARNING]:
        sys.exit("\n".join(f"{finding['path']}: {finding['error']}" for finding in found))
    for template, text in manifests.items():
        if not template.endswith(".txt"):
            print(f"---\n# {template}\n{text.strip()}")


if __name__ == "__main__":
    main()
