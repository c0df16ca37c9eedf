"""Settings of the indexer worker."""

import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import gettempdir
from typing import Annotated, Self

from mh_common.embeddings import EmbeddingSettings, OpenAISettings
from mh_common.metrics import FOLDER_VARIABLE
from mh_common.settings import (
    BLANK_IS_NONE,
    ConversationsSettings,
    MilvusSettings,
    RedisSettings,
    ServiceSettings,
    SettingsGroup,
)
from pydantic import Field, model_validator


class WorkerSettings(SettingsGroup):
    """How long jobs may take, and what happens to those that fail. Times are in seconds."""

    job_timeout: float = Field(
        default=45.0, gt=0, description="A job that takes longer is given up, and its rows are tried in smaller jobs."
    )
    time_limit: float = Field(
        default=60.0,
        gt=0,
        description="A job that still runs is killed with its process; above WORKER_JOB_TIMEOUT.",
    )
    max_retry_delay: float = Field(
        default=600.0, gt=0, description="Longest wait between attempts of a job; it is never given up."
    )
    hold_time: float = Field(
        default=20.0,
        gt=0,
        description="How long a worker holds a job that waits for its next attempt before it gives it back to Redis. "
        "A job lost with a dead worker is run again after this and two WORKER_TIME_LIMIT.",
    )
    max_memory_kb_per_child: int = Field(
        default=1_000_000, ge=100_000, description="A process that has grown beyond this is replaced after its job."
    )

    max_deaths: int = Field(
        default=5, ge=1, description="A conversation whose job, alone, ends its process so often is marked as failed."
    )
    embedding_cache: Annotated[Path | None, BLANK_IS_NONE] = Field(
        default=None,
        description="File in which vectors are kept, so that an index is built again, or a data set restored, without "
        "embedding a text twice. On a disk that outlives the process; empty keeps none. It holds no text.",
    )
    embedding_cache_mb: int = Field(
        default=2048, ge=1, description="Largest size of that file; the least recently used vectors go first."
    )
    embedding_cache_days: int = Field(
        default=365, ge=1, description="Days after its last use for which a vector stays in that file."
    )
    heartbeat_file: Path = Field(
        default_factory=lambda: Path(gettempdir()) / "indexer-worker.json",
        description="Where a worker notes its progress for `python -m indexer_worker.health`; one file a worker.",
    )

    @property
    def visibility_timeout(self) -> float:
        """Seconds after which Redis hands an unacknowledged job to another worker.

        Above the longest that a live worker can have one: waiting for its time, then for a free process, then running.
        A shorter one would start jobs twice, for nothing.
        """
        return self.hold_time + 2 * self.time_limit

    @property
    def stall_timeout(self) -> float:
        """Seconds without progress, while jobs wait, after which a worker ends itself: no live one needs so long."""
        return self.visibility_timeout

    @model_validator(mode="after")
    def _limits_in_order(self) -> Self:
        if self.job_timeout >= self.time_limit:
            raise ValueError("WORKER_JOB_TIMEOUT must be below WORKER_TIME_LIMIT")
        return self


class ReconcileSettings(SettingsGroup):
    """How often the index is compared with the conversations, and what counts as lost. Times are in seconds."""

    interval: float = Field(default=900.0, ge=1, description="From one comparison to the next.")
    grace: float = Field(
        default=60.0,
        ge=0,
        description="While no other job waits or runs: a conversation that had waited for so long when the comparison "
        "was asked for is queued again, as its job must be lost.",
    )
    busy_grace: float = Field(
        default=3600.0, ge=0, description="The same while jobs wait or run, of which one may be that conversation's."
    )
    schedule_file: Path = Field(
        default_factory=lambda: Path(gettempdir()) / "indexer-worker-beat",
        description="Where Celery beat notes when it sent what. Losing it costs nothing.",
    )


class MetricsSettings(SettingsGroup):
    """Where the worker shows its metrics. It needs PROMETHEUS_MULTIPROC_DIR as well, in the process environment."""

    port: Annotated[int | None, Field(ge=1, le=65535), BLANK_IS_NONE] = Field(
        default=None, description="Port of /metrics; empty: they are not shown."
    )
    address: str = Field(default="127.0.0.1", description="Address that it listens on; 0.0.0.0 for all.")

    @model_validator(mode="after")
    def _has_folder(self) -> Self:
        if self.port is not None and not os.environ.get(FOLDER_VARIABLE):
            raise ValueError(
                f"METRICS_PORT needs {FOLDER_VARIABLE}, in the process environment: a folder of this worker alone, in "
                "which its processes keep their numbers"
            )
        return self


class Settings(ServiceSettings):
    """All settings of the indexer worker."""

    redis: RedisSettings = Field(default_factory=RedisSettings)
    milvus: MilvusSettings = Field(default_factory=MilvusSettings)
    conversations: ConversationsSettings = Field(default_factory=ConversationsSettings)
    embedding: EmbeddingSettings = Field(default_factory=EmbeddingSettings)
    openai: OpenAISettings = Field(default_factory=OpenAISettings)
    worker: WorkerSettings = Field(default_factory=WorkerSettings)
    reconcile: ReconcileSettings = Field(default_factory=ReconcileSettings)
    metrics: MetricsSettings = Field(default_factory=MetricsSettings)

    def missing_secrets(self) -> Sequence[str]:
        """See `ServiceSettings.missing_secrets`."""
        return [*self.redis.missing_secrets(), *self.milvus.missing_secrets()]
