"""Fixtures for all packages: private instances of the real servers, and restoring global state after each test.

Tests run in several processes (pytest-xdist). Each has its own Redis and Milvus Lite, and its own databases in one
shared server.
"""

import gc
import logging
import os
import signal
import ssl
import tempfile
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from pathlib import Path
from typing import NoReturn

import httpcore2
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

# No deadline: an example may be slow while other tests run.
hypothesis.settings.register_profile("without deadline", deadline=None)
hypothesis.settings.load_profile("without deadline")

# What applications and processes of the tests start with, unless a test sets it.
os.environ.setdefault("AUTH_MODE", "open")
os.environ.setdefault("AUTH_HOSTS", "api,rag-api,test,minds.example.org")

MYSQL = "MariaDB or MySQL"
REDIS = "Redis"
ON_MYSQL9 = os.environ.get("MH_TEST_DATABASE") == "mysql9"
"""Run the tests that use MariaDB on MySQL 9 instead."""


def _unavailable(name: str) -> NoReturn:
    """Fail in CI, where everything must run; elsewhere skip. The terminal summary says how to get the server."""
    message = f"{name} is not installed"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def mariadb(request: pytest.FixtureRequest) -> Iterator[MySQL]:
    """A running server; every test creates its own databases in it."""
    if ON_MYSQL9:
        yield request.getfixturevalue("mysql9")
        return
    with ExitStack() as stack:
        if servers.find_mysql():
            port = shared_server.port_of("mysql", servers.start_mysql)
        elif servers.docker_is_available():
            port = stack.enter_context(_mysql_in_docker(servers.MYSQL_IMAGE))
        else:
            _unavailable(MYSQL)
        yield MySQL(port)


@pytest.fixture(scope="session")
def mysql9() -> Iterator[MySQL]:
    """A running MySQL 9, if available."""
    with ExitStack() as stack:
        if program := private_mysql9.find():
            port = shared_server.port_of("mysql9", partial(servers.start_mysql, program=program))
        elif servers.docker_is_available():
            port = stack.enter_context(_mysql_in_docker(private_mysql9.IMAGE))
        else:
            pytest.skip("MySQL 9 is not installed: `python -m mh_devtools.servers.mysql9` fetches it, or says why not")
        yield MySQL(port)


@contextmanager
def _mysql_in_docker(image: str) -> Iterator[int]:
    port = servers.free_port()
    options = ("--env", "MYSQL_ALLOW_EMPTY_PASSWORD=1", "--env", "MYSQL_ROOT_HOST=%")
    with servers.docker_server(image, port, 3306, *options):
        # A container accepts connections before it is ready.
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
    """URL of a running Redis."""
    port = servers.free_port()
    with ExitStack() as stack:
        if servers.find_redis():
            server = servers.start_redis(tmp_path_factory.mktemp("redis"), port)
            stack.callback(server.stop)
        elif servers.docker_is_available():
            stack.enter_context(servers.docker_server(servers.REDIS_IMAGE, port, 6379))
        else:
            _unavailable(REDIS)
        yield f"redis://127.0.0.1:{port}/0"


