"""Names in the documents that belong to other programs or to the system, and so do not occur in our code."""

from typing import Final

FOREIGN: Final = frozenset(
    [
        ".env",
        ".env.local",
        ".jsonl",
        "v1.2.3",
        "claude_desktop_config.json",
        "FILE.csv.rejects.csv",
        "indexer-worker.json",
        "FLUSHDB",
        "LISTEN_FDS",
        "MD5()",
        "MISCONF",
        "RETURNING",
        "autoIndex.params.build",
        "extends",
        "innodb_flush_log_at_trx_commit",
        "noeviction",
        "non_idempotent",
        "num_shards",
        "pydantic.create_model",
        "remote_user",
        "replica_number",
        "response_format",
        "tools/list",
        "OTEL_BSP_SCHEDULE_DELAY",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "OTEL_TRACES_SAMPLER",
        "OTEL_TRACES_SAMPLER_ARG",
    ]
)
"""Words, paths and whole code spans. None of them is a name of ours: those must occur in the code."""
