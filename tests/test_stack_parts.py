"""The parts of `make stack`: how it reacts to failing processes, invalid settings and failing examples."""

import json
import re
import sys
from collections.abc import Callable
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from mh_common.auth.tokens import TokenKind, kind_of
from mh_devtools import servers
from mh_devtools.stack import environment, smoke, supervisor
from mh_devtools.stack.parts import SERVICES, Part, Parts
from mh_devtools.stack.supervisor import Supervisor
from mh_devtools.stubs.echo_server import EchoServer, send_json


class EnoughError(Exception):
    """Stops the supervisor of a test."""


class Lines(list[str]):
    """The supervisor's messages; stops it at a line with these words."""

    def __init__(self, last: str) -> None:
        self._last = last

    def __call__(self, line: str) -> None:
        self.append(line)
        if self._last in line:
            raise EnoughError


def process(folder: Path, name: str, code: str, ready: Callable[[], bool] = lambda: True) -> Part:
    """A part that runs this Python code."""
    command = [sys.executable, "-c", code]
    return Part(name, SERVICES, lambda: servers.start(name, command, folder / f"{name}.log"), ready)


LASTING = "import time; time.sleep(600)"


def test_a_part_that_ends_at_the_start_is_named_with_its_log(tmp_path: Path) -> None:
    watched = Supervisor(tmp_path / "state", nullcontext, print)
    watched.add(process(tmp_path, "steady", LASTING))
    watched.add(process(tmp_path, "broken", "raise SystemExit(3)", ready=lambda: False))
    try:
        with pytest.raises(
            servers.ServerError, match=r"broken exited unexpectedly \(exit code 3\); its log: .*broken.log"
        ):
            watched.wait_until_ready(["steady", "broken"])
    finally:
        watched.stop()


def test_what_keeps_ending_is_started_again_with_growing_patience(tmp_path: Path) -> None:
    said = Lines("restarting it in 3 s")
    watched = Supervisor(tmp_path / "state", nullcontext, said)
    watched.add(process(tmp_path, "weak", "raise SystemExit(3)"))
    try:
        with pytest.raises(EnoughError):
            watched.watch()
    finally:
        watched.stop()
    assert [line.rpartition("; ")[2] for line in said] == [
        "restarting it",
        "weak is running again",
        "restarting it in 1 s",
        "weak is running again",
        "restarting it in 3 s",
    ]


def test_a_rolling_restart_stops_at_the_first_replica_that_does_not_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "ROLLED", ("first", "second", "third"))
    monkeypatch.setattr(supervisor, "READY_S", 0.3)
    monkeypatch.setattr(supervisor, "FAIL_TIMEOUT_S", -1)
    said = Lines("The rolling restart stopped")
    watched = Supervisor(tmp_path / "state", nullcontext, said)
    for name in ("first", "second", "third"):
        watched.add(process(tmp_path, name, LASTING, ready=lambda name=name: name != "second"))  # type: ignore[misc]
    before = json.loads((tmp_path / "state").read_text())["parts"]
    watched.request_rolling_restart()
    try:
        with pytest.raises(EnoughError):
            watched.watch()
        state = json.loads((tmp_path / "state").read_text())
    finally:
        watched.stop()

    assert {name for name in before if state["parts"][name] != before[name]} == {"first", "second"}
    assert state["rolled"] == 1
    assert re.fullmatch(r"The rolling restart stopped: second is not ready after .*second.log", state["fault"])
    assert not (tmp_path / "state").exists()


def test_a_part_that_cannot_be_started_again_now_is_tried_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = iter(["raise SystemExit(3)", None, LASTING])

    def start() -> servers.Running:
        code = next(starts)
        if code is None:
            raise servers.ServerError("no port is free")
        return servers.start("moody", [sys.executable, "-c", code], tmp_path / "moody.log")

    monkeypatch.setattr(supervisor, "LONGEST_DELAY_S", 0.2)
    said = Lines("moody is running again")
    watched = Supervisor(tmp_path / "state", nullcontext, said)
    watched.add(Part("moody", SERVICES, start, lambda: True))
    try:
        with pytest.raises(EnoughError):
            watched.watch()
    finally:
        watched.stop()
    assert said[1:] == ["no port is free", "moody is running again"]


def test_an_empty_secret_is_named_with_the_file_that_asks_for_it() -> None:
    with pytest.raises(
        servers.ServerError, match=r"MYSQL_PASSWORD, .*conversations-api.env requires, is empty: set it"
    ):
        environment.read("conversations-api", {"MYSQL_PASSWORD": ""})


