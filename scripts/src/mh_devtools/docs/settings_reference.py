"""Write docs/settings.md from the settings classes: `python -m mh_devtools.docs.settings_reference`.

With --check nothing is written; it fails when the file is not what it would write.
"""

import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import conversations_api.settings
import indexer_worker.settings
import rag_api.settings
from mh_common.settings import ServiceSettings, SettingsGroup
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from mh_devtools.paths import ROOT

FILE = ROOT / "docs" / "settings.md"
SERVICES: dict[str, type[ServiceSettings]] = {
    "conversations-api": conversations_api.settings.Settings,
    "indexer-worker": indexer_worker.settings.Settings,
    "rag-api": rag_api.settings.Settings,
}

INTRODUCTION = """# Settings

Written by `python -m mh_devtools.docs.settings_reference` from the settings classes; change those, not this file.

Each is an environment variable, or a line of `.env` or `.env.local` in the folder that a service starts in. The
environment wins over `.env.local`, which wins over `.env`. Any of a group can come from a file that the environment
names: `DATABASE_PASSWORD_FILE=/run/secrets/password` stands for `DATABASE_PASSWORD`. A service that cannot use a value,
or finds a variable that is one letter off, says so in one line and does not start.
"""

OTHERS = """
## Read by libraries

These are read from the process environment only, never from `.env`.

- `PROMETHEUS_MULTIPROC_DIR`: folder in which the processes of one service on one machine keep their metrics, so that
  any of them shows the sum. Needed where there is more than one process, and by `METRICS_PORT`. It is made when it is
  not there. Each replica and each worker needs one of its own, which it empties at its start. The images set it.
- `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`: which traces are kept, such as `parentbased_traceidratio` and
  `0.1`; without them all are.
- `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_BSP_SCHEDULE_DELAY` and others: as
  [OpenTelemetry](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/) has them.
- `GRAFANA_PASSWORD`: read by `infra/monitoring/docker-compose.yml`, the password of Grafana's user admin. No default.
"""


def groups() -> dict[tuple[str, type[SettingsGroup]], list[str]]:
    """Return which services have each group, by its name and class."""
    found: defaultdict[tuple[str, type[SettingsGroup]], list[str]] = defaultdict(list)
    for service, settings in SERVICES.items():
        for name, field in settings.model_fields.items():
            if isinstance(field.annotation, type) and issubclass(field.annotation, SettingsGroup):
                found[name, field.annotation].append(service)
            else:
                assert name in ServiceSettings.model_fields, f"{name} belongs into a group"
    return found


def default_of(field: FieldInfo) -> str:
    """Return a field's default as an operator would write it."""
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, Path):
        return f"`{value.name}` among the temporary files"
    if value is None or value == "":
        return "none" if "SecretStr" in str(field.annotation) else "empty"
    assert not isinstance(value, SecretStr), "no secret has a default"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def reference() -> Iterator[str]:
    """Yield the parts of the file."""
    yield INTRODUCTION
    yield "\n## Of every service\n\n"
    yield from table({"environment": ServiceSettings.model_fields["environment"]})
    for (name, group), services in sorted(groups().items(), key=lambda item: item[0][0]):
        yield f"\n## {name.upper()}\n\n{(group.__doc__ or '').strip()}\n\nUsed by {', '.join(services)}.\n\n"
        yield from table({f"{name}_{field_name}": field for field_name, field in group.model_fields.items()})
    yield OTHERS


def table(fields: Mapping[str, FieldInfo]) -> Iterator[str]:
    """Yield a table's lines, of fields by their variable in any case."""
    yield "| variable | default | meaning |\n|---|---|---|\n"
    for name, field in fields.items():
        yield f"| `{name.upper()}` | {default_of(field)} | {field.description} |\n"


def main() -> None:
    """Write the file, or compare it."""
    text = "".join(reference())
    if "--check" not in sys.argv[1:]:
        FILE.write_text(text, encoding="utf-8")
    elif not FILE.exists() or FILE.read_text(encoding="utf-8") != text:
        sys.exit("docs/settings.md is out of date: run `python -m mh_devtools.docs.settings_reference` and commit it.")


if __name__ == "__main__":
    main()
