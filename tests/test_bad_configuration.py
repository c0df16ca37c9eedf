"""With invalid configuration each service exits at startup with one line: the variable and what to do."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import conversations_api.settings
import grpc
import indexer_worker.settings
import pymysql
import pytest
import rag_api.settings
from mh_common.settings import load_settings
from mh_devtools import servers
from mh_devtools.testing.fixtures import MySQL
from pydantic_settings import BaseSettings
from redis import Redis

SECRET = "hunter2-is-secret"
CELERY = (sys.executable, "-m", "celery", "-A", "indexer_worker.celery_app")
COMMANDS = {
    "conversations-api": (sys.executable, "-m", "conversations_api"),
    "migration": (sys.executable, "-m", "alembic", "upgrade", "head"),
    "rag-api": (sys.executable, "-m", "rag_api"),
    "worker": (*CELERY, "worker", "--queues", "index", "--concurrency", "1"),
    "beat": (*CELERY, "beat"),
}
SETTINGS: dict[str, type[BaseSettings]] = {
    "conversations-api": conversations_api.settings.Settings,
    "migration": conversations_api.settings.AccountsSettings,
    "worker": indexer_worker.settings.Settings,
    "rag-api": rag_api.settings.Settings,
}
ROOT = Path(__file__).resolve().parent.parent
NOWHERE = "127.0.0.1:1"


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """An environment with only the variables that the test sets."""
    kept = {name: os.environ[name] for name in os.environ if name.startswith(("PATH", "PYTHON", "COV"))}
    # Celery would print a warning about running as root.
    ours = {"HOME": str(folder), "PYTHONWARNINGS": "ignore", "RECONCILE_SCHEDULE_FILE": str(folder / "beat")}
    return kept | ours | {"STARTUP_TIMEOUT": "1", "AUTH_MODE": "open"} | variables


def refused_settings(service: str, folder: Path, monkeypatch: pytest.MonkeyPatch, **variables: str) -> str:
    """Read the service's settings as its start does, and return the line with which it exits.

    That each program reads them, and what it prints then, is tested with a process of each.
    """
    for name in os.environ:
        monkeypatch.delenv(name)
    for name, value in environment(folder, **variables).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit) as ended:
        load_settings(SETTINGS[service])
    line = str(ended.value)
    assert SECRET not in line
    assert len(line.splitlines()) == 1
    return line


def refusal(service: str, folder: Path, **variables: str) -> str:
    """Start the service, wait until it exits, and return its one line."""
    migrations = ROOT / "services" / "conversations-api"
    done = subprocess.run(
        COMMANDS[service],
        cwd=migrations if service == "migration" else folder,
        env=environment(folder, **variables),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert SECRET not in done.stdout + done.stderr
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, done.stderr
    return lines[0]


@pytest.mark.parametrize(
    ("service", "variables", "words"),
    [
        (
            "conversations-api",
            {"DATABASE_URL": f"postgres://me:{SECRET}@db/x"},
            "DATABASE_URL: must look like mysql+aio",
        ),
        ("migration", {"DATABASE_URL": f"mysql:{SECRET}"}, "DATABASE_URL: must look like mysql+aio"),
        ("worker", {"REDIS_URL": f"redis://:{SECRET}@redis:port/0"}, "REDIS_URL: must look like redis://"),
        ("beat", {"REDIS_URL": "redis://"}, "REDIS_URL: must look like redis://"),
        ("rag-api", {"MILVUS_URI": "./milvus.db"}, "MILVUS_URI: must look like http://HOST:PORT"),
        ("rag-api", {"EMBEDDING_PROVIDER": "openai"}, "EMBEDDING_PROVIDER=openai needs OPENAI_API_KEY"),
        (
            "rag-api",
            {"EMBEDDING_PROVIDER": "openai", "OPENAI_API_KEY": SECRET},
            "at api.openai.com: set EMBEDDING_DATA_EGRESS=allowed",
        ),
    ],
)
def test_each_program_exits_with_one_line_that_names_the_setting(
    service: str, variables: dict[str, str], words: str, tmp_path: Path
) -> None:
    assert words in refusal(service, tmp_path, **variables)


@pytest.mark.parametrize(
    ("service", "variables", "words"),
    [
        ("conversations-api", {"REDIS_URL": f"http://:{SECRET}@redis"}, "REDIS_URL: must look like redis://"),
        ("conversations-api", {"AUTH_MODE": ""}, "AUTH_MODE: must be set: `required`"),
        ("conversations-api", {"AUTH_MODE": "required"}, "MH_SERVICE_KEY: AUTH_MODE=required needs the key"),
        ("worker", {"MH_SERVICE_KEY": f"mh_svc_{SECRET}"}, "MH_SERVICE_KEY: must be a whole service key"),
        ("worker", {"MILVUS_URI": "grpc://milvus:19530"}, "MILVUS_URI: must look like http://HOST:PORT"),
        ("rag-api", {"CONVERSATIONS_URL": "conversations-api:8000"}, "CONVERSATIONS_URL: must look like http://"),
        ("rag-api", {"WEB_CONCURRENCY": "many"}, "WEB_CONCURRENCY: Input should be a valid integer"),
        ("conversations-api", {"DATABASE_POOL_SIZE": "0"}, "DATABASE_POOL_SIZE: Input should be greater than or equal"),
        ("conversations-api", {"ENVIRONMENT": "prod"}, "ENVIRONMENT: Input should be 'development' or 'production'"),
        (
            "worker",
            {"EMBEDDING_PROVIDER": "opnai"},
            "EMBEDDING_PROVIDER: Input should be 'auto', 'local', 'openai' or 'tei'",
        ),
        (
            "rag-api",
            {"OPENAI_API_KEYS": SECRET},
            "OPENAI_API_KEYS: there is no such setting (did you mean OPENAI_API_KEY?)",
        ),
        ("conversations-api", {"DATABASE_PASWORD": SECRET}, "did you mean DATABASE_PASSWORD?"),
        ("rag-api", {"ANSWERS_MODE": "model"}, "ANSWERS_MODE=model needs OPENAI_API_KEY"),
        (
            "rag-api",
            {"ANSWERS_MODE": "model", "OPENAI_API_KEY": SECRET},
            "ANSWERS_MODE=model needs LLM_DATA_EGRESS=allowed to send texts to api.openai.com",
        ),
        ("rag-api", {"LLM_DATA_EGRESS": "yes"}, "LLM_DATA_EGRESS: Input should be 'allowed'"),
        ("worker", {"EGRESS_TRUSTED_HOSTS": f"http://{SECRET}"}, "EGRESS_TRUSTED_HOSTS: must be host names"),
        ("rag-api", {"PHI_MODE": "on"}, "PHI_MODE: Input should be 'off', 'pseudonymise' or 'refuse'"),
        ("rag-api", {"AUTH_MODE": ""}, "AUTH_MODE: must be set: `required`"),
        ("rag-api", {"WEB_HOST": "0.0.0.0"}, "AUTH_MODE=open gives everybody who reaches WEB_HOST=0.0.0.0"),  # noqa: S104
        ("rag-api", {"DOORS_API_KEY": SECRET}, "DOORS_API_KEY is no longer used. Remove it, set AUTH_MODE=required"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(
    service: str, variables: dict[str, str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert words in refused_settings(service, tmp_path, monkeypatch, **variables)


@pytest.mark.parametrize(
    ("service", "missing"),
    [
        ("conversations-api", ["DATABASE_PASSWORD", "REDIS_URL"]),
        ("migration", ["DATABASE_PASSWORD"]),
        ("worker", ["REDIS_URL", "MILVUS_TOKEN"]),
        ("rag-api", ["MILVUS_TOKEN", "OPENAI_API_KEY", "ANSWERS_MODE=quotes"]),
    ],
)
def test_production_does_without_no_secret(
    service: str, missing: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = refused_settings(service, tmp_path, monkeypatch, ENVIRONMENT="production")
    assert "ENVIRONMENT=production needs" in line
    assert all(name in line for name in missing)


@pytest.mark.parametrize(
    ("service", "variables", "named"),
    [
        ("conversations-api", {"DATABASE_URL": f"mysql+aiomysql://me:{SECRET}@{NOWHERE}/x"}, "DATABASE_URL"),
        ("migration", {"DATABASE_URL": f"mysql+aiomysql://me:{SECRET}@{NOWHERE}/x"}, "DATABASE_URL"),
        ("migration", {"DATABASE_URL": "sqlite+aiosqlite:////nowhere/file.db"}, "DATABASE_URL"),
        ("worker", {"REDIS_URL": f"redis://:{SECRET}@{NOWHERE}/0"}, "REDIS_URL"),
        ("beat", {"REDIS_URL": f"redis://:{SECRET}@{NOWHERE}/0"}, "REDIS_URL"),
        ("rag-api", {"MILVUS_URI": f"http://{NOWHERE}", "MILVUS_TOKEN": f"root:{SECRET}"}, "MILVUS_URI"),
    ],
)
def test_a_store_that_stays_away_is_named(
    service: str, variables: dict[str, str], named: str, redis_url: str, milvus_uri: str, tmp_path: Path
) -> None:
    others = {"REDIS_URL": redis_url, "MILVUS_URI": milvus_uri}
    line = refusal(service, tmp_path, **(others | variables))
    assert line.startswith("The service cannot start. ")
    assert named in line


@pytest.mark.mysql
class TestDatabase:
    @pytest.fixture
    def user(self, mariadb: MySQL) -> Iterator[str]:
        """Address of an empty database, with a user who needs a password, but for the password."""
        with pymysql.connect(host="127.0.0.1", port=mariadb.port, user="root", autocommit=True) as connection:
            cursor = connection.cursor()
            cursor.execute("CREATE DATABASE bad_configuration")
            cursor.execute(f"CREATE USER careful@'127.0.0.1' IDENTIFIED BY '{SECRET}'")
            cursor.execute("GRANT ALL ON bad_configuration.* TO careful@'127.0.0.1'")
            yield f"mysql+aiomysql://careful@127.0.0.1:{mariadb.port}"
            cursor.execute("DROP USER careful@'127.0.0.1'")
            cursor.execute("DROP DATABASE bad_configuration")

    @pytest.mark.slow
    @pytest.mark.parametrize("service", ["conversations-api", "migration"])
    def test_a_wrong_password_is_named(self, service: str, user: str, redis_url: str, tmp_path: Path) -> None:
        variables = {"DATABASE_URL": f"{user}/bad_configuration", "DATABASE_PASSWORD": "wrong"}
        line = refusal(service, tmp_path, REDIS_URL=redis_url, STARTUP_TIMEOUT="60", **variables)
        assert "correct DATABASE_USER and DATABASE_PASSWORD" in line

    @pytest.mark.slow
    def test_a_database_that_is_not_there_is_named(self, user: str, tmp_path: Path) -> None:
        line = refusal(
            "migration", tmp_path, DATABASE_URL=f"{user}/nothing", DATABASE_PASSWORD=SECRET, STARTUP_TIMEOUT="60"
        )
        assert "DATABASE" in line

    @pytest.mark.slow
    def test_a_database_without_tables_is_named(self, user: str, redis_url: str, tmp_path: Path) -> None:
        url = f"{user}/bad_configuration"
        variables = {"DATABASE_URL": url, "DATABASE_PASSWORD": SECRET, "STARTUP_TIMEOUT": "60"}
        line = refusal("conversations-api", tmp_path, REDIS_URL=redis_url, **variables)
        assert "DATABASE_URL" in line
        assert "alembic upgrade head" in line


@pytest.mark.slow
@pytest.mark.redis
@pytest.mark.parametrize("service", ["worker", "beat"])
def test_a_wrong_redis_password_is_named(service: str, milvus_uri: str, tmp_path: Path) -> None:
    port = servers.free_port()
    redis = servers.start_redis(tmp_path / "redis", port)
    try:
        with Redis(port=port) as client:
            client.config_set("requirepass", SECRET)
        address = f"redis://:wrong@127.0.0.1:{port}/0"
        line = refusal(service, tmp_path, REDIS_URL=address, MILVUS_URI=milvus_uri, STARTUP_TIMEOUT="60")
    finally:
        redis.stop()
    assert "correct the password in REDIS_URL" in line


class Refusing(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc ships no types
    """Rejects every call like a Milvus with other passwords."""

    def service(self, _: object) -> object:
        def refuse(__: bytes, context: grpc.ServicerContext) -> None:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "auth check failure, please check username and password")

        return grpc.unary_unary_rpc_method_handler(refuse)


@pytest.fixture
def refusing_milvus() -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((Refusing(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop(grace=0).wait()


@pytest.mark.slow
@pytest.mark.redis
@pytest.mark.parametrize("service", ["worker", "rag-api"])
def test_a_wrong_milvus_token_is_named(service: str, refusing_milvus: str, redis_url: str, tmp_path: Path) -> None:
    stores = {"MILVUS_URI": refusing_milvus, "REDIS_URL": redis_url}
    line = refusal(service, tmp_path, MILVUS_TOKEN=f"root:{SECRET}", STARTUP_TIMEOUT="60", **stores)
    assert "correct MILVUS_TOKEN" in line


def test_what_waits_for_a_store_ends_when_it_is_told_to(tmp_path: Path) -> None:
    log = tmp_path / "rag-api.log"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        variables = environment(tmp_path, MILVUS_URI=f"http://127.0.0.1:{silent.getsockname()[1]}")
        service = servers.start("rag-api", COMMANDS["rag-api"], log, variables | {"STARTUP_TIMEOUT": "100"}, tmp_path)
        connection, _ = silent.accept()
        with connection:
            service.process.terminate()
            # Through its own handler: without one, PID 1 of a container would ignore the signal.
            assert service.process.wait(30) == 128 + signal.SIGTERM
    assert log.read_text() == ""
