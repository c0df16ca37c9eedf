"""Settings from the environment and from `.env` / `.env.local`, in small nested groups.

A variable's name follows from its path: field `uri` of group `milvus` is `MILVUS_URI`. The process environment wins
over a file that it names as `MILVUS_URI_FILE`, which wins over `.env.local`, which wins over `.env`.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import Annotated, Any, Final, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from mh_common.settings_files import SettingsFileError, file_settings


def _blank_is_none(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


BLANK_IS_NONE: Final = BeforeValidator(_blank_is_none)
"""Compose hands an unset variable down as an empty one."""


class SettingsGroup(BaseModel):
    """Base of a group. Unknown variables that share its prefix (other tools use some) are passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class StartupSettings(SettingsGroup):
    """How a service starts."""

    timeout: float = Field(
        default=30.0,
        ge=0,
        description="Seconds that a service waits at its start for stores that do not answer before it ends with exit "
        "code 1. 0: it starts without looking at them.",
    )


class LogSettings(SettingsGroup):
    """Logging."""

    level: str = Field(
        default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least level that is logged."
    )
    format: str = Field(default="json", pattern="^(json|console)$", description="json for machines, console for eyes.")


class OtelSettings(SettingsGroup):
    """Traces. OpenTelemetry reads its other variables, such as OTEL_TRACES_SAMPLER, from the process environment."""

    exporter_otlp_endpoint: Annotated[str | None, Field(pattern=r"^https?://"), BLANK_IS_NONE] = Field(
        default=None,
        description="Base address of an OTLP/HTTP collector, such as http://127.0.0.1:4318; /v1/traces is added. "
        "Empty: there are no traces, and they cost nothing.",
    )


