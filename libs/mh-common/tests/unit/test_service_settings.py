"""Settings come from the environment; if they are invalid, the process exits with one line."""

from pathlib import Path

import pytest
from mh_common.settings import MilvusSettings, RedisSettings, ServiceSettings, SettingsGroup, load_settings, variables
from pydantic import Field


class VaultSettings(SettingsGroup):
    """A group with a required secret."""

    api_token: str = Field(description="secret")


class ExampleSettings(ServiceSettings):
    """Settings of no service."""

    milvus: MilvusSettings = Field(default_factory=MilvusSettings)
    redis: RedisSettings = Field(default_factory=RedisSettings)
    vault: VaultSettings


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_name_of_a_variable_is_its_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_API_TOKEN", "t")
    monkeypatch.setenv("MILVUS_URI", "http://milvus:19530")
    monkeypatch.setenv("MILVUS_DATA_DIR", "meant for another program")

    settings = load_settings(ExampleSettings)

    assert settings.vault.api_token == "t"
    assert settings.milvus.uri == "http://milvus:19530"
    assert settings.redis.url == "redis://127.0.0.1:6379/0"


def test_the_environment_overrides_env_local_and_that_overrides_env(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty_folder / ".env").write_text("VAULT_API_TOKEN=env\nMILVUS_TOKEN=env\nREDIS_URL=redis://env:1/0\n")
    (empty_folder / ".env.local").write_text("MILVUS_TOKEN=local\nREDIS_URL=redis://local:1/0\n")
    monkeypatch.setenv("REDIS_URL", "redis://process:1/0")

    settings = load_settings(ExampleSettings)

    assert (settings.vault.api_token, settings.milvus.token) == ("env", "local")
    assert settings.redis.url == "redis://process:1/0"


def test_invalid_settings_are_reported_in_one_line_without_their_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILVUS_URI", "/data/s3cret.db")

    with pytest.raises(SystemExit) as ended:
        load_settings(ExampleSettings)

    message = str(ended.value)
    assert "MILVUS_URI" in message
    assert "VAULT_API_TOKEN" in message or "VAULT" in message
    assert "s3cret" not in message
    assert "\n" not in message


@pytest.mark.parametrize("variable", ["MILVUS_URL", "MILVUS_UR", "MILVUS_URIS", "VAULT_API_TOCEN", "REDIS_URLL"])
def test_a_misspelled_name_is_reported(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv("VAULT_API_TOKEN", "t")
    monkeypatch.setenv(variable, "s3cret")

    with pytest.raises(SystemExit) as ended:
        load_settings(ExampleSettings)

    assert f"{variable}: there is no such setting " in str(ended.value)
    assert "s3cret" not in str(ended.value)


def test_variables_of_other_programs_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_API_TOKEN", "t")
    # Kubernetes sets the last four for services with these names.
    for name in ("MILVUS_DATA_DIR", "REDIS_PORT", "REDIS_SERVICE_HOST", "MILVUS_PORT", "MILVUS_SERVICE_PORT"):
        monkeypatch.setenv(name, "tcp://10.0.0.1:6379")

    assert load_settings(ExampleSettings).redis.url == "redis://127.0.0.1:6379/0"


def test_every_variable_can_be_listed() -> None:
    assert {"ENVIRONMENT", "STARTUP_TIMEOUT", "VAULT_API_TOKEN", "MILVUS_URI", "REDIS_URL"} <= set(
        variables(ExampleSettings)
    )
