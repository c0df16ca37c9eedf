"""Fixtures that every package's tests share: private instances of the real servers, one of each for a test run."""

import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import mysql9 as private_mysql9
import pymysql
import pytest
import servers
from mh_common.testing.openai_stub import StubOpenAI

MYSQL = "MariaDB or MySQL"
REDIS = "Redis"
ON_MYSQL9 = os.environ.get("MH_TEST_DATABASE") == "mysql9"
"""Run what runs on MariaDB on MySQL 9 instead."""


@dataclass(frozen=True)
class MySQL:
    """A private MariaDB or MySQL server; user root without password."""

    port: int

    def url(self, database: str) -> str:
        """Return the address of one of its databases."""
        return f"mysql+aiomysql://root@127.0.0.1:{self.port}/{database}"


def _unavailable(name: str) -> None:
    """Fail in CI, where everything must run; elsewhere skip. The terminal summary tells how to get the server."""
    message = f"{name} is not on this machine"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def mariadb(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MySQL]:
    """A running server; every test makes databases of its own in it."""
    if ON_MYSQL9:
        yield request.getfixturevalue("mysql9")
        return
    port = servers.free_port()
    with ExitStack() as stack:
        if servers.find_mysql():
            server = servers.start_mysql(tmp_path_factory.mktemp("mysql"), port)
            stack.callback(server.stop)
        elif servers.docker_answers():
            options = ("--env", "MYSQL_ALLOW_EMPTY_PASSWORD=1", "--env", "MYSQL_ROOT_HOST=%")
            stack.enter_context(servers.docker_server(servers.MYSQL_IMAGE, port, 3306, *options))
        else:
            _unavailable(MYSQL)
        _wait_for_login(port)
        yield MySQL(port)


@pytest.fixture(scope="session")
def mysql9(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MySQL]:
    """A running MySQL 9, where it can be had."""
    port = servers.free_port()
    with ExitStack() as stack:
        if program := private_mysql9.find():
            server = servers.start_mysql(tmp_path_factory.mktemp("mysql9"), port, program=program)
            stack.callback(server.stop)
        elif servers.docker_answers():
            options = ("--env", "MYSQL_ALLOW_EMPTY_PASSWORD=1", "--env", "MYSQL_ROOT_HOST=%")
            stack.enter_context(servers.docker_server(private_mysql9.IMAGE, port, 3306, *options))
        else:
            pytest.skip("MySQL 9 is not on this machine: `python scripts/mysql9.py` fetches it, or says why it cannot")
        _wait_for_login(port)
        yield MySQL(port)


def _wait_for_login(port: int) -> None:
    """Return when root can log in: a container accepts connections before that."""
    deadline = time.monotonic() + 60
    while True:
        try:
            pymysql.connect(host="127.0.0.1", port=port, user="root").close()
        except pymysql.err.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a running Redis."""
    port = servers.free_port()
    with ExitStack() as stack:
        if servers.find_redis():
            server = servers.start_redis(tmp_path_factory.mktemp("redis"), port)
            stack.callback(server.stop)
        elif servers.docker_answers():
            stack.enter_context(servers.docker_server(servers.REDIS_IMAGE, port, 6379))
        else:
            _unavailable(REDIS)
        yield f"redis://127.0.0.1:{port}/0"


@pytest.fixture(scope="session")
def milvus_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a running Milvus Lite. All tests share its one collection: who uses it drops it first."""
    port = servers.free_port()
    server = servers.start_milvus_lite(tmp_path_factory.mktemp("milvus") / "tests.db", port)
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture(scope="session")
def stub_openai() -> Iterator[StubOpenAI]:
    """A server that speaks the OpenAI protocol."""
    with StubOpenAI.running() as stub:
        yield stub


def pytest_configure(config: pytest.Config) -> None:
    """Ask for full coverage only where every test can run."""
    if _missing_servers():
        config.option.cov_fail_under = 0


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which tests did not run and how to get them, in the last lines."""
    reasons = Counter(report.longrepr[2] for report in terminalreporter.stats.get("skipped", []))
    if not reasons:
        return
    terminalreporter.section("not run")
    for reason, number in sorted(reasons.items()):
        terminalreporter.write_line(f"{number} tests: {reason.removeprefix('Skipped: ')}")
    for name, cure in _missing_servers().items():
        terminalreporter.write_line(f"To run those that need {name}: {cure}, or start Docker, then `make test` again.")


def _missing_servers() -> dict[str, str]:
    """Return how to get each server that is neither here nor to be had from Docker, by name."""
    missing = {} if servers.find_mysql() else {MYSQL: "install mariadb-server"}
    missing |= {} if servers.find_redis() else {REDIS: "install redis-server"}
    return {} if missing and servers.docker_answers() else missing
