"""Settings from the environment and from `.env` / `.env.local`, in small nested groups.

A variable's name follows from its path: field `uri` of group `milvus` is `MILVUS_URI`. The process environment wins
over a file that it names as `MILVUS_URI_FILE`, which wins over `.env.local`, which wins over `.env`.
"""

import sys
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from mh_common.settings_files import SettingsFileError, file_settings


def _blank_is_none(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


BLANK_IS_NONE: Final = BeforeValidator(_blank_is_none)
"""Compose hands an unset variable down as an empty one."""


class SettingsGroup(BaseModel):
    """Base of a group. Unknown variables that share its prefix (other tools use some) are passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class ServiceSettings(BaseSettings):
    """Base of a service's settings."""

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


class RedisSettings(SettingsGroup):
    """Redis: broker of the index jobs and second level of the embedding cache. Never a store of record."""

    url: str = Field(
        default="redis://127.0.0.1:6379/0",
        pattern=r"^rediss?://",
        description="Address with password, if any, and database number.",
    )


class MilvusSettings(SettingsGroup):
    """Milvus: the vector index."""

    uri: str = Field(
        default="http://127.0.0.1:19530",
        pattern=r"^https?://",
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


class ConversationsSettings(SettingsGroup):
    """The conversations API, as the other services reach it."""

    url: str = Field(
        default="http://127.0.0.1:8000", pattern=r"^https?://", description="Base address, without /api/v1."
    )
    timeout: float = Field(default=10.0, gt=0, description="Seconds until a call is given up.")


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
    try:
        return settings_class()
    except SettingsFileError as error:
        sys.exit(f"Settings are not usable. {error}. Make the file readable, or set the variable itself.")
    except ValidationError as error:
        faults = "; ".join(
            f"{'_'.join(str(part) for part in fault['loc']).upper()}: {fault['msg']}" for fault in error.errors()
        )
        sys.exit(f"Settings are not usable. {faults}. Set them in the environment, .env or .env.local.")
