"""What the compose files, the images and .env.example promise to who operates them."""

import importlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import nginx
import pytest
import yaml  # type: ignore[import-untyped]  # ships no type information
from mh_common.settings import variables as variables_of

ROOT = Path(__file__).resolve().parent.parent
SERVICES = ("conversations-api", "indexer-worker", "rag-api")
FILES = [
    ROOT / "docker-compose.yml",
    ROOT / "infra" / "stores" / "docker-compose.yml",
    ROOT / "infra" / "gateway" / "docker-compose.yml",
    *(ROOT / "services" / name / "docker-compose.yml" for name in SERVICES),
]
# Which settings classes know the variables of a compose service.
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
    document: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return document


def all_services() -> dict[str, Service]:
    documents = [load(file) for file in FILES]
    return dict(chain.from_iterable(document.get("services", {}).items() for document in documents))


ALL = all_services()


def variables() -> Iterator[tuple[str, str]]:
    """Each ${NAME...} of the compose files, with what follows the name."""
    for file in FILES:
        text = re.sub(r"^\s*#.*$", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
        yield from VARIABLE.findall(text)


def passed_through() -> set[str]:
    """Variables that a container gets only where the operator has set them."""
    return {name for service in ALL.values() for name, value in service.get("environment", {}).items() if value is None}


def settings_variables(module: str) -> set[str]:
    return set(variables_of(importlib.import_module(module).Settings))


def test_the_root_file_starts_everything() -> None:
    included = {ROOT / path for path in load(ROOT / "docker-compose.yml")["include"]}
    assert included == set(FILES) - {ROOT / "docker-compose.yml"}
    assert set(ALL) == {*SETTINGS, *STORES, "gateway", "flower"}


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


@pytest.mark.parametrize("name", [*SETTINGS, "gateway", "redis", "flower"])
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


def compose_command() -> list[str] | None:
    """Return how docker compose is called here, or None where there is none that knows `include`."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]):
            found = subprocess.run([*command, "version", "--short"], capture_output=True, text=True, check=False)
            version = re.match(r"v?(\d+)\.(\d+)", found.stdout)
            if version and (int(version[1]), int(version[2])) >= (2, 20):
                return command
    return None


@pytest.fixture(scope="module")
def compose() -> list[str]:
    command = compose_command()
    if command is None:
        pytest.skip("docker compose 2.20 or newer, the plugin or the command docker-compose, is not on this machine")
    return command


def run_config(compose: list[str], file: Path, env_file: Path) -> subprocess.CompletedProcess[str]:
    command = [*compose, "--file", str(file), "--env-file", str(env_file), "config", "--quiet"]
    # The machine's own variables would fill in what the file leaves empty.
    env = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME")}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.parent.relative_to(ROOT)))
def test_docker_compose_accepts_each_file_and_refuses_empty_secrets(
    compose: list[str], tmp_path: Path, file: Path
) -> None:
    example = ROOT / ".env.example"
    refused = run_config(compose, file, example)
    assert refused.returncode != 0
    assert re.search(r"required variable \w+ is missing a value: set it in .env", refused.stderr)

    filled = tmp_path / "filled.env"
    filled.write_text(re.sub(r"^([A-Z_]+)=$", r"\1=secret", example.read_text(encoding="utf-8"), flags=re.MULTILINE))
    accepted = run_config(compose, file, filled)
    assert (accepted.returncode, accepted.stderr) == (0, "")
