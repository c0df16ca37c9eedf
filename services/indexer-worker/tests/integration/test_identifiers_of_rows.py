"""What the worker sends to an embedding server of rows that name people."""

import json
import subprocess
import sys
from contextlib import AsyncExitStack

import pytest
from indexer_worker import bootstrap
from indexer_worker.settings import Settings
from mh_common import vector_index as fields
from mh_common.identifiers import IdentifierKind
from mh_common.models import IndexStatus, PhiMode
from mh_common.settings import PHISettings
from mh_common.units import CONVERSATION, conversation_units
from mh_devtools.stubs.index_stub import StubIndex
from mh_devtools.stubs.openai_stub import StubOpenAI
from mh_devtools.stubs.recognizer_stub import StubRecognizer
from pymilvus import AsyncMilvusClient

pytestmark = pytest.mark.redis


@pytest.fixture
def recognizer(monkeypatch: pytest.MonkeyPatch) -> StubRecognizer:
    stub = StubRecognizer({"Okafor": IdentifierKind.PERSON})
    monkeypatch.setattr("mh_common.embeddings.factory.make_recognizer", lambda: stub)
    return stub


@pytest.fixture
def rows(conversations: StubIndex) -> StubIndex:
    conversations.put(1, "Okafor cannot sleep.", answer="Rise at the same hour.")
    conversations.put(2, "How do I sleep?", answer="Rest at noon.")
    return conversations


async def index(settings: Settings, mode: PhiMode) -> None:
    """Index both rows with the stub as the embedding server."""
    async with AsyncExitStack() as stack:
        services = await bootstrap.build_services(settings.model_copy(update={"phi": PHISettings(mode=mode)}), stack)
        await services.of(CONVERSATION).index.index(conversation_units([1, 2]))


async def described(settings: Settings) -> tuple[str, set[int]]:
    """The description of the collection, and the ids in it."""
    client = AsyncMilvusClient(settings.milvus.uri, timeout=10, dedicated=True)
    found = await client.query(fields.COLLECTION, filter=f"{fields.ID} > 0", consistency_level="Strong")
    description = (await client.describe_collection(fields.COLLECTION))["description"]
    await client.close()
    return description, {row[fields.ID] for row in found}


async def test_rows_are_embedded_with_pseudonyms_in_a_space_of_their_own(
    settings: Settings, rows: StubIndex, stub_openai: StubOpenAI, recognizer: StubRecognizer
) -> None:
    stub_openai.reset()
    await index(settings, PhiMode.PSEUDONYMISE)
    texts = [text for one in stub_openai.requests if one.body for text in one.body["input"]]
    assert "[PERSON_1] cannot sleep." in texts
    assert "Okafor" not in json.dumps(texts)
    description, ids = await described(settings)
    assert "embedding=former+pseudonyms;" in description
    assert ids == {1, 2}
    assert {outcome.status for outcome in rows.outcomes} == {IndexStatus.INDEXED}


@pytest.mark.parametrize("broken", [False, True])
async def test_a_row_that_must_not_be_sent_fails_with_the_reason_and_no_other_does(
    settings: Settings,
    rows: StubIndex,
    stub_openai: StubOpenAI,
    recognizer: StubRecognizer,
    broken: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stub_openai.reset()
    if broken:
        # It fails for the texts with the name alone.
        whole = recognizer.find
        monkeypatch.setattr(recognizer, "find", lambda text: 1 / 0 if "Okafor" in text else whole(text))
    await index(settings, PhiMode.PSEUDONYMISE if broken else PhiMode.REFUSE)
    assert "Okafor" not in json.dumps([one.body for one in stub_openai.requests])
    reasons = {outcome.source_id: outcome.reason for outcome in rows.outcomes}
    assert reasons[2] is None
    why = "could not be checked" if broken else "seems to contain names or other identifiers (PHI_MODE=refuse)"
    assert (reasons[1] or "").startswith(f"The text was not sent to the embedding server: it {why}")
    assert "Okafor" not in (reasons[1] or "")
    assert (await described(settings))[1] == {2}


def test_a_key_alone_leaves_embeddings_on_this_machine_and_the_start_says_so(environment: dict[str, str]) -> None:
    alone = {name: value for name, value in environment.items() if not name.startswith("EMBEDDING_")}
    preflight = [sys.executable, "-m", "indexer_worker.preflight"]
    done = subprocess.run(
        preflight, env=alone | {"OPENAI_API_KEY": "key"}, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr.startswith("The indexer worker starts. Embeddings are made on this machine")
    assert "EMBEDDING_DATA_EGRESS=allowed" in done.stderr
    assert done.stderr.count("\n") == 1
