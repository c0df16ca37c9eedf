"""`make stack`: started from the containers' env files, used, with processes killed and restarted."""

import asyncio
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pymysql
import pytest
import redis
from mh_common.auth.tokens import TokenKind, make_token
from mh_devtools import servers
from mh_devtools.servers import nginx
from mh_devtools.stack import environment, smoke
from mh_devtools.stack.parts import API_KEY_FILE, CONVERSATIONS, RAG, USERNAME, WORKERS
from mh_devtools.stack.supervisor import ROLLED
from mh_devtools.testing.waiting import wait_until

HERE = nginx.find_nginx() and servers.find_mysql() and servers.find_redis()

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.xdist_group("load"),
    pytest.mark.timeout(400),
    pytest.mark.skipif(not HERE and os.environ.get("CI") != "true", reason="nginx, MariaDB or Redis is missing"),
]

CHOSEN = {
    **{name: f"{name.lower().replace('_', '')}1" for name in environment.SECRETS},
    environment.SERVICE_KEY: make_token(TokenKind.SERVICE_KEY),
    # As when nobody sets it.
    "AUTH_MODE": "",
    "MYSQL_USER": "counselors",
    "EMBEDDING_PROVIDER": "local",
    "LOG_LEVEL": "WARNING",
    # All clients of these tests share one address, so they need a higher rate limit.
    "GATEWAY_RATE": "10000r/s",
    "GATEWAY_BURST": "10000",
    # And one account.
    "RATE_LIMITS": "none",
    **dict.fromkeys(("MILVUS_URI", "OPENAI_API_KEY", "OPENAI_BASE_URL", "EMBEDDING_API_KEY", "EMBEDDING_BASE_URL"), ""),
}
CLIENTS = 50


