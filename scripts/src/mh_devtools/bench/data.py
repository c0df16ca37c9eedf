"""The conversations to measure with, and helpers that add, delete and import them."""

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
    """Return the CSV file to measure with: MH_BENCH_DATASET, a train.csv next to the checkout, or the sample data."""
    candidates = sorted(ROOT.parent.glob("*/data/train.csv"))
    return Path(os.environ.get("MH_BENCH_DATASET") or (candidates or [SAMPLE / "conversations.csv"])[0])


def read_rows(path: Path) -> list[ConversationCreate]:
    """Return the file's conversations."""
    fields = ConversationCreate.model_fields
    with path.open(encoding="utf-8", newline="") as file:
        return [
            ConversationCreate.model_validate({name: row[name] for name in fields if row.get(name)})
            for row in csv.DictReader(file)
        ]


def add(client: Client, rows: Sequence[ConversationCreate]) -> list[int]:
    """Add conversations by bulk requests; return their ids in the same order."""
    return [key for part in batched(rows, MAX_BULK_ROWS) for key in client.conversations.bulk_create(part)]


def empty(client: Client) -> None:
    """Delete every conversation."""
    while ids := [row.id for row in client.conversations.list(limit=200).items]:
        client.conversations.bulk_delete(ids)


def wait_until_indexed(client: Client) -> None:
    """Wait until no conversation is pending."""
    # Rarely, since counting takes processor time away from what is being measured.
    while client.conversations.stats().index_status[IndexStatus.PENDING]:
        time.sleep(0.2)


async def import_whole(url: str, path: Path) -> None:
    """Import the file as `mh import` does, without the state of an earlier import."""
    with tempfile.TemporaryDirectory() as state:
        async with AsyncClient(url) as client:
            await import_file(client, path, ImportOptions(state_dir=Path(state)))
