"""Fixtures for the client's tests: a stub of the platform, the command in this process, and both kinds of client."""

import asyncio
from collections.abc import Callable, Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
from mh_client import AsyncClient, Client
from mh_client.cli import main
from mh_devtools.stubs.access_stub import StubAccess
from mh_devtools.stubs.platform_stub import StubPlatform
from mh_devtools.testing.fixtures import CallMethod, RunCommand


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Send no credential of whoever runs the tests, and store none with theirs."""
    for name in ("MH_API_KEY", "MH_API_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> Iterator[StubAccess]:
    """A stub of a platform with accounts, which commands use by default."""
    with StubAccess.running() as running:
        monkeypatch.setenv("MH_URL", running.base_url)
        yield running


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[StubPlatform]:
    """A stub of the platform's API, which commands use by default."""
    with StubPlatform.running() as running:
        monkeypatch.setenv("MH_URL", running.base_url)
        yield running


@pytest.fixture
def mh(capsys: pytest.CaptureFixture[str]) -> RunCommand:
    """Run the command in this process; return exit code, standard output and standard error."""

    def run(*args: Any) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exited:
            main([str(arg) for arg in args])
        output, errors = capsys.readouterr()
        code = exited.value.code
        assert isinstance(code, int)
        return code, output, errors

    return run


@pytest.fixture(params=["Client", "AsyncClient"])
def calling(request: pytest.FixtureRequest) -> Callable[..., CallMethod]:
    """Return a function that calls methods of a client with this URL and options; iterators become lists."""

    def of_client(base_url: str, **options: Any) -> CallMethod:
        def call(path: str, *args: Any, **kwargs: Any) -> Any:
            with Client(base_url, **options) as client:
                found = attrgetter(path)(client)(*args, **kwargs)
                return list(found) if isinstance(found, Iterator) else found

        return call

    def of_async_client(base_url: str, **options: Any) -> CallMethod:
        async def awaited(path: str, args: Any, kwargs: Any) -> Any:
            async with AsyncClient(base_url, **options) as client:
                found = attrgetter(path)(client)(*args, **kwargs)
                return [item async for item in found] if hasattr(found, "__aiter__") else await found

        return lambda path, *args, **kwargs: asyncio.run(awaited(path, args, kwargs))

    return of_client if request.param == "Client" else of_async_client
