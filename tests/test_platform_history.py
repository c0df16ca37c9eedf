"""Query history and experiments on the whole platform: feedback goes in where answers come from, and comes out here."""

from uuid import uuid4

import httpx
import pytest
from mh_client import (
    AsyncClient,
    DataSet,
    ExperimentCreate,
    ExperimentMetrics,
    Figure,
    HistoryEntryCreate,
    HistoryHit,
    NotFoundError,
    Rating,
)
from mh_devtools.stack.server_stack import ServerStack
from rag_api.api_calls import record_answer


async def test_feedback_given_at_the_answers_is_found_in_the_history(platform: ServerStack, api: AsyncClient) -> None:
    entry = HistoryEntryCreate(
        answer_id=uuid4(),
        user_id=f"user-{uuid4()}",
        question="How do I help a patient who panics? 🙂",
        filters={"question_sentiment": ["negative"]},
        hits=[HistoryHit(id=17, version=1, score=0.78)],
        answer="Breathe slowly [1].",
        model="extractive",
        latency_ms=12.5,
    )
    user = entry.user_id or ""
    await api.send(record_answer(entry))

    async with httpx.AsyncClient(base_url=platform.rag_url, timeout=60) as rag:
        path, body = f"/api/v1/answers/{entry.answer_id}/feedback", {"rating": "down", "comment": "Too short."}
        assert (await rag.post(path, json=body)).status_code == 404
        given = await rag.post(path, json=body, headers={"X-User-Id": user})
    assert given.status_code == 200, given.text

    (found,) = (await api.history.list(user)).items
    assert found.model_dump(exclude={"created_at", "feedback"}) == entry.model_dump()
    assert found.feedback is not None
    assert (found.feedback.rating, found.feedback.comment) == (Rating.DOWN, "Too short.")
    assert await api.history.clear(user) == 1
    with pytest.raises(NotFoundError):
        await api.history.get(entry.answer_id, user)


async def test_an_experiment_is_kept_and_found_by_its_data_set(api: AsyncClient) -> None:
    sha256 = uuid4().hex * 2
    new = ExperimentCreate(
        name="mode=semantic",
        configuration={"mode": "semantic"},
        data_set=DataSet(name="queries.jsonl", sha256=sha256, cases=2),
        metrics=ExperimentMetrics(figures={"hit@3": Figure(value=0.5, low=0, high=1)}),
        per_case={"hit@3": [1.0, 0.0]},
        duration_seconds=0.5,
    )
    kept = await api.experiments.add(new)
    assert [one async for one in api.experiments.iterate(data_set_sha256=sha256)] == [kept]
    assert (await api.experiments.get(kept.id)).per_case == new.per_case
    await api.experiments.delete(kept.id)
    with pytest.raises(NotFoundError):
        await api.experiments.get(kept.id)
