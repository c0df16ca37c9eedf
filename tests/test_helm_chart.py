"""The Helm chart, as rendered by Helm."""

import importlib
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml  # type: ignore[import-untyped]  # ships no type information
from mh_common.settings import variables

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("helm_python") is None and os.environ.get("CI") != "true",
    reason="Helm's library has no wheel for this platform",
)

ROOT = Path(__file__).resolve().parent.parent
CHART = ROOT / "infra" / "helm" / "mental-health"
GATEWAY = ROOT / "infra" / "gateway"
OLDEST_KUBERNETES = "1.30"
WORKLOADS = {"Deployment", "Job"}
OURS = {
    "conversations-api": "conversations_api.settings",
    "migration": "conversations_api.settings",
    "indexer-worker": "indexer_worker.settings",
    "indexer-beat": "indexer_worker.settings",
    "rag-api": "rag_api.settings",
}
# The allowed connections between our pods.
CONNECTIONS = {
    ("gateway", "conversations-api"),
    ("gateway", "rag-api"),
    ("rag-api", "conversations-api"),
    ("indexer-worker", "conversations-api"),
}
STORES = {
    "gateway": set[int](),
    "conversations-api": {3306, 6379},
    "migration": {3306},
    "rag-api": {19530, 443},
    "indexer-worker": {6379, 19530, 443},
    "indexer-beat": {6379},
    "flower": {6379},
}

Object = dict[str, Any]


def run(values: str, folder: Path) -> subprocess.CompletedProcess[str]:
    file = folder / "values.yaml"
    file.write_text(values, encoding="utf-8")
    command = [sys.executable, "-m", "mh_devtools.deployment.chart", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)


