"""The embedded stack: one command, a question answered, and nothing left behind."""

import csv
import itertools
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from mh_client import AuthenticationError, Client, IndexRunKind, IndexRunStatus, IndexStatus, NotFoundError
from mh_common import vector_index
from mh_devtools import servers
from mh_devtools.servers import browser as browser_of_this_machine
from mh_devtools.servers import stores
from mh_devtools.testing.waiting import wait_until
from pymilvus import DataType, MilvusClient
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.expected_conditions import visibility_of_element_located
from selenium.webdriver.support.ui import WebDriverWait

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "scripts" / "sample" / "conversations.csv"


def largest_dataset() -> Path:
    """The data set that MH_TEST_DATASET names, or a larger one beside the checkout, or else the sample."""
    named = os.environ.get("MH_TEST_DATASET")
    beside = sorted(ROOT.parent.glob("*/data/train.csv"))
    return Path(named) if named else next(iter(beside), SAMPLE)


class LocalStack:
    """The embedded stack as a separate process; its output is collected line by line."""

    def __init__(self, var: Path, port: int, *arguments: str, **environment: str) -> None:
        self.port, self.lines = port, list[str]()
        self._changed = threading.Condition()
        env = {**os.environ, "MH_PORT": str(port), "COLUMNS": "200", **environment}
        command = [sys.executable, "-m", "mh_devtools.embedded", "--var", str(var), *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)
        self._reader = threading.Thread(target=self._collect, daemon=True)
        self._reader.start()

    def _collect(self) -> None:
        assert self.process.stdout
        with self.process.stdout as output:
            for line in output:
                with self._changed:
                    self.lines.append(line.rstrip())
                    self._changed.notify_all()
        self.process.wait()
        with self._changed:
            self._changed.notify_all()

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def wait_for(self, text: str, timeout: float = 180) -> None:
        """Return when `text` was printed."""
        with self._changed:
            found = self._changed.wait_for(lambda: text in self.output or self.process.poll() is not None, timeout)
        assert found, self.output
        assert text in self.output, self.output

    def descendants(self) -> list[psutil.Process]:
        return list(psutil.Process(self.process.pid).children(recursive=True))

    def wait(self, timeout: float = 60) -> int:
        """Return the exit code once the process has ended and all it printed is in `output`."""
        self._reader.join(timeout)
        return self.process.wait(timeout)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait()


