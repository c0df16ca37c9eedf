"""What every package's tests share: private instances of the real servers, and a process left as a test found it.

Tests run in several processes (pytest-xdist). Each has a Redis and a Milvus Lite of its own, and databases of its own
in one server that all share.
"""

import logging
import os
import signal
import ssl
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from pathlib import Path
from typing import NoReturn

import hypothesis
import pymysql
import pytest
import structlog
from mh_devtools import servers
from mh_devtools.servers import milvus_server, shared_server
from mh_devtools.servers import mysql9 as private_mysql9
from mh_devtools.stubs.openai_stub import StubOpenAI
from mh_devtools.testing.fixtures import MySQL
from mh_devtools.testing.waiting import wait_until

# An example may take as long as the machine needs beside others.
hypothesis.settings.register_profile("without deadline", deadline=None)
hypothesis.settings.load_profile("without deadline")

MYSQL = "MariaDB or MySQL"
REDIS = "Redis"
ON_MYSQL9 = os.environ.get("MH_TEST_DATABASE") == "mysql9"
"""Run what runs on MariaDB on MySQL 9 instead."""


def _unavailable(name: str) -> NoReturn:
    """Fail in CI, where everything must run; elsewhere skip. The terminal summary tells how to get the server."""
    message = f"{name} is not on this machine"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def mariadb(request: pytest.FixtureRequest) -> Iterator[MySQL]:
    """A running server; every test makes databases of its own in it."""
    if ON_MYSQL9:
        yield request.getfixturevalue("mysql9")
        return
    with ExitStack() as stack:
        if servers.find_mysql():
            port = shared_server.port_of("mysql", servers.start_mysql)
        elif servers.docker_answers():
            port = stack.enter_context(_mysql_in_docker(servers.MYSQL_IMAGE))
        else:
            _unavailable(MYSQL)
        yield MySQL(port)


@pytest.fixture(scope="session")
def mysql9() -> Iterator[MySQL]:
    """A running MySQL 9, where it can be had."""
    with ExitStack() as stack:
        if program := private_mysql9.find():
            port = shared_server.port_of("mysql9", partial(servers.start_mysql, program=program))
        elif servers.docker_answers():
            port = stack.enter_context(_mysql_in_docker(private_mysql9.IMAGE))
        else:
            pytest.skip("MySQL 9 is not here: `python -m mh_devtools.servers.mysql9` fetches it, or says why it cannot")
        yield MySQL(port)


@contextmanager
def _mysql_in_docker(image: str) -> Iterator[int]:
    port = servers.free_port()
    options = ("--env", "MYSQL_ALLOW_EMPTY_PASSWORD=1", "--env", "MYSQL_ROOT_HOST=%")
    with servers.docker_server(image, port, 3306, *options):
        # A container accepts connections before that.
        wait_until(lambda: _root_can_log_in(port), what="root can log in to the container's MySQL")
        yield port


def _root_can_log_in(port: int) -> bool:
    try:
        pymysql.connect(host="127.0.0.1", port=port, user="root").close()
    except pymysql.err.OperationalError:
        return False
    return True


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
    """Address of a running Milvus Lite, whose one collection the tests share: who uses it empties or drops it first."""
    port = servers.free_port()
    server = servers.start_milvus_lite(tmp_path_factory.mktemp("milvus") / "tests.db", port)
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture(scope="session")
def milvus_server_uri() -> Iterator[str]:
    """Address of a running Milvus server, where it can be had; the tests on it run one after the other."""
    if milvus_server.find() is None:
        pytest.skip(
            "a Milvus server is not here: `python -m mh_devtools.servers.milvus_server` fetches it, or says why not"
        )
    port = servers.free_port()
    # It takes 300 MB from its start on, which pytest would keep.
    with tempfile.TemporaryDirectory() as folder:
        server = milvus_server.start(Path(folder), port)
        yield f"http://127.0.0.1:{port}"
        server.stop()


@pytest.fixture(scope="session")
def stub_openai() -> Iterator[StubOpenAI]:
    """A server that speaks the OpenAI protocol."""
    with StubOpenAI.running() as stub:
        yield stub


def _restored_logging() -> Iterator[None]:
    """Take back what an application configures at its start, so that no test depends on which ran before it."""
    former = {one: (one.handlers[:], one.level, one.propagate, one.disabled) for one in _loggers()}
    structured = structlog.get_config()
    yield
    structlog.configure(**structured)
    for logger in _loggers():
        handlers, level, propagate, disabled = former.get(logger) or _as_made(logger)
        logger.handlers[:] = handlers
        logger.propagate, logger.disabled = propagate, disabled
        # Setting it costs the cache of all loggers.
        if logger.level != level:
            logger.setLevel(level)


def _loggers() -> list[logging.Logger]:
    root = logging.getLogger()
    return [root, *(one for one in root.manager.loggerDict.values() if isinstance(one, logging.Logger))]


def _as_made(logger: logging.Logger) -> tuple[list[logging.Handler], int, bool, bool]:
    """Return how a logger was before anybody configured it, but for a library's own handler that does nothing."""
    silent: list[logging.Handler] = [one for one in logger.handlers if isinstance(one, logging.NullHandler)]
    return silent, logging.NOTSET, True, False


# Of an application that a module's tests share, and of a test's own.
_restored_logging_of_modules = pytest.fixture(_restored_logging, scope="module", autouse=True)
_restored_logging_of_tests = pytest.fixture(_restored_logging, autouse=True)


def _configure_structlog(configure: Callable[..., None] = structlog.configure, **settings: object) -> None:
    """Configure structlog without its cache, which would keep a logger as the first application configured it."""
    configure(**settings | {"cache_logger_on_first_use": False})


def pytest_configure(config: pytest.Config) -> None:
    """Prepare the run in its first process, and each of its processes."""
    if not hasattr(config, "workerinput"):
        shared_server.begin_run()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # As in a run in the background: what tests start and interrupt would ignore it as well.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Each client of HTTP makes one, which takes longer than all else at the start of an application.
    ssl.create_default_context = cache(ssl.create_default_context)  # type: ignore[assignment]
    structlog.configure = _configure_structlog  # type: ignore[assignment]
    # As it is, structlog draws each traceback with all local variables, which takes seconds.
    structlog.configure(processors=[structlog.processors.format_exc_info, structlog.processors.LogfmtRenderer()])
    # Full coverage is asked for only where every test can run.
    if _missing_servers():
        config.option.cov_fail_under = 0


def pytest_unconfigure(config: pytest.Config) -> None:
    """End what all processes of the run shared."""
    if not hasattr(config, "workerinput"):
        shared_server.end_run()


def pytest_xdist_auto_num_workers() -> int:
    """Run more tests at a time than there are processors, since they wait for servers a good part of it."""
    return min((os.cpu_count() or 1) * 2, 8)


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let one process run all tests of a file, but for those of a group that several files share."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


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