@cache
def rendered(name: str) -> list[Object]:
    command = [sys.executable, "-m", "mh_devtools.deployment.chart", str(CHART / "ci" / f"{name}.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


@pytest.fixture(params=["minimal", "full"])
def objects(request: pytest.FixtureRequest) -> list[Object]:
    return rendered(request.param)


def of(objects: list[Object], *kinds: str) -> list[Object]:
    return [one for one in objects if one["kind"] in kinds]


def part(one: Object) -> str:
    """Return the part of the platform that an object belongs to."""
    return str(one["metadata"]["labels"]["app.kubernetes.io/name"])


def pods(objects: list[Object]) -> dict[str, Object]:
    return {part(one): one["spec"]["template"] for one in of(objects, *WORKLOADS)}


def container(pod: Object) -> Object:
    [only] = pod["spec"]["containers"]
    return dict(only)


def named(objects: list[Object], kind: str) -> dict[str, Object]:
    return {one["metadata"]["name"]: one for one in of(objects, kind)}


def selects(selector: Object, pod: Object) -> bool:
    return bool(selector["matchLabels"].items() <= pod["metadata"]["labels"].items())


@pytest.mark.parametrize("version", [OLDEST_KUBERNETES, kubernetes_validate.latest_version()])
def test_kubernetes_takes_every_object(objects: list[Object], version: str) -> None:
    for one in objects:
        if one["apiVersion"].startswith("monitoring.coreos.com/"):
            continue  # of the Prometheus operator, whose schema Kubernetes does not have
        kubernetes_validate.validate(one, version, strict=True)
    names = [(one["kind"], one["metadata"]["name"]) for one in objects]
    assert len(names) == len(set(names))


def test_no_pod_has_more_rights_than_it_needs(objects: list[Object]) -> None:
    for name, pod in pods(objects).items():
        assert pod["spec"]["automountServiceAccountToken"] is False, name
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        assert pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container(pod)["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container(pod)["resources"]["requests"].keys() == {"cpu", "memory"}
        assert "memory" in container(pod)["resources"]["limits"]


def test_whatever_is_referred_to_exists(objects: list[Object]) -> None:
    deployments, all_pods = named(objects, "Deployment"), pods(objects)
    for name, pod in all_pods.items():
        for source in container(pod).get("envFrom", []):
            assert source["configMapRef"]["name"] in named(objects, "ConfigMap"), name
        for volume in pod["spec"]["volumes"]:
            if "configMap" in volume:
                assert volume["configMap"]["name"] in named(objects, "ConfigMap")
        mounted = {mount["name"] for mount in container(pod)["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["spec"]["volumes"]}
        # The migration runs before the account exists.
        account = pod["spec"].get("serviceAccountName")
        assert (account in named(objects, "ServiceAccount")) if name != "migration" else account is None
    for one in of(objects, "Service", "PodDisruptionBudget", "NetworkPolicy"):
        spec = one["spec"]
        selector = spec.get("podSelector") or spec["selector"]
        selector = selector if "matchLabels" in selector else {"matchLabels": selector}
        found = [name for name, pod in all_pods.items() if selects(selector, pod)]
        assert found or part(one) == "flower", one["metadata"]["name"]
        if one["kind"] == "Service":
            ports = {port["name"] for port in container(all_pods[found[0]])["ports"]}
            assert {port["targetPort"] for port in spec["ports"]} <= ports
    for scaler in of(objects, "HorizontalPodAutoscaler"):
        target = deployments[scaler["spec"]["scaleTargetRef"]["name"]]
        # Otherwise each upgrade would reset the autoscaler's replica count.
        assert "replicas" not in target["spec"]


def test_a_rollout_takes_no_capacity_away_and_lets_requests_end(objects: list[Object]) -> None:
    for one in of(objects, "Deployment"):
        spec, pod = one["spec"], one["spec"]["template"]["spec"]
        if part(one) in {"conversations-api", "rag-api", "gateway", "indexer-worker"}:
            assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
        if part(one) in {"conversations-api", "rag-api", "gateway"}:
            only = pod["containers"][0]
            assert only["readinessProbe"]["httpGet"]["path"] != only["livenessProbe"]["httpGet"]["path"] or (
                part(one) == "gateway"
            )
            assert pod["terminationGracePeriodSeconds"] >= only["lifecycle"]["preStop"]["sleep"]["seconds"] + 25
    budgets = {part(one): one["spec"]["maxUnavailable"] for one in of(objects, "PodDisruptionBudget")}
    assert budgets == dict.fromkeys(("conversations-api", "rag-api", "gateway", "indexer-worker"), 1)


def peers(rules: list[Object], all_pods: dict[str, Object]) -> Iterator[str]:
    """Return the parts that the rules select by pod selector."""
    for rule in rules:
        for peer in [*rule.get("from", []), *rule.get("to", [])]:
            yield from (
                name for name, pod in all_pods.items() if "podSelector" in peer if selects(peer["podSelector"], pod)
            )


def test_each_part_reaches_what_it_needs_and_nothing_else(objects: list[Object]) -> None:
    all_pods = pods(objects)
    policies = {part(one): one["spec"] for one in of(objects, "NetworkPolicy")}
    deny = policies.pop("default-deny")
    assert deny.keys() == {"podSelector", "policyTypes"}
    assert set(deny["policyTypes"]) == {"Ingress", "Egress"}
    assert all(selects(deny["podSelector"], pod) for pod in all_pods.values())
    assert all_pods.keys() <= policies.keys()
    incoming = {(peer, name) for name in policies for peer in peers(policies[name].get("ingress", []), all_pods)}
    outgoing = {(name, peer) for name in policies for peer in peers(policies[name]["egress"], all_pods)}
    assert incoming == outgoing == CONNECTIONS
    keeps_queries = any(variable["name"] == "SEARCH_REDIS_URL" for variable in container(all_pods["rag-api"])["env"])
    for name, policy in policies.items():
        ports = {port["port"] for rule in policy["egress"] for port in rule["ports"]}
        # With all features: the cache of queries, and the OpenID provider.
        optional = {"rag-api": {6379}, "conversations-api": {443}}.get(name, set()) if keeps_queries else set()
        assert ports - {53, 8000, 4318} == STORES[name] | optional, name
        assert (8000 in ports) == any(start == name for start, _ in CONNECTIONS)


def test_every_variable_is_one_that_the_service_knows() -> None:
    objects = rendered("minimal")
    maps = named(objects, "ConfigMap")
    for name, pod in pods(objects).items():
        if name in OURS:
            given = {variable["name"] for variable in container(pod)["env"]}
            for source in container(pod).get("envFrom", []):
                given |= maps[source["configMapRef"]["name"]]["data"].keys()
            assert given <= set(variables(importlib.import_module(OURS[name]).Settings)), name


def test_services_refuse_empty_secrets_and_rag_api_asks_no_model_without_a_key() -> None:
    maps = {kind: named(rendered(kind), "ConfigMap") for kind in ("minimal", "full")}
    for kind, mode in (("minimal", "quotes"), ("full", None)):
        configs = {name.partition("-")[2]: found["data"] for name, found in maps[kind].items()}
        assert {name for name, data in configs.items() if data.get("ENVIRONMENT") == "production"} == {
            "conversations-api",
            "rag-api",
            "indexer-worker",
        }
        assert configs["rag-api"].get("ANSWERS_MODE") == mode
        modes = {name: data.get("AUTH_MODE") for name, data in configs.items()}
        assert {name for name, found in modes.items() if found} == {"conversations-api", "rag-api"}
        assert modes["conversations-api"] == modes["rag-api"] == "required"


def test_secrets_come_from_the_named_ones_and_reach_only_who_needs_them(objects: list[Object]) -> None:
    assert not of(objects, "Secret")
    given = {
        name: {
            variable["valueFrom"]["secretKeyRef"]["name"]
            for variable in container(pod)["env"]
            if "secretKeyRef" in variable.get("valueFrom", {})
        }
        for name, pod in pods(objects).items()
    }
    openai = {"openai"} if any("openai" in names for names in given.values()) else set()
    optional = {"first-administrator", "oidc"} if openai else set()
    assert {name: names for name, names in given.items() if name != "flower"} == {
        "conversations-api": {"mysql", "redis", "service-key"} | optional,
        "migration": {"mysql"},
        "indexer-worker": {"redis", "milvus", "service-key"} | openai,
        "indexer-beat": {"redis"},
        "rag-api": {"milvus"} | openai | ({"search-cache"} if openai else set()),
        "gateway": set(),
    }


def test_the_gateway_is_that_of_the_compose_file(objects: list[Object]) -> None:
    maps = named(objects, "ConfigMap")
    template = (GATEWAY / "nginx.conf.template").read_text(encoding="utf-8")
    assert maps["demo-gateway-template"]["data"]["nginx.conf.template"].strip() == template.strip()
    pages = {file.name: file.read_text(encoding="utf-8").strip() for file in (GATEWAY / "pages").iterdir()}
    assert {name: text.strip() for name, text in maps["demo-gateway-pages"]["data"].items()} == pages
    gateway = container(pods(objects)["gateway"])
    given = {variable["name"]: variable["value"] for variable in gateway["env"]}
    assert set(re.findall(r"\$\{([A-Z_]+)\}", template)) <= given.keys()
    compose = yaml.safe_load((GATEWAY / "docker-compose.yml").read_text(encoding="utf-8"))["services"]["gateway"]
    assert gateway["image"] == compose["image"]
    assert given["NGINX_ENVSUBST_FILTER"] == compose["environment"]["NGINX_ENVSUBST_FILTER"].replace("$$", "$")


def test_the_database_is_migrated_before_anything_else() -> None:
    [job] = of(rendered("minimal"), "Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    only = container(job["spec"]["template"])
    assert only["command"] == ["alembic", "-x", "lock_timeout=120", "upgrade", "head"]
    # The other objects of the release do not exist yet.
    assert "envFrom" not in only


def test_options_do_what_they_say() -> None:
    objects = rendered("full")
    worker = pods(objects)["indexer-worker"]["spec"]
    assert worker["terminationGracePeriodSeconds"] == 130
    scalers = {part(one): one["spec"]["metrics"] for one in of(objects, "HorizontalPodAutoscaler")}
    assert scalers["indexer-worker"][0]["external"]["metric"]["name"] == "index_queue_waiting"
    assert scalers["rag-api"][0]["resource"]["name"] == "cpu"
    deployments = {part(one): one["spec"] for one in of(objects, "Deployment")}
    assert deployments["conversations-api"]["replicas"] == 2
    assert container(deployments["rag-api"]["template"])["image"] == (
        "registry.example.org/mental-health/rag-api:1.2.3"
    )
    assert len(of(objects, "ServiceMonitor", "PodMonitor", "Ingress")) == 3


def test_one_value_gives_worker_and_rag_api_the_larger_model(tmp_path: Path) -> None:
    values = yaml.safe_load((CHART / "ci" / "minimal.yaml").read_text(encoding="utf-8"))
    values["index"]["qualityModel"] = True
    done = run(yaml.safe_dump(values), tmp_path)
    assert done.returncode == 0, done.stderr
    objects = [document for document in yaml.safe_load_all(done.stdout) if document]
    settings = {part(one): one["data"] for one in of(objects, "ConfigMap")}
    for name in ("indexer-worker", "rag-api"):
        assert settings[name]["EMBEDDING_MODEL"] == "all-mpnet-base-v2"
        assert settings[name]["EMBEDDING_PROVIDER"] == "local"
        assert f"/{name}-quality-model:" in container(pods(objects)[name])["image"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("secrets: {database: {existingSecret: ''}}", "Set secrets.database.existingSecret"),
        ("secrets: {redis: {existingSecret: ''}}", "Set secrets.redis.existingSecret"),
        ("secrets: {serviceKey: {existingSecret: ''}}", "Set secrets.serviceKey.existingSecret"),
        ("config: {MH_SERVICE_KEY: hush}", "invalid propertyName 'MH_SERVICE_KEY'"),
        ("index: {config: {MILVUS_URI: ''}}", "Set index.config.MILVUS_URI"),
        ("conversationsApi: {config: {DATABASE_URL: ''}}", "Set conversationsApi.config.DATABASE_URL"),
        ("gatway: {replicas: 3}", "additional properties 'gatway' not allowed"),
        ("config: {OPENAI_API_KEY: hush}", "invalid propertyName 'OPENAI_API_KEY'"),
        ("ingress: {enabled: true}", "Set ingress.host"),
    ],
)
def test_values_that_cannot_work_are_refused_by_name(change: str, said: str, tmp_path: Path) -> None:
    values = yaml.safe_load((CHART / "ci" / "minimal.yaml").read_text(encoding="utf-8"))
    for top, value in yaml.safe_load(change).items():
        values[top] = {**values.get(top, {}), **value}
    done = run(yaml.safe_dump(values), tmp_path)
    assert done.returncode == 1
    assert said in done.stderr
    assert "hush" not in done.stderr
