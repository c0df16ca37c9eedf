"""POST /api/v1/answers/{answer_id}/feedback on the shipped app, which forwards it to the conversations API."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from mh_common.settings import ConversationsSettings
from mh_devtools.stubs.conversations_stub import StubConversations
from mh_devtools.testing.fixtures import RunApp
from rag_api.settings import Settings

ALICE = {"X-User-Id": "alice"}


@pytest.fixture
def answer_id(conversations_stub: StubConversations) -> Iterator[UUID]:
    """The id of an answer for alice in the history of the conversations API."""
    key = uuid4()
    conversations_stub.answers[key] = "alice"
    yield key
    conversations_stub.answers.clear()
    conversations_stub.feedback.clear()


def path(answer_id: object) -> str:
    return f"/api/v1/answers/{answer_id}/feedback"


async def test_feedback_is_stored_in_the_history_with_its_user(
    client: httpx.AsyncClient, answer_id: UUID, conversations_stub: StubConversations
) -> None:
    response = await client.post(path(answer_id), json={"rating": "up", "comment": " Good. "}, headers=ALICE)
    assert response.status_code == 200
    assert response.json() == conversations_stub.feedback[answer_id].model_dump(mode="json")
    assert (response.json()["rating"], response.json()["comment"]) == ("up", "Good.")
    replaced = await client.post(path(answer_id), json={"rating": "down"}, headers=ALICE)
    assert replaced.json()["comment"] is None


async def test_feedback_on_a_notice_of_risk_needs_no_rating(
    client: httpx.AsyncClient, answer_id: UUID, conversations_stub: StubConversations
) -> None:
    response = await client.post(path(answer_id), json={"risk_notice": "not_relevant"}, headers=ALICE)
    assert response.status_code == 200
    assert (response.json()["risk_notice"], response.json()["rating"]) == ("not_relevant", None)
    assert conversations_stub.feedback[answer_id].risk_notice == "not_relevant"


@pytest.mark.parametrize("headers", [{}, {"X-User-Id": "bob"}])
async def test_answers_of_others_and_unknown_answers_are_not_found(
    client: httpx.AsyncClient, answer_id: UUID, headers: dict[str, str], conversations_stub: StubConversations
) -> None:
    for key in (answer_id, uuid4()):
        response = await client.post(path(key), json={"rating": "up"}, headers=headers)
        assert (response.status_code, response.headers["content-type"]) == (404, "application/problem+json")
        assert str(key) in response.json()["detail"]
    assert conversations_stub.feedback == {}


@pytest.mark.parametrize(
    ("key", "body", "headers", "status"),
    [
        ("17", {"rating": "up"}, {}, 400),
        (UUID(int=1), {"rating": "up"}, {"X-User-Id": "two words"}, 400),
        (UUID(int=1), {"rating": "meh"}, {}, 422),
        (UUID(int=1), {"risk_notice": "wrong"}, {}, 422),
        (UUID(int=1), {"comment": "xxx"}, {}, 422),
        (UUID(int=1), {}, {}, 422),
        (UUID(int=1), {"rating": "up", "comment": "x" * 2001}, {}, 422),
    ],
)
async def test_invalid_feedback_is_rejected(
    client: httpx.AsyncClient, key: object, body: dict[str, Any], headers: dict[str, str], status: int
) -> None:
    response = await client.post(path(key), json=body, headers=headers)
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
    assert "xxx" not in response.text


async def test_a_disabled_history_is_reported(client: httpx.AsyncClient, answer_id: UUID, statuses: list[int]) -> None:
    statuses.append(409)
    response = await client.post(path(answer_id), json={"rating": "up"}, headers=ALICE)
    assert response.status_code == 409
    assert "disabled" in response.json()["detail"]


async def test_an_outage_is_reported_with_retry_after(
    client: httpx.AsyncClient,
    answer_id: UUID,
    statuses: list[int],
    running: RunApp,
    settings: Settings,
) -> None:
    statuses.append(500)
    broken = await client.post(path(answer_id), json={"rating": "up"}, headers=ALICE)
    nowhere = settings.model_copy(update={"conversations": ConversationsSettings(url="http://127.0.0.1:9", timeout=1)})
    async with running(nowhere) as lonely:
        unreachable = await lonely.post(path(answer_id), json={"rating": "up"}, headers=ALICE)
    assert (broken.status_code, broken.headers["retry-after"]) == (503, "7")
    assert (unreachable.status_code, unreachable.headers["retry-after"]) == (503, "5")