class ServiceSettings(BaseSettings):
    """Base of a service's settings."""

    environment: Literal["development", "production"] = Field(
        default="development",
        description="production: the service does not start without the secrets of its stores.",
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
        """Put the files that the environment names after the environment itself."""
        return init_settings, env_settings, file_settings(settings_cls), dotenv_settings

    def missing_secrets(self) -> Sequence[str]:
        """Return what production needs and is not set: each the variable, a colon, and what to put there."""
        return ()

    @model_validator(mode="after")
    def _secrets_in_production(self) -> Self:
        if self.environment == "production" and (missing := self.missing_secrets()):
            raise ValueError(f"ENVIRONMENT=production needs {'; '.join(missing)}")
        return self


class RedisSettings(SettingsGroup):
    """Redis: broker of the index jobs and second level of the embedding cache. Never a store of record."""

    url: str = Field(
        default="redis://127.0.0.1:6379/0",
        description="Address with password, if any, and database number.",
    )

    @field_validator("url")
    @classmethod
    def _known_form(cls, url: str) -> str:
        return _checked_url(url, ("redis", "rediss"), "redis://:PASSWORD@HOST:PORT/NUMBER")

    def missing_secrets(self) -> Sequence[str]:
        """See `ServiceSettings.missing_secrets`."""
        if urlsplit(self.url).password:
            return ()
        return ("REDIS_URL: an address with a password, redis://:PASSWORD@HOST:PORT/0",)


class MilvusSettings(SettingsGroup):
    """Milvus: the vector index."""

    uri: str = Field(
        default="http://127.0.0.1:19530",
        description="Address of a Milvus server or of Milvus Lite run as a server. A file path is refused: "
        "a Lite file can be opened by one process only.",
    )
    token: str = Field(default="", description="user:password or API key; empty where the server asks for none.")
    consistency: str = Field(
        default="Strong",
        pattern="^(Strong|Bounded|Session|Eventually)$",
        description="Strong: a search sees every write acknowledged before it.",
    )
    timeout: float = Field(default=10.0, gt=0, description="Seconds until a call is given up.")

    @field_validator("uri")
    @classmethod
    def _known_form(cls, uri: str) -> str:
        return _checked_url(uri, ("http", "https"), "http://HOST:PORT")

    def missing_secrets(self) -> Sequence[str]:
        """See `ServiceSettings.missing_secrets`."""
        return () if self.token else ("MILVUS_TOKEN: user:password or an API key",)


class ConversationsSettings(SettingsGroup):
    """The conversations API, as the other services reach it."""

    url: str = Field(default="http://127.0.0.1:8000", description="Base address, without /api/v1.")
    timeout: float = Field(default=10.0, gt=0, description="Seconds until a call is given up.")

    @field_validator("url")
    @classmethod
    def _known_form(cls, url: str) -> str:
        return _checked_url(url, ("http", "https"), "http://HOST:PORT")


class WebSettings(SettingsGroup):
    """Where an API listens, and with how many processes."""

    host: str = Field(default="127.0.0.1", min_length=1, description="Address to listen on; 0.0.0.0 in the images.")
    port: int = Field(default=8000, ge=1, le=65535, description="Port to listen on.")
    concurrency: Annotated[int | None, BLANK_IS_NONE] = Field(
        default=None,
        ge=1,
        le=256,
        description="Worker processes; empty for one a processor, as far as the container's memory goes.",
    )


def _checked_url(url: str, schemes: Sequence[str], form: str) -> str:
    """Return the address. Raises ValueError, which does not repeat it, when it has another form."""
    message = f"must look like {form}"
    try:
        parts = urlsplit(url)
        if parts.scheme not in schemes or not parts.hostname or parts.port == 0:
            raise ValueError(message)
    except ValueError:  # of a port that is none, too
        raise ValueError(message) from None
    return url


class HistorySettings(SettingsGroup):
    """Query history: what was asked and answered, by user. It holds the text of questions."""

    enabled: bool = Field(
        default=True, description="false: nothing is stored or shown; what was stored before can still be deleted."
    )
    retention_days: int = Field(
        default=90, ge=1, le=36_500, description="Days after which an entry is deleted for good."
    )


S = TypeVar("S", bound=BaseSettings)


def load_settings(settings_class: type[S]) -> S:
    """Read the settings, or end the process with one line that names each bad variable and what is wrong with it."""
    faults = list(_misspelt(settings_class))
    try:
        settings = settings_class()
    except SettingsFileError as error:
        sys.exit(f"Settings are not usable. {error}. Make the file readable, or set the variable itself.")
    except ValidationError as error:
        faults += [_in_words(fault["loc"], fault["msg"]) for fault in error.errors()]
    else:
        if not faults:
            return settings
    sys.exit(f"Settings are not usable. {'; '.join(faults)}. Set them in the environment, .env or .env.local.")


def _in_words(place: tuple[int | str, ...], message: str) -> str:
    message = message.removeprefix("Value error, ")
    name = "_".join(map(str, place)).upper()
    return f"{name}: {message}" if name else message


def variables(settings_class: type[BaseSettings]) -> Iterator[str]:
    """Yield the name of each variable that the settings know."""
    for name, field in settings_class.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from (f"{name}_{part}".upper() for part in field.annotation.model_fields)
        else:
            yield name.upper()


def _misspelt(settings_class: type[BaseSettings]) -> Iterator[str]:
    """Yield a fault for each variable of the environment that is one letter off a known one, and so surely meant it."""
    known = set(variables(settings_class))
    groups = {name.partition("_")[0] for name in known}
    for given in sorted(os.environ):
        if given not in known and given.partition("_")[0] in groups:
            meant = [name for name in sorted(known) if _one_off(given, name)]
            yield from (f"{given}: there is no such setting; {name} is meant" for name in meant)


def _one_off(one: str, other: str) -> bool:
    """Whether one letter that is wrong, too much or missing makes the difference."""
    head = _common_beginning(one, other)
    tail = _common_beginning(one[head:][::-1], other[head:][::-1])
    return max(len(one), len(other)) - head - tail == 1


def _common_beginning(one: str, other: str) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
