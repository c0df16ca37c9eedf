"""Settings of the conversations API."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from mh_common.access_settings import AuthSettings, RateSettings, ServiceKeySettings
from mh_common.auth.roles import Role
from mh_common.settings import (
    BLANK_IS_NONE,
    HistorySettings,
    RedisSettings,
    ServiceSettings,
    SettingsGroup,
    WebSettings,
    is_loopback,
)
from pydantic import Field, SecretStr, field_validator, model_validator
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

_DRIVERS = {"mysql": "mysql+aiomysql", "mariadb": "mysql+aiomysql", "sqlite": "sqlite+aiosqlite"}


class DatabaseSettings(SettingsGroup):
    """MySQL or MariaDB; or SQLite, for a single machine without a database server."""

    url: str = Field(
        default="mysql+aiomysql://127.0.0.1:3306/legacy_development",
        description="mysql+aiomysql://HOST:PORT/DATABASE or sqlite+aiosqlite:///FILE.",
    )
    user: str | None = Field(default=None, description="Database user; overrides the one in the URL.")
    password: SecretStr | None = Field(default=None, description="The user's password; overrides the one in the URL.")
    pool_size: int = Field(
        default=16, ge=1, description="Connections that each process keeps open for reads, and as many for writes."
    )
    max_overflow: int = Field(
        default=0, ge=0, description="Additional connections under load, for each of the two; closed after each use."
    )
    pool_timeout: float = Field(default=5.0, gt=0, description="Seconds a request waits for a connection.")
    lock_timeout: int = Field(default=10, ge=1, description="Seconds a change waits for another change to commit.")

    @field_validator("url")
    @classmethod
    def _known_scheme(cls, url: str) -> str:
        try:
            backend = make_url(url).get_backend_name()
        except ArgumentError:
            backend = ""
        if backend not in _DRIVERS:
            raise ValueError("must look like mysql+aiomysql://HOST:PORT/DATABASE or sqlite+aiosqlite:///FILE")
        return url

    @cached_property
    def address(self) -> URL:
        """The URL with its async driver, user and password; SQLite has neither user nor password."""
        url = make_url(self.url)
        backend = url.get_backend_name()
        url = url.set(drivername=_DRIVERS[backend])
        if backend == "sqlite":
            return url
        if self.user is not None:
            url = url.set(username=self.user)
        if self.password is not None:
            url = url.set(password=self.password.get_secret_value())
        return url

    def missing_secrets(self) -> Sequence[str]:
        """See `ServiceSettings.missing_secrets`."""
        if self.address.get_backend_name() == "sqlite" or self.address.password:
            return ()
        return ("DATABASE_PASSWORD: the password of DATABASE_USER",)


class RelaySettings(SettingsGroup):
    """The relay, which publishes outbox rows to the job queue."""

    poll_interval: float = Field(
        default=2.0, gt=0, description="Seconds between two checks of the outbox if no write wakes the relay."
    )
    lease: float = Field(
        default=15.0, ge=5, description="Seconds after which another relay may take over claimed rows."
    )
    batch_size: int = Field(default=640, ge=1, description="Maximum number of outbox rows claimed at once.")
    max_backoff: float = Field(default=10.0, gt=0, description="Longest delay in seconds after failed attempts.")


class ConversationSettings(SettingsGroup):
    """What is kept of conversations."""

    keep_versions: bool = Field(
        default=True,
        description="false: no earlier versions of conversations are kept; those that there are, are deleted.",
    )


class FirstAdministratorSettings(AuthSettings):
    """Who gets in, and who is the first that does."""

    setup_token_file: Annotated[Path | None, BLANK_IS_NONE] = Field(
        default=None,
        description="File, readable by the service's user alone, that gets the setup token at the first start besides "
        "standard output.",
    )
    admin_username: Annotated[str | None, BLANK_IS_NONE] = Field(
        default=None,
        description="First administrator, made at the first start in place of a setup token. Later it changes nothing.",
    )
    admin_password: Annotated[SecretStr | None, BLANK_IS_NONE] = Field(
        default=None, description="That administrator's password, of at least 12 characters."
    )

    @model_validator(mode="after")
    def _administrator_is_whole(self) -> Self:
        if (self.admin_username is None) != (self.admin_password is None):
            raise ValueError("AUTH_ADMIN_USERNAME and AUTH_ADMIN_PASSWORD belong together: set both or neither")
        return self


SIGNING_ALGORITHMS: Final = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"})
"""Signatures by a private key that only the provider has. Not HS256 and its like, whose key others may know."""

_Url = Annotated[Annotated[str, Field(pattern=r"^https?://[^\s?#@]+$")] | None, BLANK_IS_NONE]


class OidcSettings(SettingsGroup):
    """Signing in with an OpenID Connect provider, such as Keycloak, Microsoft Entra ID or Clerk."""

    issuer: _Url = Field(
        default=None,
        max_length=255,
        description="The provider's issuer, exactly as it calls itself in its /.well-known/openid-configuration; over "
        "HTTPS, except on this machine. Empty: people sign in with passwords only. Needs DOORS_PUBLIC_URL.",
    )
    client_id: Annotated[str | None, BLANK_IS_NONE] = Field(
        default=None, description="What the provider calls this platform."
    )
    client_secret: Annotated[SecretStr | None, BLANK_IS_NONE] = Field(
        default=None, description="The secret that belongs to OIDC_CLIENT_ID; empty: a public client."
    )
    name: Annotated[str | None, BLANK_IS_NONE] = Field(
        default=None,
        max_length=80,
        description="What the page calls it: `Sign in with NAME`. Empty: the host of OIDC_ISSUER.",
    )
    scopes: str = Field(
        default="openid profile email",
        description="What is asked of the provider, separated by spaces. `profile` and `email` are for names of new "
        "accounts and OIDC_LINK_BY_EMAIL only.",
    )
    algorithms: str = Field(
        default="RS256,ES256",
        description="Accepted signatures of ID tokens, separated by commas; `none` and HS256 cannot be.",
    )
    default_role: Annotated[Literal["counselor", "curator", "operator"] | None, BLANK_IS_NONE] = Field(
        default=None,
        description="Role of an account that is made for whoever signs in without one. Empty: none is made; an "
        "administrator adds people and links them.",
    )
    link_by_email: bool = Field(
        default=False,
        description="true: whoever signs in for the first time gets the one account with the same e-mail address, if "
        "the provider says that it has verified it. Only for a provider that nobody can register with by themselves.",
    )

    @field_validator("issuer")
    @classmethod
    def _is_private(cls, url: str | None) -> str | None:
        if url is not None and not is_private_url(url):
            raise ValueError("must begin with https://, except on this machine")
        return url

    @field_validator("scopes")
    @classmethod
    def _has_openid(cls, scopes: str) -> str:
        if "openid" not in scopes.split():
            raise ValueError("must contain openid")
        return scopes

    @field_validator("algorithms")
    @classmethod
    def _are_safe(cls, algorithms: str) -> str:
        names = [name.strip() for name in algorithms.split(",")]
        if not SIGNING_ALGORITHMS.issuperset(names):
            raise ValueError(f"must be some of {', '.join(sorted(SIGNING_ALGORITHMS))}")
        return algorithms

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.issuer is None) != (self.client_id is None):
            raise ValueError("OIDC_ISSUER and OIDC_CLIENT_ID belong together: set both or neither")
        return self

    @property
    def allowed_algorithms(self) -> list[str]:
        """The algorithms as a list."""
        return [name.strip() for name in self.algorithms.split(",")]

    @property
    def role(self) -> Role | None:
        """Role of an account that is made by signing in; None: none is made."""
        return None if self.default_role is None else Role(self.default_role)

    @property
    def shown_name(self) -> str | None:
        """What people know the provider by; None: there is none."""
        return None if self.issuer is None else self.name or urlsplit(self.issuer).netloc


class PublicUrlSettings(SettingsGroup):
    """The platform as its users reach it."""

    public_url: _Url = Field(
        default=None,
        description="URL at which users reach the platform: with OIDC_ISSUER, the provider sends them back to "
        "/api/v1/oidc/callback there.",
    )


def is_private_url(url: str) -> bool:
    """Return whether nobody between can read or change what is sent to this URL: HTTPS, or this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))