@dataclass
class Stack:
    """The running `make stack`."""

    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def state(self) -> dict[str, Any]:
        """What the stack notes of itself."""
        state: dict[str, Any] = json.loads((self.folder / "state.json").read_text())
        return state

    @property
    def url(self) -> str:
        return str(self.state["url"])

    @property
    def key(self) -> dict[str, str]:
        """The header with the stack's API key."""
        return {"Authorization": f"Bearer {(self.folder / API_KEY_FILE).read_text().strip()}"}

    def pid(self, part: str) -> int:
        return int(self.state["parts"][part])

    def output(self) -> str:
        return (self.folder / "output").read_text()

    def command(self, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", module, *arguments, "--var", str(self.folder)]
        return subprocess.run(command, env=environ(), capture_output=True, text=True, check=False)


def environ(**more: str) -> dict[str, str]:
    return {**os.environ, **CHOSEN, **more}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    ports = {"GATEWAY_PORT": str(servers.free_port()), "FLOWER_PORT": str(servers.free_port())}
    with (folder / "output").open("wb") as output:
        command = [sys.executable, "-m", "mh_devtools.stack", "--var", str(folder)]
        process = subprocess.Popen(command, env=environ(**ports), stdout=output, stderr=output, start_new_session=True)
    running = Stack(folder, process)
    try:
        wait_until(lambda: "Serving at" in running.output() or process.poll() is not None, timeout=120)
        assert process.poll() is None, running.output()
        yield running
        parts = [psutil.Process(pid) for pid in running.state["parts"].values()]
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
    assert process.returncode == 0
    assert f"Stopped; the data is kept in {folder}" in running.output()
    # None of its processes is left.
    assert [part for part in parts if part.is_running()] == []


def test_every_process_has_what_the_environment_files_say_and_nothing_else_of_ours(stack: Stack) -> None:
    at = {name: f"127.0.0.1:{port}" for name, port in stack.state["ports"].items()}
    addresses = {
        "MYSQL_ADDRESS": at["mysql"],
        "REDIS_ADDRESS": at["redis"],
        "MILVUS_URI": f"http://{at['milvus']}",
        "CONVERSATIONS_URL": f"http://{at['services']}",
    }
    own = {"EMBEDDING_THREADS", "PYTHONUNBUFFERED", "RECONCILE_SCHEDULE_FILE", "WEB_PORT"}
    # The first one is of the tests.
    own |= {"AUTH_HOSTS", "AUTH_SETUP_TOKEN_FILE", "WORKER_EMBEDDING_CACHE", "WORKER_HEARTBEAT_FILE"}
    # Set by rag-api itself, before it started Gunicorn.
    own.add("ORT_DISABLE_TELEMETRY")
    processes = {
        **dict.fromkeys(CONVERSATIONS, "conversations-api"),
        **dict.fromkeys(RAG, "rag-api"),
        **dict.fromkeys((*WORKERS, "indexer-beat"), "indexer-worker"),
        "flower": "flower",
    }
    for name, service in processes.items():
        found = psutil.Process(stack.pid(name)).environ()
        written = environment.read(service, {**CHOSEN, **addresses})
        assert {name: found[name] for name in written} == written
        assert {name for name in found if not environment.MACHINE.fullmatch(name)} - own == set(written)


def test_the_stores_are_locked(stack: Stack) -> None:
    env = psutil.Process(stack.pid(CONVERSATIONS[0])).environ()
    with pytest.raises(redis.exceptions.AuthenticationError):
        redis.Redis.from_url(env["REDIS_URL"].replace(CHOSEN["REDIS_PASSWORD"], "wrong")).ping()
    port = stack.state["ports"]["mysql"]
    for user, password in (("root", ""), ("counselors", "wrong")):
        with pytest.raises(pymysql.err.OperationalError, match="Access denied"):
            pymysql.connect(host="127.0.0.1", port=port, user=user, password=password)


def test_nobody_gets_in_without_a_key_and_nobody_from_outside_is_a_service(stack: Stack) -> None:
    services = {"Authorization": f"Bearer {CHOSEN[environment.SERVICE_KEY]}"}
    with httpx.Client(base_url=stack.url, timeout=30) as client:
        for path in (
            "/api/v1/conversations",
            "/api/v1/index/runs",
            "/api/v1/history",
            "/conversations-api/api/v1/me",
        ):
            assert client.get(path).status_code == 401
        assert client.post("/api/v1/search", json={"query": "panic"}).status_code == 401
        for path in ("/internal/index/versions", "/conversations-api/internal/index/versions"):
            assert client.get(path, headers=services).status_code == 404
        # X-User-Id makes nobody somebody else.
        me = client.get("/api/v1/me", headers=stack.key | {"X-User-Id": "somebody"}).json()
    assert me["username"] == USERNAME


def test_the_first_administrator_is_made_with_the_printed_token_and_signs_in(stack: Stack) -> None:
    [token] = re.findall(r"mh --url \S+ setup --token (mh_set_\w+)$", stack.output(), flags=re.MULTILINE)
    person = {"username": "ana", "password": "a password of many words"}
    with httpx.Client(base_url=stack.url, timeout=30) as client:
        assert client.post("/api/v1/setup", json={**person, "token": token}).status_code == 201
        assert client.post("/api/v1/setup", json={**person, "token": token}).status_code == 401
        signed_in = {**person, "cookie": True}
        here = {"Origin": stack.url}
        plain = client.post("/api/v1/sessions", json=signed_in, headers=here)
        # The gateway believes a proxy on this machine that the browser came by HTTPS.
        secure = client.post("/api/v1/sessions", json=signed_in, headers=here | {"X-Forwarded-Proto": "https"})
    assert (plain.status_code, secure.status_code) == (201, 201)
    assert plain.headers["Set-Cookie"].startswith("mh_session=")
    assert secure.headers["Set-Cookie"].startswith("__Host-mh_session=")
    assert "Secure" in secure.headers["Set-Cookie"]


def test_the_documents_examples_work_through_the_gateway(stack: Stack) -> None:
    done = stack.command("mh_devtools.stack.smoke")

    assert done.returncode == 0, done.stderr
    assert [line.removeprefix("ok  ") for line in done.stdout.splitlines()] == [
        *(f"GET {page}" for page in smoke.PAGES),
        smoke.IMPORT.title,
        *(example.title for example in smoke.documented()),
    ]


def test_a_replica_that_dies_is_missed_by_nobody_who_reads_and_is_started_again(stack: Stack) -> None:
    for name in (CONVERSATIONS[0], RAG[1]):
        dead = stack.pid(name)
        os.killpg(dead, signal.SIGKILL)
        path = "/api/v1/conversations?limit=1" if name in CONVERSATIONS else "/livez"
        with httpx.Client(base_url=stack.url, headers=stack.key, timeout=30) as client:
            while stack.pid(name) == dead:
                assert client.get(path).status_code == 200
    wait_until(lambda: f"{CONVERSATIONS[0]} exited unexpectedly (exit code -9)" in stack.output(), timeout=120)
    wait_until(lambda: all_ready(stack), timeout=120)


def all_ready(stack: Stack) -> bool:
    """Return whether each replica responds directly."""
    urls = [f"http://127.0.0.1:{stack.state['ports'][name]}/readyz" for name in (*CONVERSATIONS, *RAG)]
    try:
        return all(httpx.get(url, timeout=10).status_code == 200 for url in urls)
    except httpx.HTTPError:
        return False


@dataclass
class Load:
    """Results of the clients: statuses and errors by kind, and ids of the conversations they created."""

    outcomes: Counter[str]
    added: list[int]
    over: asyncio.Event


async def write(client: httpx.AsyncClient, load: Load, who: int) -> None:
    for number in itertools.count():
        if load.over.is_set():
            return
        body = {"question": f"Question {who}-{number}", "answer": "Breathe out slowly."}
        body |= {"question_sentiment": "negative", "answer_sentiment": "neutral"}
        key = {"Idempotency-Key": uuid.uuid4().hex}
        answer = await note(load, client.post("/api/v1/conversations", json=body, headers=key))
        if answer is not None and answer.status_code == 201:
            load.added.append(answer.json()["id"])


async def read(client: httpx.AsyncClient, load: Load, who: int) -> None:
    while not load.over.is_set():
        await note(load, client.get("/api/v1/conversations", params={"limit": 5, "sort": "-id"}))


async def ask(client: httpx.AsyncClient, load: Load, who: int) -> None:
    while not load.over.is_set():
        await note(load, client.post("/api/v1/search", json={"query": f"panic on bus {who}", "limit": 3}))


async def note(load: Load, sent: Any) -> httpx.Response | None:
    try:
        answer: httpx.Response = await sent
    except httpx.HTTPError as error:
        load.outcomes[type(error).__name__] += 1
        return None
    load.outcomes[f"{answer.request.method} {answer.status_code}"] += 1
    return answer


async def test_a_rolling_restart_under_fifty_clients_loses_not_one_request(stack: Stack) -> None:
    before = dict(stack.state["parts"])
    load = Load(Counter(), [], asyncio.Event())
    work = [write] * 10 + [ask] * 10 + [read] * 30
    limits = httpx.Limits(max_connections=CLIENTS, max_keepalive_connections=CLIENTS)
    async with httpx.AsyncClient(base_url=stack.url, headers=stack.key, timeout=60, limits=limits) as client:
        total = (await client.get("/api/v1/conversations/stats")).json()["total"]
        async with asyncio.TaskGroup() as clients:
            for who in range(CLIENTS):
                clients.create_task(work[who](client, load, who))
            done = await asyncio.to_thread(stack.command, "mh_devtools.stack", "restart")
            load.over.set()
        now = (await client.get("/api/v1/conversations/stats")).json()["total"]

    assert (done.returncode, done.stderr) == (0, "")
    after = stack.state["parts"]
    assert {name for name in after if after[name] != before[name]} == set(ROLLED)
    assert set(load.outcomes) == {"GET 200", "POST 200", "POST 201"}
    assert len(set(load.added)) == len(load.added) == load.outcomes["POST 201"]
    assert now == total + len(load.added)


def test_a_second_stack_on_the_same_data_is_refused(stack: Stack) -> None:
    done = stack.command("mh_devtools.stack")
    assert done.returncode == 1
    assert done.stderr == f"The platform is already running with the data in {stack.folder}; stop it first.\n"
    assert stack.process.poll() is None