@pytest.fixture(scope="session")
def milvus_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a running Milvus Lite. The tests share its one collection: empty or drop it before use."""
    port = servers.free_port()
    server = servers.start_milvus_lite(tmp_path_factory.mktemp("milvus") / "tests.db", port)
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture(scope="session")
def milvus_server_uri() -> Iterator[str]:
    """URL of a running Milvus server, if available; the tests that use it run sequentially."""
    if milvus_server.find() is None:
        pytest.skip(
            "there is no Milvus server: `python -m mh_devtools.servers.milvus_server` fetches one, or says why not"
        )
    port = servers.free_port()
    # Its data takes at least 300 MB, which pytest's tmp_path would keep.
    with tempfile.TemporaryDirectory() as folder:
        server = milvus_server.start(Path(folder), port)
        yield f"http://127.0.0.1:{port}"
        server.stop()


@pytest.fixture(scope="session")
def stub_openai() -> Iterator[StubOpenAI]:
    """An OpenAI-compatible server."""
    with StubOpenAI.running() as stub:
        yield stub


def _restored_logging() -> Iterator[None]:
    """Restore the logging configuration that applications change at startup, so that tests are independent."""
    former = {one: (one.handlers[:], one.level, one.propagate, one.disabled) for one in _loggers()}
    structured = structlog.get_config()
    yield
    structlog.configure(**structured)
    for logger in _loggers():
        handlers, level, propagate, disabled = former.get(logger) or _as_made(logger)
        logger.handlers[:] = handlers
        logger.propagate, logger.disabled = propagate, disabled
        # Setting it would clear the caches of all loggers.
        if logger.level != level:
            logger.setLevel(level)


def _loggers() -> list[logging.Logger]:
    root = logging.getLogger()
    return [root, *(one for one in root.manager.loggerDict.values() if isinstance(one, logging.Logger))]


def _as_made(logger: logging.Logger) -> tuple[list[logging.Handler], int, bool, bool]:
    """Return a logger's initial configuration, apart from a library's own NullHandler."""
    silent: list[logging.Handler] = [one for one in logger.handlers if isinstance(one, logging.NullHandler)]
    return silent, logging.NOTSET, True, False


# For an application shared by a module's tests, and for one of a single test.
_restored_logging_of_modules = pytest.fixture(_restored_logging, scope="module", autouse=True)
_restored_logging_of_tests = pytest.fixture(_restored_logging, autouse=True)


def _configure_structlog(configure: Callable[..., None] = structlog.configure, **settings: object) -> None:
    """Configure structlog without its cache, which would freeze loggers as the first application configured them."""
    configure(**settings | {"cache_logger_on_first_use": False})


def pytest_configure(config: pytest.Config) -> None:
    """Prepare each process, and in the first one the whole run."""
    if not hasattr(config, "workerinput"):
        shared_server.begin_run()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # As for background jobs: processes that tests start and interrupt would inherit that and ignore it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Every HTTP client creates one, which takes longer than everything else at an application's startup.
    ssl.create_default_context = cache(ssl.create_default_context)  # type: ignore[assignment]
    # The same for the clients of OpenAI's SDK.
    httpcore2.default_ssl_context = cache(httpcore2.default_ssl_context)
    structlog.configure = _configure_structlog  # type: ignore[assignment]
    # By default structlog renders tracebacks with all local variables, which takes seconds.
    structlog.configure(processors=[structlog.processors.format_exc_info, structlog.processors.LogfmtRenderer()])
    # The coverage minimum applies only if every test can run.
    if _missing_servers():
        config.option.cov_fail_under = 0


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the servers that all processes of the run shared."""
    if not hasattr(config, "workerinput"):
        shared_server.end_run()


def pytest_xdist_auto_num_workers() -> int:
    """Run more processes than there are CPUs, since tests spend much of their time waiting for servers."""
    return min((os.cpu_count() or 1) * 2, 8)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect without garbage collection, and spare what was collected later ones: nearly all of it stays."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run all tests of a file in one process, except those in a group shared by several files."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Summarise at the end which tests did not run, and how to run them."""
    reasons = Counter(report.longrepr[2] for report in terminalreporter.stats.get("skipped", []))
    if not reasons:
        return
    terminalreporter.section("not run")
    for reason, number in sorted(reasons.items()):
        terminalreporter.write_line(f"{number} tests: {reason.removeprefix('Skipped: ')}")
    for name, hint in _missing_servers().items():
        terminalreporter.write_line(f"To run those that need {name}: {hint}, or start Docker; then run `make test`.")


def _missing_servers() -> dict[str, str]:
    """Return a hint for each server that is neither installed nor available through Docker, by name."""
    missing = {} if servers.find_mysql() else {MYSQL: "install mariadb-server"}
    missing |= {} if servers.find_redis() else {REDIS: "install redis-server"}
    return {} if missing and servers.docker_is_available() else missing