class AccountsSettings(ServiceSettings):
    """What commands need that work on the database alone: accounts, migrations, backups."""

    database: DatabaseSettings = Field(default_factory=DatabaseSettings)

    def missing_secrets(self) -> Sequence[str]:
        """See `ServiceSettings.missing_secrets`."""
        return self.database.missing_secrets()


class Settings(ServiceSettings):
    """All settings of the conversations API."""

    database: DatabaseSettings = Field(default_factory=DatabaseSettings)
    redis: RedisSettings = Field(default_factory=RedisSettings)
    relay: RelaySettings = Field(default_factory=RelaySettings)
    conversations: ConversationSettings = Field(default_factory=ConversationSettings)
    history: HistorySettings = Field(default_factory=HistorySettings)
    web: WebSettings = Field(default_factory=WebSettings)
    auth: FirstAdministratorSettings = Field(default_factory=FirstAdministratorSettings)
    rate: RateSettings = Field(default_factory=RateSettings)
    oidc: OidcSettings = Field(default_factory=OidcSettings)
    # The field name gives the environment variable its prefix: DOORS_PUBLIC_URL, as rag-api has it.
    doors: PublicUrlSettings = Field(default_factory=PublicUrlSettings)
    # The field name gives the environment variable its prefix: MH_SERVICE_KEY.
    mh: ServiceKeySettings = Field(default_factory=ServiceKeySettings)

    @model_validator(mode="after")
    def _access_is_decided(self) -> Self:
        self.auth.check(self.web.host)
        if not self.auth.is_open and self.mh.service_key is None:
            raise ValueError(
                "MH_SERVICE_KEY: AUTH_MODE=required needs the key that the worker sends, the same for both; "
                "`python -m mh_common.auth.tokens` prints a new one"
            )
        return self

    @model_validator(mode="after")
    def _provider_finds_back(self) -> Self:
        url = self.doors.public_url
        if self.oidc.issuer is not None and (url is None or not is_private_url(url)):
            raise ValueError(
                "DOORS_PUBLIC_URL: OIDC_ISSUER needs the URL at which browsers reach the platform, such as "
                "https://mh.example.org; over HTTPS, except on this machine"
            )
        return self

    def missing_secrets(self) -> Sequence[str]:
        """See `ServiceSettings.missing_secrets`."""
        return [*self.database.missing_secrets(), *self.redis.missing_secrets()]