def test_secrets_that_nobody_chose_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    for name in (*environment.SECRETS, environment.SERVICE_KEY):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / ".env").write_text("REDIS_PASSWORD=chosen\nMYSQL_PASSWORD=\n")

    made = environment.chosen(tmp_path)

    assert made["REDIS_PASSWORD"] == "chosen"
    assert len({made[name] for name in environment.SECRETS}) == len(environment.SECRETS)
    assert min(len(made[name]) for name in environment.SECRETS if name != "REDIS_PASSWORD") >= 32
    assert kind_of(made[environment.SERVICE_KEY]) is TokenKind.SERVICE_KEY
    again = environment.chosen(tmp_path)
    for name in (*environment.SECRETS, environment.SERVICE_KEY):
        assert again[name] == made[name]
    assert (tmp_path / "secrets.env").stat().st_mode & 0o077 == 0
    monkeypatch.setenv("MYSQL_PASSWORD", "of the environment")
    assert environment.chosen(tmp_path)["MYSQL_PASSWORD"] == "of the environment"


@pytest.mark.parametrize("port", ["0", "none", "99999"])
def test_a_nonsensical_port_is_named(tmp_path: Path, port: str) -> None:
    with pytest.raises(servers.ServerError, match="FLOWER_PORT must be a port number"):
        Parts(tmp_path, {"GATEWAY_PORT": str(servers.free_port()), "FLOWER_PORT": port})


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with EchoServer.running("somebody") as server:
        port = str(server.server_port)
        with pytest.raises(servers.ServerError, match=f"Port {port} is in use; .* choose another port: GATEWAY_PORT="):
            Parts(tmp_path, {"GATEWAY_PORT": port})


def test_a_given_milvus_is_used_and_none_started(tmp_path: Path) -> None:
    ports = {name: str(servers.free_port()) for name in ("GATEWAY_PORT", "FLOWER_PORT")}
    parts = Parts(tmp_path, {**ports, "MILVUS_URI": "http://10.0.0.7:19530", "REDIS_PASSWORD": "s"})
    assert [store.name for store in parts.stores()] == ["mysql", "redis"]


STATS = {"total": 7, "question_sentiment": {}, "answer_sentiment": {}, "pairs": [], "per_month": []}


@pytest.mark.parametrize(
    ("example", "complaint"),
    [
        ("```sh\ncurl -s http://127.0.0.1:8080/gone\n```\n", "curl -s http://127.0.0.1:8080/gone: .*404"),
        ("```sh\nmake stack\ntrue\n```\n", "true: it printed nothing"),
        ("```python\nraise SystemExit('no')\n```\n", "SystemExit.*: no$"),
    ],
)
def test_an_example_that_fails_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], example: str, complaint: str
) -> None:
    (tmp_path / "README.md").write_text("```sh\ncurl -s \\\n  http://127.0.0.1:8080/docs\n```\n" + example)
    monkeypatch.setattr(smoke, "DOCUMENTS", (tmp_path / "README.md",))

    def answer(handler: BaseHTTPRequestHandler) -> None:
        stats = {**STATS, "index_status": {"pending": 0, "indexed": 7, "failed": 0}}
        send_json(handler, 404 if handler.path == "/gone" else 200, stats)

    with EchoServer.running("gateway") as server:
        server.answer = answer
        with pytest.raises(servers.ServerError, match=complaint):
            smoke.smoke(f"http://127.0.0.1:{server.server_port}", tmp_path / "state")
    assert capsys.readouterr().out.splitlines()[-1] == "ok  curl -s \\"


KEYED = """```sh
curl -s http://127.0.0.1:8080/one
curl -s http://127.0.0.1:8080/two -H "Authorization: Bearer $MH_API_KEY"
```
```python
import os
print("the key is there" if os.environ["MH_API_KEY"] == "mh_key_of_the_stack" else "it is not")
```
"""


def test_examples_are_sent_with_the_stacks_key_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "README.md").write_text(KEYED)
    monkeypatch.setattr(smoke, "DOCUMENTS", (tmp_path / "README.md",))
    printed = []
    run = smoke.Example.run

    def noted(*arguments: Any) -> str:
        printed.append(run(*arguments))
        return printed[-1]

    monkeypatch.setattr(smoke.Example, "run", noted)
    with EchoServer.running("gateway") as server:
        server.answer = lambda handler: send_json(
            handler, 200, {**STATS, "index_status": {"pending": 0, "indexed": 7, "failed": 0}}
        )
        smoke.smoke(f"http://127.0.0.1:{server.server_port}", tmp_path / "state", "mh_key_of_the_stack")
    sent = {seen.target: seen.headers.get("authorization") for seen in server.seen}
    # Two of the same header would be joined by a comma.
    assert sent["/api/v1/conversations/stats"] == sent["/one"] == sent["/two"] == "Bearer mh_key_of_the_stack"
    assert printed[-1] == "the key is there\n"
    assert (tmp_path / "state" / ".curlrc").stat().st_mode & 0o077 == 0


def test_a_gateway_that_does_not_answer_is_named(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{servers.free_port()}"
    with pytest.raises(servers.ServerError, match=f"{url}/ cannot be fetched"):
        smoke.smoke(url, tmp_path)
    with EchoServer.running("gateway") as server:
        server.answer = lambda handler: send_json(handler, 503, {"title": "not yet"})
        with pytest.raises(servers.ServerError, match=r"/ returned 503: .*not yet"):
            smoke.smoke(f"http://127.0.0.1:{server.server_port}", tmp_path)
