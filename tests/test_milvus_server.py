"""The Milvus server for the slow tests: fetched completely or not at all, reachable through one loopback port only."""

import http.server
import lzma
import platform
import sys
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from mh_devtools import servers
from mh_devtools.servers import milvus_server, private_network

without_networks = pytest.mark.skipif(
    private_network.unavailable_reason() is not None,
    reason="a network of its own can be made on Linux only, where users may",
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "cache"
    monkeypatch.setattr(milvus_server, "HOME", home)
    monkeypatch.setattr(milvus_server, "UNPACKED", home / "milvus")
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(private_network, "unavailable_reason", lambda: None)
    return home


def test_an_index_that_does_not_answer_is_said_in_one_line_and_leaves_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    index = {"INDEX_URL": "http://127.0.0.1:1/", "EXTRA_INDEX_URL": "", "NO_INDEX": "", "RETRIES": "1"}
    for name, value in index.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")

    milvus_server.main()

    said = capsys.readouterr().err
    assert "Without a Milvus server, some tests will not run: milvus==2.3.5 could not be downloaded." in said
    assert said.count("\n") == 1
    assert milvus_server.find() is None
    assert list(home.iterdir()) == []


def test_a_wheel_with_another_hash_is_not_taken(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with zipfile.ZipFile(tmp_path / "milvus-2.3.5-py3-none-any.whl", "w") as wheel:
        wheel.writestr("milvus/data/bin/milvus.lzma", lzma.compress(b"not it"))
        wheel.writestr("milvus-2.3.5.dist-info/METADATA", "Metadata-Version: 2.1\nName: milvus\nVersion: 2.3.5\n")
        wheel.writestr("milvus-2.3.5.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr("milvus-2.3.5.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))

    milvus_server.main()

    assert "its hash differs" in capsys.readouterr().err
    assert milvus_server.find() is None


@pytest.mark.parametrize(
    ("system", "machine", "unavailable_reason", "reason"),
    [
        ("Darwin", "arm64", None, "for Linux on x86-64 only"),
        ("Linux", "aarch64", None, "for Linux on x86-64 only"),
        ("Linux", "x86_64", "a user may make no network here", "a user may make no network here"),
    ],
)
def test_where_it_cannot_run_it_is_not_fetched(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    system: str,
    machine: str,
    unavailable_reason: str | None,
    reason: str,
) -> None:
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(private_network, "unavailable_reason", lambda: unavailable_reason)

    milvus_server.main()

    assert reason in capsys.readouterr().err
    assert not home.exists()


@pytest.fixture
def hidden(tmp_path: Path) -> Iterator[tuple[servers.Running, int, int]]:
    """A server on all addresses of its own network: the process, its port there, and the forwarded port."""
    port, inner = servers.free_port(), servers.free_port()
    program = [sys.executable, "-m", "http.server", str(inner), "--directory", str(tmp_path)]
    ready = f"http://127.0.0.1:{inner}/"
    command = [sys.executable, private_network.__file__, str(port), str(inner), ready, *program]
    server = servers.start("a server", command, tmp_path / "server.log")
    servers.wait_until(server, lambda: servers.listens(port))
    yield server, inner, port
    server.stop()


@without_networks
def test_a_server_in_a_network_of_its_own_is_reached_through_one_loopback_port_and_ends_with_its_starter(
    hidden: tuple[servers.Running, int, int], tmp_path: Path
) -> None:
    server, inner, port = hidden
    big = b"x" * 3_000_000
    (tmp_path / "file").write_bytes(big)

    with urllib.request.urlopen(f"http://127.0.0.1:{port}/file", timeout=30) as response:
        assert response.read() == big

    assert not servers.listens(inner)
    [child] = psutil.Process(server.process.pid).children()
    assert http.server.__name__ in child.cmdline()
    server.stop()
    child.wait(30)
    assert not servers.listens(port)


@without_networks
def test_a_server_that_does_not_start_ends_what_leads_to_it(tmp_path: Path) -> None:
    port = servers.free_port()
    command = [sys.executable, private_network.__file__, str(port), "1", "http://127.0.0.1:1/", "false"]
    server = servers.start("a server", command, tmp_path / "server.log")

    with pytest.raises(servers.ServerError, match="exited unexpectedly"):
        servers.wait_until(server, lambda: servers.listens(port))
