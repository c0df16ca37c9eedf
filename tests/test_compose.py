"""Checks of the compose files, the images and .env.example."""

import importlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # ships no type information
from mh_common.settings import variables as variables_of
from mh_devtools.deployment import docker_compose
from mh_devtools.servers import debian_unstable, nginx
from mh_devtools.stack import environment

ROOT = Path(__file__).resolve().parent.parent
SERVICES = ("conversations-api", "indexer-worker", "rag-api")
FILES = [
    ROOT / "docker-compose.yml",
    ROOT / "infra" / "stores" / "docker-compose.yml",
    ROOT / "infra" / "gateway" / "docker-compose.yml",
    ROOT / "infra" / "monitoring" / "docker-compose.yml",
    *(ROOT / "services" / name / "docker-compose.yml" for name in SERVICES),
]
# The settings classes with the variables of each compose service.
SETTINGS = {
    "migrate": "conversations_api.settings",
    "conversations-api": "conversations_api.settings",
    "indexer-worker": "indexer_worker.settings",
    "indexer-beat": "indexer_worker.settings",
    "rag-api": "rag_api.settings",
}
ONE_SHOT = {"migrate"}
STORES = {"mysql", "redis", "etcd", "minio", "milvus"}
VARIABLE = re.compile(r"(?<!\$)\$\{([A-Z_]+)([^}]*)\}")
SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|_KEY$")

Service = dict[str, Any]


def load(file: Path) -> dict[str, Any]:
    """A compose file; `environment` includes the variables from environment files."""
    document: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    for service in document.get("services", {}).values():
        files = [(file.parent / name).resolve() for name in service.get("env_file", [])]
        lines = [line for name in files for line in assignments(name)]
        named = {name: value if equals else None for name, equals, value in lines}
        service["environment"] = {**named, **service.get("environment", {})}
    return document


def assignments(file: Path) -> list[tuple[str, str, str]]:
    lines = file.read_text(encoding="utf-8").splitlines()
    return [line.partition("=") for line in lines if line and not line.startswith("#")]


def all_services() -> dict[str, Service]:
    documents = [load(file) for file in FILES]
    return dict(chain.from_iterable(document.get("services", {}).items() for document in documents))


ALL = all_services()
# The environment file of each service.
ENVIRONMENT = {
    "migrate": "conversations-api",
    "conversations-api": "conversations-api",
    "indexer-worker": "indexer-worker",
    "indexer-beat": "indexer-worker",
    "rag-api": "rag-api",
    "flower": "flower",
    "gateway": "gateway",
}


