"""Fetching packages from Debian unstable: if that fails, the reason is reported and nothing is left behind."""

import re
import shutil
from pathlib import Path

import pytest
from mh_devtools.servers import debian_unstable, mysql9


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "cache"
    monkeypatch.setattr(debian_unstable, "HOME", home)
    return home


def test_without_apt_the_reason_names_what_is_missing(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(home))
    with pytest.raises(debian_unstable.UnavailableError, match="apt-get"):
        debian_unstable.fetch("docker-compose")
    mysql9.main()
    assert "some tests will not run: fetching mysql-server-core needs apt-get" in capsys.readouterr().err
    assert not home.exists()


@pytest.mark.skipif(
    not (shutil.which("apt-get") and debian_unstable.KEYRING.exists()), reason="only Debian and its kin have apt-get"
)
def test_a_mirror_that_does_not_answer_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian_unstable, "MIRROR", "http://127.0.0.1:1/debian")
    with pytest.raises(debian_unstable.UnavailableError, match=re.escape("http://127.0.0.1:1/debian")):
        debian_unstable.fetch(mysql9.PACKAGE, with_dependencies=True)
    assert mysql9.find() is None
    assert list(home.iterdir()) == []


def test_what_is_there_is_not_fetched_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = home / mysql9.PACKAGE
    for file in ("usr/sbin/mysqld", "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    monkeypatch.setattr(debian_unstable, "MIRROR", "http://127.0.0.1:1/debian")
    assert debian_unstable.fetch(mysql9.PACKAGE, with_dependencies=True) == root
    program = mysql9.find()
    assert program is not None
    assert not program.is_mariadb
