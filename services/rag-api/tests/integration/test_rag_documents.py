"""GET /documents on the shipped app, over the real conversations API on SQLite."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import conversations_api.main
import httpx
import pytest
from alembic import command
from alembic.config import Config
from conversations_api.settings import DatabaseSettings
from conversations_api.settings import Settings as ConversationsApiSettings
from mh_client import AsyncClient
from mh_common.models import ConversationCreate, Sentiment
from mh_common.settings import ConversationsSettings, RedisSettings
from mh_devtools.stubs.server import serving
from mh_devtools.testing.fixtures import RunApp
from rag_api.settings import Settings

ALEMBIC = Path(__file__).resolve().parents[3] / "conversations-api/alembic.ini"
PATH = "/documents"


@pytest.fixture
def conversations(tmp_path: Path) -> Iterator[str]:
    """The URL of a separate, empty conversations API."""
    database = DatabaseSettings(url=f"sqlite+aiosqlite:///{tmp_path}/conversations.db")
    config = Config(ALEMBIC)
    config.attributes["database"] = database
    command.upgrade(config, "head")
    # Nothing listens there: jobs stay in the outbox.
    settings = ConversationsApiSettings(
        _env_file=None, database=database, redis=RedisSettings(url="redis://127.0.0.1:9")
    )
    with serving(conversations_api.main.create_app(settings), lifespan=True) as url:
        yield url


@pytest.fixture
async def listing(running: RunApp, settings: Settings, conversations: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the app, with that conversations API holding 25 rows."""
    rows = [
        ConversationCreate(
            question=f"Question {number}",
            answer=f"Answer {number}",
            question_sentiment=Sentiment.NEGATIVE,
            answer_sentiment=Sentiment.NEUTRAL,
        )
        for number in range(25)
    ]
    async with AsyncClient(conversations) as writer:
        await writer.conversations.bulk_create(rows)
    changed = {"conversations": ConversationsSettings(url=conversations, timeout=5)}
    async with running(settings.model_copy(update=changed)) as client:
        yield client


async def test_paging_returns_every_conversation_once(listing: httpx.AsyncClient) -> None:
    found: list[dict[str, Any]] = []
    page: dict[str, Any] = {"next_cursor": None}
    sizes: list[int] = []
    while not sizes or page["next_cursor"]:
        params = {"limit": 10, **({"cursor": page["next_cursor"]} if page["next_cursor"] else {})}
        page = (await listing.get(PATH, params=params)).json()
        assert page["total"] is None
        found += page["documents"]
        sizes.append(len(page["documents"]))
    assert sizes == [10, 10, 5]
    assert [one["question"] for one in found] == [f"Question {number}" for number in range(25)]
    stored = (await listing.get(PATH, params={"limit": 1, "include_total": True})).json()
    assert stored["total"] == 25
    first = found[0]
    assert stored["documents"] == [first]
    assert first["answer"] == "Answer 0"
    assert first["link"] == f"http://rag-api/api/v1/conversations/{first['id']}"
    assert len(first["date"]) == len("2026-03-01")
    assert set(first) == {"id", "question", "answer", "link", "date"}


@pytest.mark.parametrize(
    ("params", "detail"),
    [
        ({"limit": "0"}, "limit: Input should be greater than or equal to 1"),
        ({"limit": "101"}, "limit: Input should be less than or equal to 100"),
        ({"cursor": "yesterday"}, "cursor: must be the unchanged next_cursor of a previous page"),
        ({"page": "2"}, "page: is unknown; remove or correct it"),
    ],
)
async def test_invalid_parameters_are_named(listing: httpx.AsyncClient, params: dict[str, str], detail: str) -> None:
    response = await listing.get(PATH, params=params)
    assert (response.status_code, response.json()) == (422, {"detail": detail})


async def test_an_outage_of_the_conversations_api_is_reported(
    client: httpx.AsyncClient, statuses: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    statuses += [500, 500]
    response = await client.get(PATH)
    assert (response.status_code, response.headers["retry-after"]) == (503, "7")
    assert response.json() == {"detail": "The conversations API, which holds the texts, answered 500."}
    assert "conversations_api_failed" in caplog.text
