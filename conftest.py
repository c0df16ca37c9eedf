"""Fixtures that every package's tests share: private instances of the real servers, one of each for a test run."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pymysql
import pytest
import servers
from mh_common.testing.openai_stub import StubOpenAI


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
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MySQL]:
    """A running server; every test makes databases of its own in it."""
    port = servers.free_port()
    with ExitStack() as stack:
        if servers.find_mysql():
            server = servers.start_mysql(tmp_path_factory.mktemp("mysql"), port)
            stack.callback(server.stop)
        elif servers.docker_answers():
            options = ("--env", "MYSQL_ALLOW_EMPTY_PASSWORD=1", "--env", "MYSQL_ROOT_HOST=%")
            stack.enter_context(servers.docker_server(servers.MYSQL_IMAGE, port, 3306, *options))
        else:
            _unavailable("MariaDB or MySQL")
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
            _unavailable("Redis")
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