def variables() -> Iterator[tuple[str, str]]:
    """Each ${NAME...} in the compose and environment files, with what follows the name."""
    for file in [*FILES, *sorted(environment.FOLDER.glob("*.env"))]:
        text = re.sub(r"^\s*#.*$", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
        yield from VARIABLE.findall(text)


def passed_through() -> set[str]:
    """Variables that a container gets only if the operator sets them."""
    return {name for service in ALL.values() for name, value in service.get("environment", {}).items() if value is None}


def settings_variables(module: str) -> set[str]:
    return set(variables_of(importlib.import_module(module).Settings))


def test_the_root_file_starts_everything() -> None:
    included = {ROOT / path for path in load(ROOT / "docker-compose.yml")["include"]}
    assert included == set(FILES) - {ROOT / "docker-compose.yml"}
    assert set(ALL) == {*ENVIRONMENT, *STORES, "prometheus", "grafana"}


@pytest.mark.parametrize("name", ALL)
def test_every_service_is_watched_limited_and_started_again(name: str) -> None:
    service = ALL[name]
    assert service["mem_limit"]
    assert "no-new-privileges:true" in service["security_opt"]
    if name in ONE_SHOT:
        assert service["restart"] == "no"
    else:
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"]


@pytest.mark.parametrize("name", ALL)
def test_nothing_is_published_beyond_loopback_and_no_store_at_all(name: str) -> None:
    ports = ALL[name].get("ports", [])
    if name in STORES:
        assert ports == []
    assert all(port.startswith(("127.0.0.1:", "${GATEWAY_ADDRESS:-127.0.0.1}:")) for port in ports)


@pytest.mark.parametrize("name", [*SETTINGS, "gateway", "redis", "flower", "prometheus", "grafana"])
def test_our_services_run_without_privileges_on_a_read_only_root(name: str) -> None:
    service = ALL[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    if name in SETTINGS:
        assert service["tmpfs"]


def test_the_stores_have_no_way_out_and_keep_their_data() -> None:
    stores = load(ROOT / "infra" / "stores" / "docker-compose.yml")
    assert all(network["internal"] for network in stores["networks"].values())
    for name in STORES:
        assert set(ALL[name]["networks"]) <= set(stores["networks"])
        assert [volume.split(":")[0] for volume in ALL[name]["volumes"]] == [name]
    assert set(stores["volumes"]) == STORES
    assert "--appendonly yes" in " ".join(ALL["redis"]["command"])
    assert "--requirepass" in " ".join(ALL["redis"]["command"])
    assert ALL["milvus"]["environment"]["COMMON_SECURITY_AUTHORIZATIONENABLED"] == "true"


def test_no_secret_has_a_default() -> None:
    secrets = [(name, rest) for name, rest in variables() if SECRET.search(name)]
    assert {name for name, _ in secrets} >= {"MYSQL_PASSWORD", "REDIS_PASSWORD", "MILVUS_ROOT_PASSWORD"}
    for name, rest in secrets:
        assert rest.startswith(":?"), f"{name} must be refused when it is empty"
    for service in ALL.values():
        for name, value in service.get("environment", {}).items():
            if SECRET.search(name):
                assert value is None or VARIABLE.search(value), f"{name} is written down"


@pytest.mark.parametrize("name", SETTINGS)
def test_every_variable_of_a_service_is_one_that_its_settings_know(name: str) -> None:
    assert set(ALL[name]["environment"]) <= settings_variables(SETTINGS[name])


@pytest.mark.parametrize("file", sorted(environment.FOLDER.glob("*.env")), ids=lambda file: file.stem)
def test_an_environment_file_holds_no_secret(file: Path) -> None:
    for name, equals, value in assignments(file):
        if equals and SECRET.search(name):
            assert VARIABLE.search(value), f"{name} is written down"
    assert file.stem in ENVIRONMENT.values()


def test_worker_and_rag_api_embed_alike() -> None:
    worker, rag = (
        {key: value for key, value in ALL[name]["environment"].items() if key.startswith(("EMBEDDING_", "MILVUS_"))}
        for name in ("indexer-worker", "rag-api")
    )
    assert worker == rag


def test_the_gateway_gets_every_variable_of_its_template() -> None:
    template = (nginx.FOLDER / "nginx.conf.template").read_text(encoding="utf-8")
    wanted = set(re.findall(r"\$\{([A-Z_]+)\}", template))
    given = ALL["gateway"]["environment"]
    chosen = re.compile(given["NGINX_ENVSUBST_FILTER"].replace("$$", "$"))
    assert {name for name in given if chosen.search(name)} == wanted


def test_the_example_names_every_variable_and_fills_in_no_secret() -> None:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    required = {line.removesuffix("=") for line in lines if re.fullmatch(r"[A-Z_]+=", line)}
    optional = dict(re.findall(r"^# ([A-Z_]+)=(.*)$", "\n".join(lines), flags=re.MULTILINE))
    defaults = {name: rest.removeprefix(":-") for name, rest in variables() if rest.startswith(":-")}
    assert required == {name for name, rest in variables() if rest.startswith(":?")}
    assert set(optional) == {*defaults, *passed_through()}
    assert {name: optional[name] for name in defaults} == defaults


@pytest.mark.parametrize("name", ALL)
def test_every_image_is_pinned(name: str) -> None:
    image = ALL[name]["image"]
    if name in SETTINGS:
        assert image.endswith(":${IMAGE_TAG:-local}")
    else:
        assert re.search(r":(v?\d+\.\d+\.\d+|RELEASE\.\d{4}-)", image)


@pytest.fixture(scope="module")
def compose() -> list[str]:
    """The docker compose command; fetched if it is not installed and available."""
    try:
        return docker_compose.ensure()
    except debian_unstable.UnavailableError as error:
        pytest.skip(f"the compose files are not checked: {error}")


def run_config(compose: list[str], file: Path, env_file: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [*compose, "--file", str(file), "--env-file", str(env_file), "config", *options]
    # The machine's own variables would replace empty ones in the file.
    env = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME")}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """The example, filled in according to its first lines."""
    file = tmp_path / "filled.env"
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    file.write_text(re.sub(r"^([A-Z_]+)=$", r"\1=secret", example, flags=re.MULTILINE))
    return file


@pytest.mark.timeout(300)
@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.parent.relative_to(ROOT)))
def test_docker_compose_accepts_each_file_and_refuses_empty_secrets(
    compose: list[str], filled: Path, file: Path
) -> None:
    refused = run_config(compose, file, ROOT / ".env.example", "--quiet")
    assert refused.returncode != 0
    assert re.search(r"required variable \w+ is missing a value: set it in .env", refused.stderr)

    accepted = run_config(compose, file, filled, "--quiet")
    assert (accepted.returncode, accepted.stderr) == (0, "")


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "chosen", [{}, {"MILVUS_URI": "http://10.0.0.7:19530", "LOG_LEVEL": "DEBUG", "OPENAI_API_KEY": ""}]
)
def test_docker_compose_reads_the_environment_files_as_the_stack_without_docker_does(
    compose: list[str], filled: Path, chosen: dict[str, str]
) -> None:
    with filled.open("a") as file:
        file.writelines(f"{name}={value}\n" for name, value in chosen.items())
    given = dict(re.findall(r"^([A-Z_]+)=(.*)$", filled.read_text(), flags=re.MULTILINE))

    done = run_config(compose, ROOT / "docker-compose.yml", filled, "--format", "json")

    services = json.loads(done.stdout)["services"]
    for name, file_name in ENVIRONMENT.items():
        ours = environment.read(file_name, given)
        # `config` doubles each $, so that what it prints can be read again.
        theirs = {key: value.replace("$$", "$") for key, value in services[name]["environment"].items()}
        assert {key: theirs.get(key) for key in ours} == ours
        inline = yaml.safe_load(next(file for file in FILES if file.parent.name in (name, OWNER.get(name))).read_text())
        assert set(theirs) - set(ours) == set(inline["services"][name].get("environment", {}))


# Folders whose compose file has a service with another name.
OWNER = {"migrate": "conversations-api", "indexer-beat": "indexer-worker", "flower": "indexer-worker"}