@contextmanager
def running(var: Path, *arguments: str, port: int | None = None, **environment: str) -> Iterator[LocalStack]:
    stack = LocalStack(var, port or servers.free_port(), *arguments, **environment)
    try:
        yield stack
    finally:
        stack.stop()


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Return the processes that are still running, without zombies."""
    return [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.slow
@pytest.mark.timeout(1000)
def test_a_data_set_goes_in_and_answers_come_out(tmp_path: Path) -> None:
    # The demo takes the sample, on every Python.
    file = largest_dataset()
    # The user may have set PYTHONPATH already.
    theirs = str(tmp_path / "theirs")
    with (
        running(tmp_path, MH_DATASET=str(file), PYTHONPATH=theirs) as stack,
        Client(f"http://127.0.0.1:{stack.port}") as client,
    ):
        stack.wait_for("Serving at", timeout=900)

        stats = client.conversations.stats()
        assert stats.total == stats.index_status[IndexStatus.INDEXED] > 150
        assert file == SAMPLE or stats.total == 2009

        answer = client.answer("How do I help a patient who panics in crowded places?")
        assert len(answer.sources) >= 3
        cited = {int(number) for number in re.findall(r"\[(\d+)\]", answer.answer)}
        # Further answers to the questions found are sources only if they are quoted.
        assert cited >= set(range(4, len(answer.sources) + 1))
        assert cited
        for source in answer.sources:
            assert client.conversations.get(source.id).answer == source.answer

        first = client.search("a very particular worry about lighthouses", limit=1).hits[0]
        unusual = "Since the lighthouse keeper left I am afraid of lighthouses and of their keepers."
        changed = client.conversations.update(first.id, question=unusual)
        wait_until(
            lambda: [hit.question for hit in client.search("afraid of lighthouse keepers", limit=1).hits] == [unusual],
            what="the new text is found",
        )

        client.conversations.delete(changed.id)
        assert all(hit.id != changed.id for hit in client.search("afraid of lighthouse keepers", limit=20).hits)
        with pytest.raises(NotFoundError):
            client.conversations.get(changed.id)


def _signs_in_and_out_on_the_page(url: str, username: str, password: str) -> None:
    with browser_of_this_machine.chromium() as page:
        wait = WebDriverWait(page, 30)

        def shown(selector: str) -> WebElement:
            return wait.until(visibility_of_element_located((By.CSS_SELECTOR, selector)))

        def sign_in(typed: str) -> None:
            shown("#sign-in [name=password]").send_keys(typed)
            shown("#sign-in button").click()

        page.get(url)
        shown("#sign-in [name=username]").send_keys(username)
        assert not page.find_element(By.ID, "ask").is_displayed()
        sign_in("a wrong password")
        wait.until(lambda _: shown("#message").text == "The username or the password is wrong.")
        shown("#sign-in [name=password]").clear()
        sign_in(password)
        assert shown("#account").text.startswith(f"Signed in as {username} (admin).")
        shown("#question").send_keys("Since the lighthouse keeper left I am afraid.")
        shown("#ask button").click()
        wait.until(lambda _: page.find_elements(By.CSS_SELECTOR, "#conversations li"))
        shown("#account button").click()
        shown("#sign-in")
        assert page.get_cookies() == []
        assert not page.find_elements(By.CSS_SELECTOR, "#conversations li")
        assert page.find_element(By.ID, "question").get_attribute("value") == ""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_with_access_control_it_imports_and_answers_by_its_own_key_and_nobody_else_gets_in(tmp_path: Path) -> None:
    file, var = tmp_path / "few.csv", tmp_path / "var"
    with SAMPLE.open(newline="", encoding="utf-8") as sample, file.open("w", newline="", encoding="utf-8") as few:
        csv.writer(few).writerows(itertools.islice(csv.reader(sample), 4))
    with running(var, AUTH_MODE="required", MH_DATASET=str(file)) as stack:
        stack.wait_for("Serving at")
        url = f"http://127.0.0.1:{stack.port}"
        wait_until(lambda: "setup --token" in stack.output)
        [token] = re.findall(r"mh --url \S+ setup --token (mh_set_\w+)", stack.output)
        for secret in ("service-key", "api-key", "setup-token", "log/apis.log"):
            assert stat.S_IMODE((var / secret).stat().st_mode) == 0o600
        key = (var / "api-key").read_text().strip()
        assert key not in stack.output
        with Client(url, api_key="") as stranger, pytest.raises(AuthenticationError):
            stranger.search("panic")
        with Client(url, api_key=key) as client:
            first = client.conversations.list(limit=1).items[0]
            unusual = "Since the lighthouse keeper left I am afraid of lighthouses and of their keepers."
            client.conversations.update(first.id, question=unusual)
            # Found only if conversations-api accepts the worker's key.
            wait_until(lambda: [hit.question for hit in client.search(unusual, limit=1).hits] == [unusual])
            client.set_up(token, "ana", "a password of many words")
        _signs_in_and_out_on_the_page(url, "ana", "a password of many words")

    with running(var, AUTH_MODE="required") as again:
        again.wait_for("Serving at")
        with Client(f"http://127.0.0.1:{again.port}", api_key=key) as client:
            assert client.me().username == "make-run"
    assert "setup --token" not in again.output


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data of a stack that has finished its demo."""
    var = tmp_path_factory.mktemp("demo")
    with running(var, "--demo") as stack:
        assert stack.wait(150) == 0, stack.output
    assert "[1]" in stack.output
    return var


