"""How the tests are run: in several processes that keep out of each other's way, and what such a run tells."""

import logging
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from mh_devtools import servers
from mh_devtools.servers import processes, shared_server
from mh_devtools.testing import test_times


def test_the_tests_of_a_file_share_a_process(request: pytest.FixtureRequest) -> None:
    """What a module starts for its tests would be started again in each process, unless they stay together."""
    if not hasattr(request.config, "workerinput"):
        pytest.skip("all tests run in one process")
    assert request.node.nodeid.endswith("@test_runs")


def test_askers_at_the_same_time_are_given_different_ports() -> None:
    program = "from mh_devtools import servers; print(*(servers.free_port() for _ in range(50)))"

    def ask(_: int) -> list[str]:
        return subprocess.check_output([sys.executable, "-c", program], text=True).split()

    with ThreadPoolExecutor(4) as askers:
        given = [port for ports in askers.map(ask, range(4)) for port in ports]
    assert len(given) == len(set(given)) == 200
    assert {int(port) for port in given} <= set(servers.PORTS)


def test_a_port_that_somebody_listens_on_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    port = servers.free_port()
    after = servers.PORTS[(servers.PORTS.index(port) + 1) % len(servers.PORTS)]
    monkeypatch.setattr(processes, "_can_be_bound", lambda number: number != after)
    assert servers.free_port() != after


@pytest.mark.redis
def test_a_shared_server_is_started_once_and_ended_with_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    if servers.find_redis() is None and os.environ.get("CI") != "true":
        pytest.skip("Redis is not installed")
    monkeypatch.setenv(shared_server.FOLDER_VARIABLE, "")
    shared_server.begin_run()
    folder = Path(os.environ[shared_server.FOLDER_VARIABLE])
    with ThreadPoolExecutor(4) as askers:
        [port] = set(askers.map(lambda _: shared_server.port_of("redis", servers.start_redis), range(4)))
    assert servers.listens(port)
    shared_server.end_run()
    assert not servers.listens(port)
    assert not folder.exists()


def test_what_is_configured_of_a_logger_that_a_test_makes_is_taken_back(pytestconfig: pytest.Config) -> None:
    conftest = pytestconfig.pluginmanager.get_plugin(str(pytestconfig.rootpath / "conftest.py"))
    assert conftest is not None
    restored = conftest._restored_logging()
    next(restored)
    made = logging.getLogger(f"{__name__}.made")
    silent = logging.NullHandler()
    made.handlers[:] = [logging.StreamHandler(), silent]
    made.propagate, made.disabled = False, True
    made.setLevel(logging.ERROR)
    next(restored, None)
    assert (made.handlers, made.propagate, made.disabled, made.level) == ([silent], True, False, logging.NOTSET)


def test_the_time_of_a_run_is_told_by_package_and_for_the_slowest_tests(tmp_path: Path) -> None:
    file = tmp_path / "tests.xml"
    file.write_text(
        "<testsuites><testsuite>"
        '<testcase classname="tests.test_stack" name="test_b[x]@test_stack" time="2.5"/>'
        '<testcase classname="services.rag-api.tests.unit.test_a.TestA" name="test_a" time="1"/>'
        '<testcase classname="services.rag-api.tests.unit.test_a" name="test_c[d@e]" time="0.25"/>'
        "</testsuite></testsuites>",
        encoding="utf-8",
    )
    table = test_times.table(test_times.read(file)).splitlines()
    assert [line.split() for line in table[:2]] == [
        ["tests", "1", "tests", "2.5", "s"],
        ["services/rag-api", "2", "tests", "1.2", "s"],
    ]
    assert [line.split("s  ")[1] for line in table[3:]] == [
        "test_stack::test_b[x]",
        "TestA::test_a",
        "test_a::test_c[d@e]",
    ]
