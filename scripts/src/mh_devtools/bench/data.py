"""The conversations to measure with, and what the measurements do to a platform that holds them."""

import csv
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from mh_client import AsyncClient, Client, ConversationCreate, IndexStatus
from mh_client.importing import ImportOptions, import_file
from mh_common.batches import batched
from mh_common.models import MAX_BULK_ROWS

from mh_devtools.paths import ROOT, SAMPLE


def dataset() -> Path:
    """Return the CSV file to measure with: MH_BENCH_DATASET, else a train.csv beside the checkout, else the sample."""
    beside = sorted(ROOT.parent.glob("*/data/train.csv"))
    return Path(os.environ.get("MH_BENCH_DATASET") or (beside or [SAMPLE / "conversations.csv"])[0])


def read_rows(path: Path) -> list[ConversationCreate]:
    """Return the file's conversations."""
    fields = ConversationCreate.model_fields
    with path.open(encoding="utf-8", newline="") as file:
        return [
            ConversationCreate(**{name: row[name] for name in fields if row.get(name)}) for row in csv.DictReader(file)
        ]


def add(client: Client, rows: Sequence[ConversationCreate]) -> list[int]:
    """Add conversations by bulk requests; return their ids in the same order."""
    return [key for part in batched(rows, MAX_BULK_ROWS) for key in client.conversations.bulk_create(part)]


def empty(client: Client) -> None:
    """Delete every conversation."""
    while ids := [row.id for row in client.conversations.list(limit=200).items]:
        client.conversations.bulk_delete(ids)


def wait_until_indexed(client: Client) -> None:
    """Return when no conversation waits for the index."""
    # Seldom, since counting takes processor time from what is measured.
    while client.conversations.stats().index_status[IndexStatus.PENDING]:
        time.sleep(0.2)


async def import_whole(url: str, path: Path) -> None:
    """Import the file as `mh import` does, as if for the first time."""
    with tempfile.TemporaryDirectory() as state:
        async with AsyncClient(url) as client:
            await import_file(client, path, ImportOptions(state_dir=Path(state)))