@pytest.fixture
def filled(demo: Path, tmp_path: Path) -> Path:
    """A copy of that data."""
    return Path(shutil.copytree(demo, tmp_path / "var"))


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_after_the_demo_a_second_start_on_the_same_data_then_sigterm(filled: Path) -> None:
    with running(filled) as stack:
        stack.wait_for("Serving at")
        assert "rows added" not in stack.output
        processes = stack.descendants()
        assert len(processes) >= 4
        assert stack.stop(signal.SIGTERM) == 0
    assert alive(processes) == []


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_an_index_whose_file_was_deleted_is_filled_again_at_the_next_start(filled: Path) -> None:
    shutil.rmtree(filled / "milvus")
    with running(filled, "--demo") as stack:
        assert stack.wait(150) == 0, stack.output
    assert "rows added" not in stack.output
    assert "[1] conversation" in stack.output


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_an_index_of_another_release_is_built_anew_at_the_start(filled: Path) -> None:
    port = servers.free_port()
    server = servers.start_milvus_lite(filled / "milvus" / "embeddings.db", port)
    milvus = MilvusClient(f"http://127.0.0.1:{port}", dedicated=True)
    milvus.drop_collection(vector_index.COLLECTION)
    former = milvus.create_schema(auto_id=False, description="embedding=all-MiniLM-L6-v2;dimension=384")
    former.add_field("id", DataType.INT64, is_primary=True)
    former.add_field("embedding", DataType.FLOAT_VECTOR, dim=384)
    milvus.create_collection(vector_index.COLLECTION, schema=former)
    milvus.close()
    server.stop()
    with running(filled) as stack, Client(f"http://127.0.0.1:{stack.port}") as client:
        stack.wait_for("Serving at")
        assert len(client.search("cannot sleep").hits) == 10
        # Celery beat may have started a reconciliation too.
        [rebuild] = [run for run in client.index.runs() if run.kind is IndexRunKind.REBUILD]
        assert rebuild.status is IndexRunStatus.DONE


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_ctrl_c_in_the_middle_of_the_import_leaves_nothing_and_the_next_start_goes_on(tmp_path: Path) -> None:
    with running(tmp_path) as stack:
        stack.wait_for("rows added")
        processes = stack.descendants()
        assert stack.stop(signal.SIGINT) == 0, stack.output
    assert alive(processes) == []

    # The data works at another port too.
    with running(tmp_path) as again, Client(f"http://127.0.0.1:{again.port}") as client:
        again.wait_for("Serving at")
        with SAMPLE.open(newline="", encoding="utf-8") as file:
            rows = sum(1 for _ in csv.DictReader(file))
        assert client.conversations.stats().total == sum(1 for _ in client.conversations.iterate()) == rows


@pytest.mark.slow
@pytest.mark.timeout(200)
@pytest.mark.parametrize("victim", ["redis-server", "milvus", "celery", "local_gateway"])
def test_a_dead_child_is_named_and_everything_is_stopped(filled: Path, victim: str) -> None:
    with running(filled) as stack:
        stack.wait_for("Serving at")
        processes = stack.descendants()
        leaders = [process for process in processes if process.ppid() == stack.process.pid]
        [target] = [process for process in leaders if any(victim in part for part in process.cmdline()[:6])]
        target.kill()
        assert stack.wait() == 1
        assert "exited unexpectedly" in stack.output
        assert "Traceback" not in stack.output
    assert alive(processes) == []


def test_a_taken_port_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        stack = LocalStack(tmp_path, port)
        assert stack.wait() == 1
        stack.wait_for(f"Port {port} is in use")
    assert "Traceback" not in stack.output


def test_a_nonsensical_port_is_said_in_one_line(tmp_path: Path) -> None:
    stack = LocalStack(tmp_path, 0)
    assert stack.wait() == 1
    stack.wait_for("MH_PORT must be a port number")


def test_a_missing_redis_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "find_redis", lambda: None)
    with pytest.raises(servers.ServerError, match=r"redis-server is not installed.* apt-get install redis-server"):
        servers.start_redis(tmp_path, servers.free_port())
