"""Search and answers on the whole platform: what is stored is found, and what is no longer so is never shown."""

import re
from typing import Any

import pytest
from mh_client import (
    AnswerDone,
    AnswerRisk,
    AnswerSources,
    AnswerToken,
    AsyncClient,
    ConversationCreate,
    IndexStatus,
    InvalidInputError,
)
from mh_devtools.stack.server_stack import until_indexed
from mh_devtools.testing.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.mysql, pytest.mark.redis, pytest.mark.timeout(300)]

PANIC, SLEEP, GRIEF, ANGER, LETTER = 0, 1, 2, 3, 4
TEXTS = [
    (
        "Since a panic attack on the bus I walk everywhere. How do I get on a bus again?",
        "Practise slow breathing at home until it is boring. Then ride a single stop with somebody you trust.",
    ),
    (
        "I lie awake for hours because of work. How do I fall asleep?",
        "Write your worries down at a fixed hour before bed. Get up when you cannot sleep after twenty minutes.",
    ),
    (
        "My mother died in spring and I still cannot open her wardrobe.",
        "There is no date by which grief must be over. Open one drawer together with your sister.",
    ),
    (
        "I shout at my children when I come home tired, and hate myself for it.",
        "Sit in the car for five minutes before you go in. Tell them afterwards that the shouting was not their fault.",
    ),
    (
        "Escribí una carta a mi padre y no me atrevo a enviarla.",
        "La carta ya le ha servido a usted. Espere una semana antes de decidir si la envía.",
    ),
]


def row(question: str, answer: str, question_sentiment: str = "negative") -> ConversationCreate:
    values: dict[str, Any] = {"question_sentiment": question_sentiment, "answer_sentiment": "neutral"}
    return ConversationCreate(question=question, answer=answer, **values)


@pytest.fixture
async def ids(api: AsyncClient) -> list[int]:
    """Ids of the conversations of TEXTS, all of them indexed; the letter's is the only positive question."""
    rows = [
        row(question, answer, "positive" if at == LETTER else "negative") for at, (question, answer) in enumerate(TEXTS)
    ]
    ids = await api.conversations.bulk_create(rows)
    await until_indexed(api)
    return ids


async def test_the_index_state_follows_each_version(api: AsyncClient, rag: AsyncClient) -> None:
    created = await api.conversations.create(**row(*TEXTS[PANIC]).model_dump())
    for version in (1, 2):
        await until_indexed(api)
        state = await api.conversations.index_state(created.id)
        assert (state.status, state.version, state.indexed_version) == (IndexStatus.INDEXED, version, version)
        assert state.indexed_at is not None
        assert state.reason is None
        assert (await api.conversations.get(created.id)).index_status == IndexStatus.INDEXED
        hits = (await rag.search("panic on a bus")).hits
        assert [hit.id for hit in hits] == [created.id]
        if version == 1:
            changed = await api.conversations.update(created.id, answer="Ride one stop.")
            assert changed.index_status == IndexStatus.PENDING


async def test_search_ranks_by_meaning(rag: AsyncClient, ids: list[int]) -> None:
    result = await rag.search("bereavement: patient cannot let go of a parent's clothes")
    assert result.total_hits == len(result.hits) == len(TEXTS)
    assert result.hits[0].id == ids[GRIEF]
    assert (result.hits[0].question, result.hits[0].answer) == TEXTS[GRIEF]
    scores = [hit.score for hit in result.hits]
    assert scores == sorted(scores, reverse=True)
    assert [hit.id for hit in (await rag.search("insomnia", limit=1)).hits] == [ids[SLEEP]]


