"""The address of the database, from the environment."""

import pytest
from conversations_api.settings import Settings
from mh_common.settings import load_settings


def test_user_and_password_come_from_variables_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "mysql://somebody:old@db:3307/legacy_development")
    monkeypatch.setenv("DATABASE_USER", "counselor")
    monkeypatch.setenv("DATABASE_PASSWORD", "p@ss/word")
    address = Settings().database.address
    assert address.render_as_string(hide_password=False) == (
        "mysql+aiomysql://counselor:p%40ss%2Fword@db:3307/legacy_development"
    )
    assert "p@ss" not in repr(Settings())


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("mysql+aiomysql://db/x", "mysql+aiomysql"),
        ("mysql+pymysql://db/x", "mysql+aiomysql"),
        ("mariadb://db/x", "mysql+aiomysql"),
        ("sqlite:///x.db", "sqlite+aiosqlite"),
    ],
)
def test_the_driver_is_the_async_one(monkeypatch: pytest.MonkeyPatch, url: str, driver: str) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    assert Settings().database.address.drivername == driver


@pytest.mark.parametrize("url", ["postgresql://db/x", "no address", "mysql+aiomysql"])
def test_another_database_is_rejected_in_one_line(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    with pytest.raises(SystemExit) as raised:
        load_settings(Settings)
    message = str(raised.value)
    assert message.startswith("Invalid settings. DATABASE_URL: ")
    assert "mysql+aiomysql://HOST:PORT/DATABASE" in message
    assert "\n" not in message


def test_sqlite_has_no_user_so_one_meant_for_a_server_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "sqlite:////data/x.db")
    monkeypatch.setenv("DATABASE_USER", "counselor")
    monkeypatch.setenv("DATABASE_PASSWORD", "p@ss/word")
    assert Settings().database.address.render_as_string(hide_password=False) == "sqlite+aiosqlite:////data/x.db"
