"""Settings of access control, the same in every service."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import Field, SecretStr, field_validator

from mh_common.auth.quotas import DEFAULTS, Quota, changed
from mh_common.auth.tokens import TokenKind, kind_of
from mh_common.settings import BLANK_IS_NONE, SettingsGroup, host_names, is_loopback

_MODES: Final = (
    "`required`, so that only people with an account and programs with a key get in, or `open`, on a machine that "
    "nobody else reaches"
)


class AuthSettings(SettingsGroup):
    """Who gets in."""

    mode: Annotated[Literal["open", "required"] | None, BLANK_IS_NONE] = Field(
        default=None,
        description="required: every request needs a session or an API key, and has the rights of its role. open: "
        "there are no accounts and everybody may do everything; only for a server that listens on a loopback address. "
        "There is no default. All services need the same value.",
    )
    origins: str = Field(
        default="",
        pattern=r"^(https?://[^\s,*/]+(\s*,\s*https?://[^\s,*/]+)*)?$",
        description="Origins of other web applications that may act for a signed-in user by the browser's cookie, such "
        "as `https://notes.example.org`, separated by commas. Empty: only the platform's own pages.",
    )

    hosts: str = Field(
        default="",
        description="With AUTH_MODE=open: names under which this machine is reached besides localhost and its loopback "
        "addresses, separated by commas. A request to any other name is refused, since a web page could have given its "
        "own name this machine's address to read what is here.",
    )

    @field_validator("hosts")
    @classmethod
    def _are_hosts(cls, value: str) -> str:
        host_names(value)
        return value

    @property
    def is_open(self) -> bool:
        """Whether there are no accounts."""
        return self.mode == "open"

    @property
    def allowed_origins(self) -> frozenset[str]:
        """The origins as a set."""
        return frozenset(origin.strip() for origin in self.origins.split(",") if origin.strip())

    @property
    def allowed_hosts(self) -> frozenset[str]:
        """The hosts as a set, each in its `normal_host` form."""
        return host_names(self.hosts)

    def check(self, host: str) -> None:
        """Raise ValueError if a server with these settings must not listen on this address."""
        if self.mode is None:
            raise ValueError(f"AUTH_MODE: must be set: {_MODES}")
        if self.is_open and not is_loopback(host):
            raise ValueError(
                f"AUTH_MODE=open gives everybody who reaches WEB_HOST={host} all conversations. Set "
                "AUTH_MODE=required, or WEB_HOST=127.0.0.1"
            )


class RateSettings(SettingsGroup):
    """How often each account may do what. Without accounts (AUTH_MODE=open) nothing is counted."""

    limits: str = Field(
        default="",
        description="Quotas that differ from the defaults, separated by commas, such as `search:minute=600, "
        "answers:day=none`; `none` alone ends all. The defaults, for each account: "
        + ", ".join(f"{quota.name}={quota.most}" for quota in DEFAULTS)
        + ". answers:day counts for each person, also for those for whom a key acts. All services need the same value.",
    )

    @field_validator("limits")
    @classmethod
    def _are_quotas(cls, value: str) -> str:
        changed(value)
        return value

    @property
    def quotas(self) -> Mapping[str, Quota]:
        """The quotas by name."""
        return changed(self.limits)


class ServiceKeySettings(SettingsGroup):
    """The key by which the platform's own services know one another."""

    service_key: Annotated[SecretStr | None, BLANK_IS_NONE] = Field(
        default=None,
        description="Key that the worker sends and conversations-api expects on its internal routes, the same for "
        "both; `python -m mh_common.auth.tokens` makes one. Not needed with AUTH_MODE=open.",
    )

    @field_validator("service_key")
    @classmethod
    def _has_form(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and kind_of(key.get_secret_value()) is not TokenKind.SERVICE_KEY:
            raise ValueError("must be a whole service key, such as `python -m mh_common.auth.tokens` prints")
        return key