async def test_search_keeps_to_its_filters_and_threshold(api: AsyncClient, rag: AsyncClient, ids: list[int]) -> None:
    async def found(query: str, **filters: Any) -> list[int]:
        return [hit.id for hit in (await rag.search(query, **filters)).hits]

    assert await found("panic", question_sentiment="positive") == [ids[LETTER]]
    assert ids[LETTER] not in await found("carta", question_sentiment=["negative", "neutral"])
    assert await found("panic", answer_sentiment=["positive"]) == []
    assert sorted(await found("panic", ids=[ids[ANGER], ids[GRIEF]])) == [ids[GRIEF], ids[ANGER]]
    created_at = (await api.conversations.get(ids[0])).created_at
    assert await found("panic", created_before=created_at) == []
    assert len(await found("panic", created_after=created_at, updated_after=created_at)) == len(TEXTS)

    assert await found(TEXTS[PANIC][0], similarity_threshold=0.99) == [ids[PANIC]]
    assert await found("the price of copper in Chile", similarity_threshold=0.8) == []
    with pytest.raises(InvalidInputError):
        await rag.search("panic", similarity_threshold=1.5)


async def test_an_answer_cites_conversations_that_exist(api: AsyncClient, rag: AsyncClient, ids: list[int]) -> None:
    answer = await rag.answer("How do I help a patient who panics on public transport?", top_k=2)
    assert answer.model == "extractive"
    assert answer.sources[0].id == ids[PANIC]
    # The others of TEXTS have nothing to do with it, and are no sources.
    assert len(answer.sources) == 1
    for source in answer.sources:
        stored = await api.conversations.get(source.id)
        assert (source.question, source.answer) == (stored.question, stored.answer)
    quotes = re.findall(r"“(.+?)” \[(\d+)\]", answer.answer)
    assert quotes
    for quote, number in quotes:
        assert quote in answer.sources[int(number) - 1].answer


async def test_a_streamed_answer_is_the_same_answer(rag: AsyncClient, ids: list[int]) -> None:
    question = "How do I help a patient who panics on public transport?"
    turns = [{"role": "user", "content": "My patient fears the bus."}]
    events = [event async for event in rag.answer_stream(question, 2, turns, user_id="dr.ana")]
    whole = await rag.answer(question, 2, turns)
    assert isinstance(events[0], AnswerRisk)
    assert events[0].risk == whole.risk
    assert isinstance(events[1], AnswerSources)
    assert events[1].sources == whole.sources
    assert events[1].standalone_query == whole.standalone_query == f"My patient fears the bus.\n{question}"
    assert "".join(event.text for event in events if isinstance(event, AnswerToken)) == whole.answer
    assert isinstance(events[-1], AnswerDone)
    assert events[-1].model == "extractive"


async def test_an_answer_without_conversations_says_so(api: AsyncClient, rag: AsyncClient) -> None:
    answer = await rag.answer("How do I help a patient who panics?")
    assert (answer.model, answer.sources) == ("none", [])
    assert (await api.conversations.stats()).total == 0


async def test_a_new_text_is_found_and_the_old_one_never_shown_again(
    api: AsyncClient, rag: AsyncClient, ids: list[int]
) -> None:
    old_question, old_answer = TEXTS[ANGER]
    new_question, new_answer = "My dog is afraid of fireworks, and so am I.", "Close the shutters early and play music."
    await api.conversations.update(ids[ANGER], question=new_question, answer=new_answer)

    async def new_is_found_and_old_is_not() -> bool:
        hits = (await rag.search(old_question)).hits + (await rag.search("fear of fireworks")).hits
        sources = (await rag.answer(old_question)).sources
        shown = {hit.question: hit.answer for hit in hits} | {source.question: source.answer for source in sources}
        assert old_question not in shown
        assert old_answer not in shown.values()
        return any((hit.id, hit.question, hit.answer) == (ids[ANGER], new_question, new_answer) for hit in hits)

    await eventually(new_is_found_and_old_is_not)
    assert (await rag.search("fear of fireworks", limit=1)).hits[0].id == ids[ANGER]


async def test_a_deleted_conversation_is_gone_at_once(api: AsyncClient, rag: AsyncClient, ids: list[int]) -> None:
    question = TEXTS[PANIC][0]
    assert (await rag.search(question, limit=1)).hits[0].id == ids[PANIC]
    await api.conversations.delete(ids[PANIC])
    assert ids[PANIC] not in [hit.id for hit in (await rag.search(question)).hits]
    answer = await rag.answer(question)
    assert ids[PANIC] not in [source.id for source in answer.sources]
    assert "single stop" not in answer.answer

    await api.conversations.bulk_delete(ids)
    assert (await rag.search(question)).hits == []
