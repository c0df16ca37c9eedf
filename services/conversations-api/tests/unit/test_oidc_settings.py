"""Settings of signing in with an OpenID provider: what is not safe does not start."""

from typing import Any

import pytest
from conversations_api.settings import (
    DatabaseSettings,
    FirstAdministratorSettings,
    OidcSettings,
    PublicUrlSettings,
    Settings,
)
from mh_common.access_settings import ServiceKeySettings
from mh_common.auth.tokens import TokenKind, make_token
from pydantic import SecretStr, ValidationError


@pytest.mark.parametrize(
    "wrong",
    [
        {"algorithms": "none"},
        {"algorithms": "RS256,HS256"},
        {"algorithms": ""},
        {"issuer": "http://login.example.org"},
        {"issuer": "https://login.example.org/?a=1"},
        {"client_id": None},
        {"default_role": "admin"},
        {"scopes": "profile"},
    ],
    ids=str,
)
def test_unsafe_settings_are_refused(wrong: dict[str, Any]) -> None:
    right: dict[str, Any] = {"issuer": "https://login.example.org", "client_id": "mental-health"}
    OidcSettings(**right)
    with pytest.raises(ValidationError):
        OidcSettings(**{**right, **wrong})


@pytest.mark.parametrize("public_url", [None, "http://mh.example.org"])
def test_the_way_back_must_be_known_and_private(public_url: str | None) -> None:
    given: dict[str, Any] = {
        "database": DatabaseSettings(url="sqlite+aiosqlite:///test.db"),
        "auth": FirstAdministratorSettings(mode="required"),
        "mh": ServiceKeySettings(service_key=SecretStr(make_token(TokenKind.SERVICE_KEY))),
        "oidc": OidcSettings(
            issuer="https://login.example.org", client_id="mental-health", client_secret=SecretStr("hidden")
        ),
    }
    settings = Settings(**given, doors=PublicUrlSettings(public_url="https://mh.example.org"))
    assert "hidden" not in repr(settings)
    assert settings.oidc.shown_name == "login.example.org"
    with pytest.raises(ValidationError, match="DOORS_PUBLIC_URL"):
        Settings(**given, doors=PublicUrlSettings(public_url=public_url))
