"""Secrets from mounted files."""

from pathlib import Path

import pytest
from mh_common.settings import MilvusSettings, ServiceSettings, load_settings
from pydantic import Field


class Settings(ServiceSettings):
    milvus: MilvusSettings = Field(default_factory=MilvusSettings)


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MILVUS_URI", "MILVUS_TOKEN", "MILVUS_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("ending", ["", "\n"])
def test_a_file_named_in_the_environment_sets_the_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    secret = tmp_path / "token"
    secret.write_text(f"root:a b {ending}")
    monkeypatch.setenv("MILVUS_TOKEN_FILE", str(secret))
    monkeypatch.setenv("MILVUS_URI", "http://milvus:19530")

    settings = load_settings(Settings)

    assert settings.milvus.token == "root:a b "
    assert settings.milvus.uri == "http://milvus:19530"


def test_the_variable_overrides_its_file_and_the_file_overrides_dotenv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("of the file")
    (tmp_path / ".env").write_text("MILVUS_TOKEN=of .env\n")
    assert load_settings(Settings).milvus.token == "of .env"
    monkeypatch.setenv("MILVUS_TOKEN_FILE", str(tmp_path / "token"))
    assert load_settings(Settings).milvus.token == "of the file"
    monkeypatch.setenv("MILVUS_TOKEN", "of the environment")
    assert load_settings(Settings).milvus.token == "of the environment"


def test_an_unreadable_file_is_reported_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILVUS_TOKEN_FILE", str(tmp_path / "gone"))
    with pytest.raises(SystemExit, match=r"MILVUS_TOKEN_FILE: \S+gone cannot be read \(No such file or directory\)\."):
        load_settings(Settings)
    (tmp_path / "gone").write_bytes(b"\xff\xfe")
    with pytest.raises(SystemExit, match="it is not UTF-8"):
        load_settings(Settings)


def test_the_content_of_a_file_is_validated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "uri").write_text("ftp://milvus")
    monkeypatch.setenv("MILVUS_URI_FILE", str(tmp_path / "uri"))
    with pytest.raises(SystemExit, match="MILVUS_URI: ") as refused:
        load_settings(Settings)
    assert "ftp" not in str(refused.value)
