"""Settings from the environment and from `.env` / `.env.local`, in small nested groups.

A variable's name follows from its path: field `uri` of group `milvus` is `MILVUS_URI`. The process environment takes
precedence over the file that `MILVUS_URI_FILE` names, then `.env.local`, then `.env`.
"""

import os
import re
import sys
from collections.abc import Iterator, Sequence
from ipaddress import IPv6Address, ip_address
from itertools import takewhile
from typing import Annotated, Any, Final, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from mh_common.models import PhiMode
from mh_common.settings_files import SettingsFileError, file_settings


def _blank_is_none(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


BLANK_IS_NONE: Final = BeforeValidator(_blank_is_none)
"""Compose passes an unset variable on as an empty one."""


class SettingsGroup(BaseModel):
    """Base of a group. Unknown variables with its prefix are ignored, since other tools use some."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class StartupSettings(SettingsGroup):
    """Startup."""

    timeout: float = Field(
        default=30.0,
        ge=0,
        description="Seconds to wait at startup for stores that do not respond, before exiting with code 1. 0: start "
        "without checking them.",
    )


class LogSettings(SettingsGroup):
    """Logging."""

    level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Minimum log level.")
    format: str = Field(
        default="json", pattern="^(json|console)$", description="json for log collectors, console for people."
    )


class OtelSettings(SettingsGroup):
    """Traces. OpenTelemetry reads its other variables, such as OTEL_TRACES_SAMPLER, from the process environment."""

    exporter_otlp_endpoint: Annotated[str | None, Field(pattern=r"^https?://"), BLANK_IS_NONE] = Field(
        default=None,
        description="Base URL of an OTLP/HTTP collector, such as http://127.0.0.1:4318; /v1/traces is appended. "
        "Empty: tracing is off and costs nothing.",
    )


class ServiceSettings(BaseSettings):
    """Base of a service's settings."""

    environment: Literal["development", "production"] = Field(
        default="development",
        description="production: the service refuses to start without the passwords and tokens of its stores.",
    )
    startup: StartupSettings = Field(default_factory=StartupSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    otel: OtelSettings = Field(default_factory=OtelSettings)

    model_config = SettingsConfigDict(
        env_file=(".env", ".env.local"),
        env_nested_delimiter="_",
        env_nested_max_split=1,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Add settings from files, with lower precedence than the environment."""
        return init_settings, env_settings, file_settings(settings_cls), dotenv_settings

    def missing_secrets(self) -> Sequence[str]:
        """Return the unset secrets that production requires, each as "VARIABLE: what to set"."""
        return ()

    @model_validator(mode="after")
    def _secrets_in_production(self) -> Self:
        if self.environment == "production" and (missing := self.missing_secrets()):
            raise ValueError(f"ENVIRONMENT=production needs {'; '.join(missing)}")
        return self


class RedisSettings(SettingsGroup):
    """Redis: broker of the index jobs and shared embedding cache. Never the system of record."""

    url: str = Field(
        default="redis://127.0.0.1:6379/0",
        description="URL with the password, if any, and the database number.",
    )

    @field_validator("url")
    @classmethod
    def _known_form(cls, url: str) -> str:
        return _checked_url(url, ("redis", "rediss"), "redis://:PASSWORD@HOST:PORT/NUMBER")

    def missing_secrets(self) -> Sequence[str]:
        """See `ServiceSettings.missing_secrets`."""
        if urlsplit(self.url).password:
            return ()
        return ("REDIS_URL: a URL with a password, redis://:PASSWORD@HOST:PORT/0",)


class MilvusSettings(SettingsGroup):
    """Milvus: the vector index."""

    uri: str = Field(
        default="http://127.0.0.1:19530",
        description="URL of a Milvus server, or of Milvus Lite running as a server. File paths are rejected: only one "
        "process can open a Milvus Lite file.",
    )
    token: str = Field(default="", description="user:password or API key; empty if the server needs none.")
    consistency: str = Field(
        default="Strong",
        pattern="^(Strong|Bounded|Session|Eventually)$",
        description="Consistency level of searches. Strong: a search sees every write acknowledged before it.",
    )
    timeout: float = Field(default=10.0, gt=0, description="Timeout of a call, in seconds.")

    @field_validator("uri")
    @classmethod
    def _known_form(cls, uri: str) -> str:
        return _checked_url(uri, ("http", "https"), "http://HOST:PORT")

    def missing_secrets(self) -> Sequence[str]:
        """See `ServiceSettings.missing_secrets`."""
        return () if self.token else ("MILVUS_TOKEN: user:password or an API key",)


class ConversationsSettings(SettingsGroup):
    """The conversations API, as called by the other services."""

    url: str = Field(default="http://127.0.0.1:8000", description="Base URL, without /api/v1.")
    timeout: float = Field(default=10.0, gt=0, description="Timeout of a call, in seconds.")

    @field_validator("url")
    @classmethod
    def _known_form(cls, url: str) -> str:
        return _checked_url(url, ("http", "https"), "http://HOST:PORT")


class WebSettings(SettingsGroup):
    """The HTTP server."""

    host: str = Field(default="127.0.0.1", min_length=1, description="Address to listen on; 0.0.0.0 in the images.")
    port: int = Field(default=8000, ge=1, le=65535, description="Port to listen on.")
    concurrency: Annotated[int | None, BLANK_IS_NONE] = Field(
        default=None,
        ge=1,
        le=256,
        description="Worker processes; empty: one per CPU, as many as fit into the container's memory.",
    )


def _checked_url(url: str, schemes: Sequence[str], form: str) -> str:
    """Return the URL unchanged. Raises ValueError, without the URL in its message, if it does not have this form."""
    message = f"must look like {form}"
    try:
        parts = urlsplit(url)
        if parts.scheme not in schemes or not parts.hostname or parts.port == 0:
            raise ValueError(message)
    except ValueError:  # also raised by urlsplit, for an invalid port
        raise ValueError(message) from None
    return url


DataEgress = Annotated[Literal["allowed"] | None, BLANK_IS_NONE]
"""A permission, in words, to send texts to another machine. Nothing else counts as one."""

_HOST_NAME: Final = re.compile(r"(?=.{1,253}$)(?:[A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?")


def normal_host(host: str) -> str:
    """Return a host in the form in which hosts are compared.

    An IP address in its shortest form and without brackets; a name in lower case, without the dot that ends an absolute
    one.
    """
    try:
        return ip_address(host.strip("[]")).compressed
    except ValueError:
        return host.lower().removesuffix(".")


def is_loopback(host: str) -> bool:
    """Return whether a host is certainly this machine: `localhost` or a loopback address.

    Not "localhost.", nor names below it: whether they are looked up elsewhere depends on the system. Not "127.1" or
    "2130706433" either, which some systems take for addresses.
    """
    if host.lower() == "localhost":
        return True
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


class EgressSettings(SettingsGroup):
    """Which machines count as this one's own when texts are sent. How that is used: docs/privacy.md."""

    trusted_hosts: str = Field(
        default="",
        description="Hosts that may get texts like this machine itself, without a permission and without pseudonyms: "
        "names or IP addresses, separated by commas. Without scheme, port or wildcard; a name does not include those "
        "below it. They are reached without a proxy.",
    )

    @field_validator("trusted_hosts")
    @classmethod
    def _are_hosts(cls, value: str) -> str:
        host_names(value)
        return value

    @property
    def hosts(self) -> frozenset[str]:
        """The trusted hosts, each in its `normal_host` form."""
        return host_names(self.trusted_hosts)


def host_names(value: str) -> frozenset[str]:
    """Return the hosts of a setting that lists them, separated by commas, each in its `normal_host` form.

    Raises:
        ValueError: one of them is no host name or IP address.
    """
    if not all(_is_host(host) for host in _parts(value)):
        raise ValueError("must be host names or IP addresses separated by commas, without scheme, port or wildcard")
    return frozenset(normal_host(host) for host in _parts(value))


def _parts(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def _is_host(host: str) -> bool:
    try:
        ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return _HOST_NAME.fullmatch(host) is not None
    return True


class PHISettings(SettingsGroup):
    """Protected health information: what happens to identifiers in texts for a model at a server."""

    mode: Annotated[PhiMode | None, BLANK_IS_NONE] = Field(
        default=None,
        description="off: they are sent as they are. pseudonymise: in their place pseudonyms such as [PERSON_1] are "
        "sent, and undone in answers. refuse: a text with identifiers is not sent. Empty: pseudonymise for a server "
        "that is neither this machine nor in EGRESS_TRUSTED_HOSTS, else off. What is not recognised is sent: this is "
        "not de-identification. The worker and rag-api need the same value; after a change, and with an embedding "
        "server, the index must be rebuilt.",
    )


class HistorySettings(SettingsGroup):
    """Query history: questions and answers by user. It contains the text of questions."""

    enabled: bool = Field(
        default=True, description="false: nothing is stored or shown; existing entries can still be deleted."
    )
    retention_days: int = Field(
        default=90, ge=1, le=36_500, description="Days after which an entry is permanently deleted."
    )


class SafetySettings(SettingsGroup):
    """Screening for risk: whether texts are read for words that often mean danger."""

    screening: Literal["on", "off"] = Field(
        default="on",
        description="off: neither questions, answers nor indexed conversations are screened; responses say so. Some "
        "laws forbid detecting emotional states.",
    )


S = TypeVar("S", bound=BaseSettings)


def load_settings(settings_class: type[S]) -> S:
    """Read the settings, or exit with one line that names each invalid variable and what is wrong with it."""
    faults = list(_misspelled(settings_class))
    try:
        settings = settings_class()
    except SettingsFileError as error:
        sys.exit(f"Invalid settings. {error}. Make the file readable, or set the variable itself.")
    except ValidationError as error:
        faults += [_format_error(fault["loc"], fault["msg"]) for fault in error.errors()]
    else:
        if not faults:
            return settings
    sys.exit(f"Invalid settings. {'; '.join(faults)}. Correct them in the environment, .env or .env.local.")


def _format_error(place: tuple[int | str, ...], message: str) -> str:
    message = message.removeprefix("Value error, ")
    name = "_".join(map(str, place)).upper()
    return f"{name}: {message}" if name else message


def variables(settings_class: type[BaseSettings]) -> Iterator[str]:
    """Yield the name of every environment variable of these settings."""
    for name, field in settings_class.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from (f"{name}_{part}".upper() for part in field.annotation.model_fields)
        else:
            yield name.upper()


def _misspelled(settings_class: type[BaseSettings]) -> Iterator[str]:
    """Yield an error for each environment variable whose name differs by one letter from that of a setting."""
    known = set(variables(settings_class))
    groups = {name.partition("_")[0] for name in known}
    for given in sorted(os.environ):
        if given not in known and given.partition("_")[0] in groups:
            meant = [name for name in sorted(known) if _differs_by_one_letter(given, name)]
            yield from (f"{given}: there is no such setting (did you mean {name}?)" for name in meant)


def _differs_by_one_letter(one: str, other: str) -> bool:
    """Return whether one name becomes the other by replacing, adding or removing one letter."""
    head = _common_prefix_length(one, other)
    tail = _common_prefix_length(one[head:][::-1], other[head:][::-1])
    return max(len(one), len(other)) - head - tail == 1


def _common_prefix_length(one: str, other: str) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
