"""The services as their images hold them, built without Docker by the steps of their Dockerfiles."""

import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import httpx
import pytest
from mh_devtools import servers
from mh_devtools.deployment.image_stages import Image, Stage, line_of, read_stages
from mh_devtools.paths import ROOT
from mh_devtools.stubs.openai_stub import StubOpenAI
from mh_devtools.testing.waiting import wait_until

# Building one downloads some 150 MB where nothing is kept.
pytestmark = [pytest.mark.installs, pytest.mark.timeout(900)]

# What docker-library/repo-info states of the base, and of it what rag-api's image leaves out: of Python, and of Debian.
BASE_MB = {"conversations-api": 124.3, "rag-api": 124.3 - 12.8 - 19.7}
LIMIT_MB = 250
STORES = {
    "DATABASE_URL": "sqlite+aiosqlite:///{folder}/images.db",
    "REDIS_URL": "{redis}",
    "MILVUS_URI": "{milvus}",
    "CONVERSATIONS_URL": "http://127.0.0.1:1",
}

build = cache(Image.built)
SERVICES = ("conversations-api", "indexer-worker", "rag-api")


class Container:
    """An image's command as a process, with the image's own variables, a home nobody has, and one writable folder."""

    def __init__(self, image: Image, target: str, folder: Path, **variables: str) -> None:
        self.image = image
        self.port = servers.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._temporary = folder / "tmp"
        self._temporary.mkdir(exist_ok=True)
        self._work = folder / "srv"
        self._copy_to_work(image.stages[target])
        self._stages = list(line_of(image.stages, target))
        values = {name: value for stage in self._stages for name, value in stage.environment().items()}
        self.env = {name: image.here(value, self._temporary) for name, value in values.items()}
        path = f"{image.root}/opt/venv/bin{os.pathsep}{os.defpath}"
        # A library that wants to write there must not stop the service.
        self.env |= {"PATH": path, "HOME": "/proc/nowhere", "TMPDIR": str(self._temporary)}
        self.env |= {"WEB_PORT": str(self.port), "PYTHONWARNINGS": "ignore", "STARTUP_TIMEOUT": "20"}
        # Images have no mode; here they listen on this machine only.
        self.env |= {"AUTH_MODE": "open", "WEB_HOST": "127.0.0.1"} | variables

    def _copy_to_work(self, stage: Stage) -> None:
        self._work.mkdir(exist_ok=True)
        for rest in stage.all("COPY"):
            *sources, target = rest.split()
            if not rest.startswith("--from"):
                subprocess.run(["cp", "-r", *(ROOT / one for one in sources), self._work / target], check=True)

    def command(self, instruction: str) -> list[str]:
        """The last CMD, or the command of the HEALTHCHECK, as a list."""
        [*_, rest] = [rest for stage in self._stages for rest in stage.all(instruction)]
        command: list[str] = json.loads(rest[rest.index("[") :])
        return [self.image.here(word, self._temporary).replace(":8000", f":{self.port}") for word in command]

    def run(self, command: list[str]) -> "subprocess.CompletedProcess[str]":
        """Run another command in it, to its end."""
        return subprocess.run(
            ["/usr/bin/env", *command], cwd=self._work, env=self.env, capture_output=True, text=True, check=False
        )

    def start(self) -> servers.Running:
        """Start it."""
        log = self._temporary / "container.log"
        return servers.start("container", ["/usr/bin/env", *self.command("CMD")], log, self.env, self._work)

    def healthy(self) -> bool:
        """Whether its HEALTHCHECK says so."""
        return self.run(self.command("HEALTHCHECK")).returncode == 0


@pytest.fixture
def variables(redis_url: str, milvus_uri: str, tmp_path: Path) -> dict[str, str]:
    known = {"folder": tmp_path, "redis": redis_url, "milvus": milvus_uri}
    return {name: value.format_map(known) for name, value in STORES.items()}


def snapshot(folder: Path) -> dict[str, int]:
    """Each file below the folder with the time of its last change."""
    return {str(file): file.lstat().st_mtime_ns for file in folder.rglob("*")}


