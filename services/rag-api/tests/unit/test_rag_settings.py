"""Settings from the environment."""

from pathlib import Path

import pytest
from mh_common.models import PhiMode
from mh_common.settings import load_settings
from rag_api.settings import Settings


def test_variable_names_follow_the_settings_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILVUS_URI", "http://milvus:19530")
    monkeypatch.setenv("SEARCH_EMBED_TIMEOUT", "3")
    monkeypatch.setenv("ANSWERS_TIME_LIMIT", "20")
    monkeypatch.setenv("ANSWERS_CONTEXT_WINDOW", "9000")
    monkeypatch.setenv("OPENAI_MODEL", "gpt-5")
    monkeypatch.setenv("LLM_DATA_EGRESS", "allowed")
    monkeypatch.setenv("EMBEDDING_DATA_EGRESS", "allowed")
    monkeypatch.setenv("EGRESS_TRUSTED_HOSTS", "tei, 10.0.0.7")
    monkeypatch.setenv("PHI_MODE", "refuse")
    settings = Settings(_env_file=None)
    assert settings.milvus.uri == "http://milvus:19530"
    assert settings.search.embed_timeout == 3
    assert (settings.answers.time_limit, settings.answers.context_window) == (20, 9000)
    assert settings.openai.model == "gpt-5"
    assert (settings.llm.data_egress, settings.embedding.data_egress) == ("allowed", "allowed")
    assert settings.egress.hosts == {"tei", "10.0.0.7"}
    assert settings.phi.mode is PhiMode.REFUSE


def test_an_empty_key_counts_as_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "")
    assert Settings(_env_file=None).openai.api_key is None


@pytest.mark.parametrize(
    ("variable", "value"),
    [("LLM_DATA_EGRESS", "yes"), ("EMBEDDING_DATA_EGRESS", "true"), ("PHI_MODE", "on"), ("EGRESS_TRUSTED_HOSTS", "*")],
)
def test_nothing_but_the_word_lets_texts_out(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit, match=variable):
        load_settings(Settings)


def test_what_compose_passes_on_unset_lets_nothing_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("LLM_DATA_EGRESS", "EMBEDDING_DATA_EGRESS", "PHI_MODE", "EGRESS_TRUSTED_HOSTS"):
        monkeypatch.setenv(variable, "")
    settings = Settings(_env_file=None)
    assert not settings.may_ask_language_model
    assert settings.language_model_server.name == "api.openai.com"
    assert (settings.phi.mode, settings.egress.hosts) == (None, frozenset())


def test_an_invalid_variable_is_named_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSWERS_TIME_LIMIT", "soonish")
    with pytest.raises(SystemExit) as stopped:
        load_settings(Settings)
    assert "ANSWERS_TIME_LIMIT" in str(stopped.value)
    assert "soonish" not in str(stopped.value)


def test_reserved_tokens_must_leave_room_for_the_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSWERS_CONTEXT_WINDOW", "4096")
    monkeypatch.setenv("ANSWERS_RESERVED_TOKENS", "3000")
    with pytest.raises(SystemExit, match="at most half of ANSWERS_CONTEXT_WINDOW"):
        load_settings(Settings)


@pytest.mark.parametrize(
    "origins",
    [
        "chat.example.org",
        "https://chat.example.org/",
        "https://chat.example.org/path",
        "https://chat.example.org,",
        "https://chat.example.org https://b.example.org",
        "https://*.example.org",
        "*,https://chat.example.org",
        "ftp://chat.example.org",
        "null",
        "https://",
    ],
)
def test_an_invalid_origin_is_rejected_by_variable_name(monkeypatch: pytest.MonkeyPatch, origins: str) -> None:
    monkeypatch.setenv("DOORS_CORS_ORIGINS", origins)
    with pytest.raises(SystemExit, match="DOORS_CORS_ORIGINS"):
        load_settings(Settings)


@pytest.mark.parametrize("origins", ["", "*", "https://chat.example.org", "http://localhost:3000 , https://b.example"])
def test_origins(monkeypatch: pytest.MonkeyPatch, origins: str) -> None:
    monkeypatch.setenv("DOORS_CORS_ORIGINS", origins)
    assert load_settings(Settings).doors.cors_origins == origins


def test_who_gets_in_must_be_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AUTH_MODE")
    with pytest.raises(SystemExit, match="AUTH_MODE: must be set"):
        load_settings(Settings)


@pytest.mark.parametrize(
    ("mode", "host", "starts"),
    [
        ("open", "127.0.0.1", True),
        ("open", "localhost", True),
        ("open", "0.0.0.0", False),  # noqa: S104 - nothing listens on it
        ("required", "0.0.0.0", True),  # noqa: S104
    ],
)
def test_nobody_but_this_machine_reaches_an_open_service(
    monkeypatch: pytest.MonkeyPatch, mode: str, host: str, starts: bool
) -> None:
    monkeypatch.setenv("AUTH_MODE", mode)
    monkeypatch.setenv("WEB_HOST", host)
    if starts:
        assert load_settings(Settings).auth.is_open == (mode == "open")
        return
    with pytest.raises(SystemExit, match=r"AUTH_MODE=open gives everybody.*AUTH_MODE=required"):
        load_settings(Settings)


@pytest.mark.parametrize("variable", ["DOORS_API_KEY", "DOORS_API_KEY_FILE"])
def test_the_key_of_former_releases_stops_the_start(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "s3cret")
    with pytest.raises(SystemExit, match=r"DOORS_API_KEY is no longer used.*AUTH_MODE=required.*API key") as stopped:
        load_settings(Settings)
    assert "s3cret" not in str(stopped.value)
    # What Compose passes on unset is empty.
    monkeypatch.setenv(variable, "")
    assert load_settings(Settings).auth.is_open


def test_the_key_of_former_releases_is_found_in_the_env_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("DOORS_API_KEY=s3cret\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="DOORS_API_KEY is no longer used"):
        load_settings(Settings)
