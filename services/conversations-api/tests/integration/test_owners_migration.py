"""Migration 0015: whom the entries of the history belong to, of the time without accounts and with them."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
import sqlalchemy
from alembic import command
from alembic.config import Config
from conversations_api.settings import DatabaseSettings
from sqlalchemy import Engine, create_engine, insert, text

DRIVERS: Final = {"mysql": "mysql+pymysql", "sqlite": "sqlite"}
SET_UP: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
OPEN: Final = "urn:mental-health-platform:open"


@pytest.fixture
def engine(empty_database: DatabaseSettings) -> Iterator[Engine]:
    engine = create_engine(empty_database.address.set(drivername=DRIVERS[empty_database.address.get_backend_name()]))
    yield engine
    engine.dispose()


def add(engine: Engine, table: str, *rows: dict[str, Any]) -> None:
    with engine.begin() as connection:
        for row in rows:
            connection.execute(insert(sqlalchemy.table(table, *map(sqlalchemy.column, row))), row)


def rows(engine: Engine, query: str) -> list[tuple[Any, ...]]:
    with engine.begin() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def account(key: int, at: datetime, kind: str = "person") -> dict[str, Any]:
    values = {"id": key, "username": f"user{key}", "role": "admin", "kind": kind, "state": "active", "version": 1}
    return {**values, "created_at": stored(at), "updated_at": stored(at)}


def asked(key: int, user_id: str | None, at: datetime) -> dict[str, Any]:
    texts = dict.fromkeys(("question", "answer", "model"), "x") | {"filters": "{}", "hits": "[]", "usage": "{}"}
    entry = {"id": key, "answer_id": f"answer-{key}", "user_id": user_id, "created_at": stored(at), "latency_ms": 1.0}
    return {**entry, **texts}


def stored(at: datetime) -> str:
    return at.replace(tzinfo=None).isoformat(" ", "microseconds")


def test_each_entry_finds_its_owner_and_is_there_again_after_a_downgrade(
    engine: Engine, empty_database: DatabaseSettings, alembic_config: Callable[[DatabaseSettings], Config]
) -> None:
    config, hour = alembic_config(empty_database), timedelta(hours=1)
    command.upgrade(config, "0014")
    add(engine, "users", account(1, SET_UP), account(7, SET_UP + hour, "service"))
    before = [
        asked(1, "1", SET_UP - hour),  # somebody whom a proxy called 1, before there was an account
        asked(2, "1", SET_UP + hour),  # the account
        asked(3, "7", SET_UP),  # before the account 7 was made
        asked(4, "7", SET_UP + 2 * hour),
        asked(5, "8", SET_UP + hour),  # no account
        asked(6, "ann", SET_UP - hour),
        asked(7, "Ann", SET_UP + hour),
        asked(8, "ann", SET_UP - 2 * hour),
        asked(9, None, SET_UP),
        asked(10, "01", SET_UP + hour),
    ]
    add(engine, "query_history", *before)
    command.upgrade(config, "0015")
    owners = rows(
        engine,
        "SELECT h.id, h.account_id, i.issuer, i.subject, i.user_id FROM query_history h"
        " LEFT JOIN user_identities i ON i.id = h.identity_id ORDER BY h.id",
    )
    assert owners == [
        (1, None, OPEN, "1", None),
        (2, 1, None, None, None),
        (3, None, OPEN, "7", None),
        (4, 7, None, None, None),
        (5, None, OPEN, "8", None),
        (6, None, OPEN, "ann", None),
        (7, None, OPEN, "Ann", None),
        (8, None, OPEN, "ann", None),
        (9, None, None, None, None),
        (10, None, OPEN, "01", None),
    ]
    seen = dict(rows(engine, "SELECT subject, linked_at FROM user_identities"))
    assert len(seen) == 6
    assert str(seen["ann"])[:19] == stored(SET_UP - 2 * hour)[:19]
    # A person for whom the keys of account 7 act: for the previous release that is account 7.
    with engine.begin() as connection:
        mine = {"issuer": "urn:mental-health-platform:account:7", "account": 7, "subject": "1", "email_verified": False}
        connection.execute(
            text(
                "INSERT INTO user_identities (issuer, user_id, subject, email_verified, linked_at)"
                " VALUES (:issuer, :account, :subject, :email_verified, '2026-03-02 00:00:00')"
            ),
            mine,
        )
        connection.execute(
            text(
                "UPDATE query_history SET identity_id = (SELECT id FROM user_identities WHERE user_id = 7) WHERE id = 5"
            )
        )
    command.downgrade(config, "0014")
    after = dict(rows(engine, "SELECT id, user_id FROM query_history"))
    assert after == {row["id"]: row["user_id"] for row in before} | {5: "7"}
    assert rows(engine, "SELECT subject FROM user_identities") == [("1",)]
    command.upgrade(config, "0015")
    assert rows(engine, "SELECT id FROM query_history WHERE account_id = 7 ORDER BY id") == [(4,), (5,)]
