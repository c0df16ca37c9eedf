"""Fetching MySQL 9: where it cannot be had, the reason is said and nothing is left behind."""

import shutil
from pathlib import Path

import mysql9
import pytest


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "cache" / "mysql9"
    monkeypatch.setattr(mysql9, "HOME", home)
    return home


def test_without_apt_the_reason_names_what_is_missing(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(home))
    assert "apt-get" in str(mysql9.fetch())
    mysql9.main()
    assert "some tests will not run" in capsys.readouterr().err
    assert not home.exists()


@pytest.mark.skipif(
    not (shutil.which("apt-get") and mysql9.KEYRING.exists()), reason="only Debian and its kin have apt-get"
)
def test_a_mirror_that_does_not_answer_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mysql9, "MIRROR", "http://127.0.0.1:1/debian")
    assert "http://127.0.0.1:1/debian" in str(mysql9.fetch())
    assert mysql9.find() is None
    assert list(home.parent.iterdir()) == []


def test_what_is_there_is_not_fetched_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for file in ("usr/sbin/mysqld", "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"):
        (home / file).parent.mkdir(parents=True, exist_ok=True)
        (home / file).touch()
    monkeypatch.setattr(mysql9, "MIRROR", "http://127.0.0.1:1/debian")
    assert mysql9.fetch() is None
    program = mysql9.find()
    assert program is not None
    assert not program.is_mariadb
