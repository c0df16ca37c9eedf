"""Settings of the indexer worker."""

import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import gettempdir
from typing import Annotated, Self

from mh_common.access_settings import ServiceKeySettings
from mh_common.embeddings import EmbeddingSettings, OpenAISettings
from mh_common.metrics import FOLDER_VARIABLE
from mh_common.settings import (
    BLANK_IS_NONE,
    ConversationsSettings,
    EgressSettings,
    MilvusSettings,
    PHISettings,
    RedisSettings,
    SafetySettings,
    ServiceSettings,
    SettingsGroup,
)
from pydantic import Field, model_validator


class WorkerSettings(SettingsGroup):
    """Time limits of jobs, and what happens to jobs that fail. Times are in seconds."""

    job_timeout: float = Field(
        default=45.0, gt=0, description="A job that takes longer is aborted, and its rows are retried in smaller jobs."
    )
    time_limit: float = Field(
        default=60.0,
        gt=0,
        description="A job that is still running is killed with its process; must be above WORKER_JOB_TIMEOUT.",
    )
    max_retry_delay: float = Field(
        default=600.0, gt=0, description="Longest delay between two attempts of a job; jobs are retried indefinitely."
    )
    hold_time: float = Field(
        default=20.0,
        gt=0,
        description="How long a worker holds a job that waits for its next attempt before it returns it to Redis. The "
        "jobs of a dead worker are redelivered after this time plus twice WORKER_TIME_LIMIT.",
    )
    max_memory_kb_per_child: int = Field(
        default=1_000_000,
        ge=100_000,
        description="A process that uses more memory than this, in KB, is replaced after its job.",
    )
    max_deaths: int = Field(
        default=5,
        ge=1,
        description="A conversation is marked as failed if a job with it alone has crashed its process this often.",
    )
    embedding_cache: Annotated[Path | None, BLANK_IS_NONE] = Field(
        default=None,
        description="File that caches vectors, so that rebuilding an index or restoring a data set embeds no text "
        "twice. Put it on a persistent disk; empty: no cache. It contains no texts.",
    )
    embedding_cache_mb: int = Field(
        default=2048,
        ge=1,
        description="Maximum size of that file in MB; the least recently used vectors are removed first.",
    )
    embedding_cache_days: int = Field(
        default=365, ge=1, description="Days for which a vector stays in that file after its last use."
    )
    heartbeat_file: Path = Field(
        default_factory=lambda: Path(gettempdir()) / "indexer-worker.json",
        description="File in which a worker records its progress for `python -m indexer_worker.health`; one a worker.",
    )

    @property
    def visibility_timeout(self) -> float:
        """Seconds after which an unacknowledged job is redelivered to another worker.

        Longer than a live worker can hold a job: waiting until it is due, then for a free process, then running it.
        A shorter timeout would needlessly run jobs twice.
        """
        return self.hold_time + 2 * self.time_limit

    @property
    def stall_timeout(self) -> float:
        """Seconds without progress, while jobs are waiting, after which a worker exits: no live one takes that long."""
        return self.visibility_timeout

    @model_validator(mode="after")
    def _limits_in_order(self) -> Self:
        if self.job_timeout >= self.time_limit:
            raise ValueError("WORKER_JOB_TIMEOUT must be below WORKER_TIME_LIMIT")
        return self


class ReconcileSettings(SettingsGroup):
    """How often the index is compared with the conversations, and what counts as lost. Times are in seconds."""

    interval: float = Field(default=900.0, ge=1, description="Time between two comparisons.")
    grace: float = Field(
        default=60.0,
        ge=0,
        description="If no other job is waiting or running: a conversation that had been pending for this long when "
        "the comparison was requested is queued again, because its job must be lost.",
    )
    busy_grace: float = Field(
        default=3600.0,
        ge=0,
        description="As RECONCILE_GRACE, if jobs are waiting or running: one may be that conversation's.",
    )
    schedule_file: Path = Field(
        default_factory=lambda: Path(gettempdir()) / "indexer-worker-beat",
        description="File in which Celery beat records when it last sent what. It may be deleted.",
    )


class MetricsSettings(SettingsGroup):
    """The worker's metrics endpoint. PROMETHEUS_MULTIPROC_DIR must be set as well, in the process environment."""

    port: Annotated[int | None, Field(ge=1, le=65535), BLANK_IS_NONE] = Field(
        default=None, description="Port of /metrics; empty: no metrics endpoint."
    )
    address: str = Field(default="127.0.0.1", description="Address to listen on; 0.0.0.0 for all interfaces.")

    @model_validator(mode="after")
    def _has_folder(self) -> Self:
        if self.port is not None and not os.environ.get(FOLDER_VARIABLE):
            raise ValueError(
                f"METRICS_PORT needs {FOLDER_VARIABLE} in the process environment: a folder that only this worker "
                "uses, in which its processes store their metrics"
            )
        return self


class Settings(ServiceSettings):
    """All settings of the indexer worker."""

    redis: RedisSettings = Field(default_factory=RedisSettings)
    milvus: MilvusSettings = Field(default_factory=MilvusSettings)
    conversations: ConversationsSettings = Field(default_factory=ConversationsSettings)
    mh: ServiceKeySettings = Field(default_factory=ServiceKeySettings)
    embedding: EmbeddingSettings = Field(default_factory=EmbeddingSettings)
    openai: OpenAISettings = Field(default_factory=OpenAISettings)
    safety: SafetySettings = Field(default_factory=SafetySettings)
    egress: EgressSettings = Field(default_factory=EgressSettings)
    phi: PHISettings = Field(default_factory=PHISettings)
    worker: WorkerSettings = Field(default_factory=WorkerSettings)
    reconcile: ReconcileSettings = Field(default_factory=ReconcileSettings)
    metrics: MetricsSettings = Field(default_factory=MetricsSettings)

    def missing_secrets(self) -> Sequence[str]:
        """See `ServiceSettings.missing_secrets`."""
        return [*self.redis.missing_secrets(), *self.milvus.missing_secrets()]