@pytest.fixture
def start(variables: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., tuple[Container, servers.Running]]]:
    """Starts the image of a service and waits until it is healthy; in the end, nothing of it may have changed."""
    started: list[tuple[Container, servers.Running, dict[str, int]]] = []

    def start_one(service: str, stage: str = "build", target: str = "", **more: str) -> Any:
        image = build(service, stage)
        before = snapshot(image.root)
        container = Container(image, target, tmp_path, **variables | more)
        if service == "conversations-api":
            migrated = container.run(["alembic", "upgrade", "head"])
            assert migrated.returncode == 0, migrated.stderr
        process = container.start()
        started.append((container, process, before))
        servers.wait_until(process, container.healthy, timeout=120)
        return container, process

    yield start_one
    for container, process, before in started:
        process.stop()
        assert snapshot(container.image.root) == before


def names(folder: Path) -> set[str]:
    return {distribution.name.lower().replace("_", "-") for distribution in distributions(path=[str(folder)])}


def locked(*files: str) -> set[str]:
    lines = "\n".join((ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8") for name in files)
    return set(re.findall(r"^([a-z0-9-]+)(?:\[[a-z,]+\])?==", lines, flags=re.MULTILINE))


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_is_pinned_takes_only_locked_packages_and_runs_as_nobody(service: str) -> None:
    dockerfile = (ROOT / "services" / service / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(r"^ARG PYTHON=python:\d+\.\d+\.\d+-slim-bookworm@sha256:[0-9a-f]{64}$", dockerfile, re.MULTILINE)
    stages = read_stages(service)
    assert {stage.base for stage in stages.values()} <= {"${PYTHON}", "scratch", *stages}
    for copied in (step for stage in stages.values() for step in stage.all("COPY") if "--from" not in step):
        # The tools of the repository, with their stubs of models, are no part of an image.
        assert all(source.startswith(("libs/", "requirements/", "services/")) for source in copied.split()[:-1])
    for run in (step for stage in stages.values() for step in stage.all("RUN")):
        for install in re.findall(r"pip (?:--python \S+ )?install ([^&]*)", run):
            assert "--no-deps" in install
            assert "--require-hashes" in install or "--no-index" in install
    final = stages["runtime"] if "runtime" in stages else stages[""]
    assert final.all("USER") == ["10001:10001"]
    assert len(final.all("HEALTHCHECK")) == 1
    # Without a shell between, SIGTERM reaches the process itself.
    [command] = final.all("CMD")
    assert command.startswith('["')


def test_the_images_begin_alike() -> None:
    """Docker includes no file in another: what the three have in common at their beginning stands in each."""
    texts = [(ROOT / "services" / one / "Dockerfile").read_text(encoding="utf-8") for one in SERVICES]
    assert len({text.partition("ARG PYTHON=")[2].partition("COPY ")[0] for text in texts}) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("service", "stage", "libraries", "absent"),
    [
        ("conversations-api", "build", {"mh-common"}, {"pymilvus", "pandas", "openai", "uvicorn"}),
        ("indexer-worker", "build", {"mh-client", "mh-common"}, {"fastapi", "sqlalchemy", "gunicorn", "uvicorn"}),
        ("rag-api", "build", {"mh-client", "mh-common"}, {"sqlalchemy", "celery", "onnxruntime"}),
        ("rag-api", "build-local-model", {"mh-client", "mh-common"}, {"sqlalchemy", "celery"}),
    ],
)
def test_an_image_holds_its_own_locked_packages_and_no_others(
    service: str, stage: str, libraries: set[str], absent: set[str]
) -> None:
    # Its steps ran `pip check`, and each package came with its hash.
    image = build(service, stage)
    found = names(image.packages)
    file = "rag-api-local-model" if stage == "build-local-model" else service
    assert libraries | {service} <= found
    # Some of the file are for other systems.
    assert found - libraries - {service} <= locked(file)
    assert found.isdisjoint(absent | {"pip", "pytest"})


@pytest.mark.slow
@pytest.mark.parametrize("service", ["conversations-api", "rag-api"])
def test_the_image_of_an_api_is_small(service: str) -> None:
    venv = build(service).root / "opt" / "venv"
    megabytes = sum(file.lstat().st_size for file in venv.rglob("*") if not file.is_dir()) / 1e6
    assert BASE_MB[service] + megabytes < LIMIT_MB


def headers_of(method: str, path: str, body: bytes) -> bytes:
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def stop_amid_a_request(container: Container, process: servers.Running, path: str, body: bytes) -> bytes:
    """Tell the service to end while half of a request is on its way; then send the rest, and return the answer.

    Another client holds an idle connection all the while.
    """
    idle = httpx.Client(base_url=container.url, timeout=30)
    assert idle.get("/livez").status_code == 200
    with socket.create_connection(("127.0.0.1", container.port), timeout=30) as connection:
        connection.sendall(headers_of("POST", path, body) + body[:10])
        # It must be in the worker's hands, not in the queue of a socket that closes.
        assert idle.get("/livez").status_code == 200
        process.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not listens(container.port), timeout=30, what="the listener is closed")
        connection.sendall(body[10:])
        answer = b""
        while part := connection.recv(65536):
            answer += part
    idle.close()
    return answer


def assert_ended_well(process: servers.Running) -> None:
    assert process.process.wait(30) == 0
    log = process.log.read_text()
    assert "Traceback" not in log
    assert "Forcing close" not in log


@pytest.mark.slow
@pytest.mark.redis
def test_conversations_api_serves_from_its_image_and_drains(start: Any) -> None:
    container, process = start("conversations-api", WEB_CONCURRENCY="2")
    row = {"question": "a", "answer": "b", "question_sentiment": "neutral", "answer_sentiment": "neutral"}
    answer = stop_amid_a_request(container, process, "/api/v1/conversations", json.dumps(row).encode())
    assert answer.startswith(b"HTTP/1.1 201 ")
    assert b"connection: close" in answer.lower()
    assert_ended_well(process)


@pytest.mark.slow
@pytest.mark.redis
def test_rag_api_serves_from_its_image_and_drains(start: Any, stub_openai: StubOpenAI) -> None:
    container, process = start(
        "rag-api",
        WEB_CONCURRENCY="2",
        EMBEDDING_BASE_URL=stub_openai.base_url,
        EMBEDDING_API_KEY=stub_openai.api_key,
        EMBEDDING_MODEL="stub",
        EMBEDDING_DIMENSION=str(stub_openai.dimension),
    )
    answer = stop_amid_a_request(container, process, "/api/v1/search", b'{"query": "cannot sleep before exams"}')
    # 503: the other tests' collection may be there, of another embedding space.
    assert answer.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 503 "))
    assert_ended_well(process)


@pytest.mark.slow
@pytest.mark.redis
def test_rag_api_embeds_by_itself_in_the_image_with_the_model(start: Any) -> None:
    container, _ = start("rag-api", "build-local-model", "local-model", WEB_CONCURRENCY="1")
    ready = httpx.get(f"{container.url}/readyz", timeout=30).json()
    assert ready["dependencies"]["embedder"] == {"ok": True, "detail": None}


@pytest.mark.slow
@pytest.mark.redis
def test_rag_api_uses_the_larger_model_in_the_image_that_has_it(start: Any) -> None:
    model = {"EMBEDDING_MODEL": "all-mpnet-base-v2", "WEB_CONCURRENCY": "1"}
    container, _ = start("rag-api", "build-quality-model", "quality-model", **model)
    ready = httpx.get(f"{container.url}/readyz", timeout=30).json()
    assert ready["dependencies"]["embedder"] == {"ok": True, "detail": None}
    about = httpx.get(f"{container.url}/api/v1/about", timeout=30).json()
    assert about["embedding"]["name"] == "all-mpnet-base-v2"


@pytest.mark.slow
def test_the_small_image_of_rag_api_says_what_it_lacks(variables: dict[str, str], tmp_path: Path) -> None:
    container = Container(build("rag-api"), "", tmp_path, **variables)
    ended = container.run(container.command("CMD"))
    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert "Set OPENAI_API_KEY or EMBEDDING_BASE_URL" in line


@pytest.mark.slow
@pytest.mark.redis
def test_the_worker_runs_from_its_image_and_ends_when_told(start: Any) -> None:
    # Its HEALTHCHECK, which `start` waits for, passes only once the worker has looked at its queue.
    _, process = start("indexer-worker", target="local-model")
    process.process.send_signal(signal.SIGTERM)
    assert_ended_well(process)
