"""Metrics, log events, alerts, dashboard and their documentation name the same things."""

import ast
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import conversations_api.metrics
import indexer_worker.metrics
import mh_common.embeddings.metrics
import mh_common.rate_limits
import mh_common.web.metrics
import pytest
import rag_api.metrics
import yaml  # type: ignore[import-untyped]  # ships no type information
from conversations_api.database import make_engine, make_session_factory
from conversations_api.gauges import Gauges
from conversations_api.settings import DatabaseSettings
from indexer_worker.liveness.gauges import QueueGauges
from indexer_worker.liveness.queue_depth import JobQueue
from mh_common.metrics import Counter, Histogram
from mh_common.settings import RedisSettings
from mh_devtools import servers
from mh_devtools.docs import settings_reference

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "infra" / "monitoring"
DASHBOARD = FOLDER / "grafana" / "dashboards" / "platform.json"
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
MODULES = (
    mh_common.rate_limits,
    mh_common.web.metrics,
    mh_common.embeddings.metrics,
    conversations_api.metrics,
    indexer_worker.metrics,
    rag_api.metrics,
)
LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}
ENDINGS = re.compile(r"_(bucket|sum|count)$")
PROMETHEUS_LABELS = {"job", "instance", "le"}


def metrics() -> dict[str, set[str]]:
    """Every metric of the services, with its labels."""
    found: dict[str, set[str]] = {}
    for module in MODULES:
        for metric in vars(module).values():
            if isinstance(metric, Counter | Histogram):
                name = f"{metric._name}_total" if isinstance(metric, Counter) else metric._name
                found[name] = set(metric._labelnames)
    backlog = JobQueue(RedisSettings())
    gauges = Gauges(make_session_factory(make_engine(DatabaseSettings())), ["conversation"])
    for family in (*gauges.collect(), *QueueGauges(backlog).describe()):
        found[family.name] = set(getattr(family, "_labelnames", ()))
    return found


METRICS = metrics()


def alerts() -> list[dict[str, Any]]:
    document = yaml.safe_load((FOLDER / "alerts.yml").read_text(encoding="utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return found


def expressions() -> Iterator[str]:
    for panel in panels():
        for target in panel.get("targets", []):
            yield target["expr"]
    for rule in alerts():
        yield rule["expr"]


def documented(heading: str) -> set[str]:
    """The names in the first column of the tables under a heading."""
    part = re.split(r"^## ", OPERATIONS, flags=re.MULTILINE)
    (section,) = [text for text in part if text.startswith(f"{heading}\n")]
    return set(re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE))


def constants(file: Path) -> dict[str, str]:
    """The module's string constants, by name."""
    found = {}
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Constant):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Name) and isinstance(node.value.value, str):
                found[target.id] = node.value.value
    return found


def log_events() -> Iterator[tuple[str, str]]:
    """Every event that our code logs, with its location."""
    for file in [*ROOT.glob("libs/*/src/**/*.py"), *ROOT.glob("services/*/src/**/*.py")]:
        known = constants(file)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
                continue
            if isinstance(node.func.value, ast.Name) and node.func.value.id == "log" and node.func.attr in LEVELS:
                event = node.args[0]
                name = known.get(event.id, event.id) if isinstance(event, ast.Name) else ast.literal_eval(event)
                yield name, f"{file.name}:{node.lineno}"


def test_every_metric_is_documented_and_on_the_dashboard() -> None:
    assert documented("Metrics") == set(METRICS)
    shown = " ".join(target["expr"] for panel in panels() for target in panel.get("targets", []))
    assert {name for name in METRICS if name not in shown} == set()


def test_dashboard_and_alerts_ask_for_metrics_and_labels_that_exist() -> None:
    for expression in expressions():
        for name, matchers in re.findall(r"(mh_\w+)(?:\{([^}]*)\})?", expression):
            metric = name if name in METRICS else ENDINGS.sub("", name)
            assert metric in METRICS, f"{name} in {expression}"
            asked = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))
            assert asked <= METRICS[metric] | PROMETHEUS_LABELS, expression
        for labels in re.findall(r"by \(([^)]*)\)", expression):
            known = set().union(*(METRICS[name] for name in METRICS if name in expression))
            assert {label.strip() for label in labels.split(",")} <= known | PROMETHEUS_LABELS, expression


def test_the_dashboard_s_panels_are_whole() -> None:
    sources = yaml.safe_load((FOLDER / "grafana/provisioning/datasources/prometheus.yml").read_text(encoding="utf-8"))
    uids = {source["uid"] for source in sources["datasources"]}
    ids = [panel["id"] for panel in panels()]
    assert len(ids) == len(set(ids))
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels()]
    assert len(places) == len(set(places))
    for panel in panels():
        if panel["type"] != "row":
            assert panel["title"]
            assert panel["description"]
            assert panel["targets"]
            assert {target["datasource"]["uid"] for target in panel["targets"]} <= uids


def test_every_log_event_is_documented() -> None:
    events = dict(log_events())
    assert {name: place for name, place in events.items() if not re.fullmatch(r"[a-z_]+", name)} == {}
    assert documented("Log events") == set(events)


def test_every_alert_is_documented_and_tried_out() -> None:
    names = [rule["alert"] for rule in alerts()]
    assert len(names) == len(set(names))
    assert documented("Alerts") == set(names)
    tests = yaml.safe_load((FOLDER / "alerts_test.yml").read_text(encoding="utf-8"))["tests"]
    raised = {one["alertname"] for test in tests for one in test.get("alert_rule_test", []) if one["exp_alerts"]}
    assert raised == set(names)
    assert all(rule["labels"]["severity"] in {"critical", "warning", "info"} for rule in alerts())


def test_links_within_the_operations_page_lead_somewhere() -> None:
    headings = re.findall(r"^#+ (.+)$", OPERATIONS, flags=re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", OPERATIONS)) <= anchors


def test_the_settings_reference_is_up_to_date() -> None:
    written = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert written == "".join(settings_reference.reference()), "run `python -m mh_devtools.docs.settings_reference`"


@pytest.fixture
def promtool() -> Callable[..., str]:
    """Run promtool in the folder; return its output."""
    found = servers.on_path("promtool")
    if found is None:
        pytest.skip("promtool is not installed")

    def run(*arguments: str) -> str:
        done = subprocess.run([found, *arguments], cwd=FOLDER, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_prometheus_takes_its_files(promtool: Callable[..., str]) -> None:
    assert "SUCCESS" in promtool("check", "config", "prometheus.yml")
    assert f"{len(alerts())} rules found" in promtool("check", "rules", "alerts.yml")


def test_each_alert_is_raised_by_what_it_is_for_and_not_otherwise(promtool: Callable[..., str]) -> None:
    assert "SUCCESS" in promtool("test", "rules", "alerts_test.yml")
