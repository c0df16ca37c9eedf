"""Search options: modes, grouping, query syntax, explanations, similar questions."""

from typing import Any

import httpx
import pytest
from mh_common.models import Conversation, SearchHit, SearchResult, Sentiment
from mh_devtools.stubs.openai_stub import Fault, StubOpenAI
from mh_devtools.testing.fixtures import ConversationTable, MakeConversation, RunApp, WriteIndex
from rag_api.settings import SearchSettings, Settings
from redis.asyncio import Redis


async def search(client: httpx.AsyncClient, query: str, **request: Any) -> SearchResult:
    response = await client.post("/api/v1/search", json={"query": query, **request})
    assert response.status_code == 200, response.text
    return SearchResult.model_validate_json(response.content)


async def similar(client: httpx.AsyncClient, key: int, **params: Any) -> SearchResult:
    response = await client.get(f"/api/v1/conversations/{key}/similar", params=params)
    assert response.status_code == 200, response.text
    return SearchResult.model_validate_json(response.content)


def ids(result: SearchResult) -> list[int]:
    return [hit.id for hit in result.hits]


@pytest.fixture
def rows(conversation: MakeConversation) -> list[Conversation]:
    return [
        conversation(1, "I had a panic attack on the bus", "Breathe slowly, then ride one stop."),
        conversation(2, "I had a panic attack on the bus", "Tell the driver. Sit near the door."),
        conversation(3, "My mother calls me at night", "Switch the phone off at nine."),
        conversation(4, "Attacks of panic in school", "Breathing helps, also on the bus."),
        conversation(5, "Our dogs bark at the mailman", "Train them with patience."),
    ]


async def test_keyword_mode_matches_stems_without_the_embedder(
    client: httpx.AsyncClient, index: WriteIndex, rows: list[Conversation], stub: StubOpenAI
) -> None:
    await index(rows)
    stub.reset()
    stub.add_faults(Fault(status=500))
    result = await search(client, "a barking dog", mode="keyword")
    assert ids(result) == [5]
    assert 0 < result.hits[0].score < 1
    assert result.scores_calibrated
    assert stub.requests == []
    assert ids(await search(client, "xylophone", mode="keyword")) == []


async def test_words_for_client_and_counselor_find_nothing_by_themselves(
    client: httpx.AsyncClient, index: WriteIndex, rows: list[Conversation], conversation: MakeConversation
) -> None:
    await index(
        [*rows, conversation(6, "I am a doctor and lost a patient", "Tell your therapist in the next session.")]
    )
    for query in ("My patient has panic on the bus", "How can a therapist help a client with panic on the bus?"):
        assert 6 not in ids(await search(client, query, mode="keyword")), query
    assert ids(await search(client, "my therapist", mode="keyword")) == [6]


async def test_keyword_mode_finds_words_of_the_same_meaning(
    client: httpx.AsyncClient, index: WriteIndex, rows: list[Conversation]
) -> None:
    await index(rows)
    assert ids(await search(client, "mum", mode="keyword")) == [3]
    [hit] = (await search(client, "mum", mode="keyword", explain=True)).hits
    assert hit.explanation is not None
    assert "mother" in hit.explanation.searched[0].split()


async def test_a_quotation_in_a_long_question_is_no_condition(
    client: httpx.AsyncClient, index: WriteIndex, rows: list[Conversation]
) -> None:
    await index(rows)
    quoting = 'My client says "I am so nervous" whenever the dogs bark at him in the street. What can I say?'
    assert ids(await search(client, quoting))[0] == 5
    assert ids(await search(client, 'dogs "I am so nervous"')) == []


async def test_a_question_about_a_client_is_searched_as_the_client_would_put_it(
    client: httpx.AsyncClient, index: WriteIndex, conversation: MakeConversation
) -> None:
    await index([conversation(1, "I had to leave the tram"), conversation(2, "How do I help a patient who cries?")])
    question = "How do I help a patient who had to leave the tram?"
    result = await search(client, question, mode="semantic", explain=True)
    assert ids(result) == [1, 2]
    assert result.hits[0].explanation is not None
    assert result.hits[0].explanation.searched == ["I had to leave the tram?"]


async def test_query_vectors_are_shared_by_all_processes(
    running: RunApp, settings: Settings, index: WriteIndex, rows: list[Conversation], stub: StubOpenAI, redis_url: str
) -> None:
    await index(rows)
    stub.reset()
    async with Redis.from_url(redis_url) as redis:
        await redis.flushdb()
    shared = settings.model_copy(update={"search": SearchSettings(redis_url=redis_url)})
    for _ in range(2):
        async with running(shared) as client:
            assert ids(await search(client, "My mother calls me at night"))[0] == 3
    assert len(stub.requests) == 1


async def test_semantic_mode_finds_matches_without_shared_words(
    client: httpx.AsyncClient, index: WriteIndex, rows: list[Conversation]
) -> None:
    await index(rows)
    assert len(ids(await search(client, "xylophone", mode="semantic"))) == 4
    assert ids(await search(client, "My mother calls me at night", mode="semantic"))[0] == 3


async def test_words_in_the_answer_raise_the_rank(
    client: httpx.AsyncClient, index: WriteIndex, rows: list[Conversation]
) -> None:
    await index(rows)
    for query, best in (("ride one stop", 1), ("sit near the driver", 2), ("patience", 5)):
        assert ids(await search(client, query))[0] == best, query


async def test_hits_are_grouped_by_question_unless_disabled(
    client: httpx.AsyncClient, index: WriteIndex, rows: list[Conversation]
) -> None:
    await index(rows)
    grouped = await search(client, "panic attack on the bus, near the door")
    assert ids(grouped)[0] == 2
    assert 1 not in ids(grouped)
    assert grouped.total_hits == 4
    everything = await search(client, "panic attack on the bus, near the door", group_by="none")
    assert set(ids(everything)) == {1, 2, 3, 4, 5}
    assert ids(everything)[:2] == [2, 1]


async def test_a_stale_answer_is_replaced_by_the_next_of_its_question(
    client: httpx.AsyncClient,
    index: WriteIndex,
    rows: list[Conversation],
    table: ConversationTable,
    conversation: MakeConversation,
) -> None:
    await index(rows)
    table[2] = conversation(2, "Something else", version=2)
    result = await search(client, "panic attack on the bus, near the door", limit=1)
    assert ids(result) == [1]


async def test_a_question_with_many_answers_does_not_hide_others(
    client: httpx.AsyncClient, index: WriteIndex, conversation: MakeConversation
) -> None:
    await index(
        [
            *(conversation(key, "How do I fall asleep?", f"Sleep tip number {key}.") for key in range(1, 301)),
            *(conversation(key, f"Something else, number {key}", "An answer.") for key in range(301, 306)),
        ]
    )
    result = await search(client, "How do I fall asleep?", limit=5)
    assert len(ids(result)) == 5
    assert ids(result)[0] <= 300
    assert len(set(ids(result)) & set(range(301, 306))) == 4


async def test_phrases_and_excluded_words_match_stems_within_one_text(
    client: httpx.AsyncClient, index: WriteIndex, rows: list[Conversation]
) -> None:
    await index(rows)
    cases = {
        'help "panic attacks"': {1},
        'help "attack of panic"': {4},
        'help "the bus breathe"': set(),
        "panic -bus": set(),
        "panic -schools": {1},
        'panic -"panic attack"': {4},
        'help -"panic" -dogs': {3},
        'noisy "BARKS"': {5},
    }
    for query, expected in cases.items():
        among = expected | {3, 5} if query.startswith("panic") else expected
        assert {1 if key == 2 else key for key in ids(await search(client, query))} == among, query


async def test_filters_in_the_query_and_in_the_request_are_combined(
    client: httpx.AsyncClient, index: WriteIndex, conversation: MakeConversation
) -> None:
    rows = [conversation(key, f"question {key}", question_sentiment=Sentiment.NEUTRAL) for key in (1, 2, 3)]
    await index([*rows, conversation(4, "question 4")])
    assert set(ids(await search(client, "question question_sentiment:neutral"))) == {1, 2, 3}
    assert set(ids(await search(client, "question question_sentiment:neutral", ids=[2, 4]))) == {2}
    assert set(ids(await search(client, "question -id:2,3"))) == {1, 4}
    assert set(ids(await search(client, "question created_at<=2026-03-01"))) == {1, 2, 3, 4}
    assert ids(await search(client, "question created_at<2026-03-01")) == []
    assert ids(await search(client, "question created_at<2026-03-01", plain_query=True)) != []


async def test_an_unknown_filter_error_lists_the_known_ones(client: httpx.AsyncClient) -> None:
    response = await client.post("/api/v1/search", json={"query": "panic mood:low"})
    assert response.status_code == 422
    problem = response.json()
    assert problem["detail"].startswith("There is no filter named mood. The filters are question_sentiment,")
    assert [error["field"] for error in problem["errors"]] == ["query"]


async def test_query_words_are_highlighted_in_the_current_texts(
    client: httpx.AsyncClient, index: WriteIndex, conversation: MakeConversation
) -> None:
    await index([conversation(1, "🌙 I'm awake: sleeping <b>badly</b>, SLEEP!", "Naps? No sleep by day; déjà vu.")])
    [hit] = (await search(client, "How do I sleep? deja")).hits

    def marked(text: str, spans: list[tuple[int, int]]) -> list[str]:
        return [text[start:end] for start, end in spans]

    assert marked(hit.question, hit.highlights.question) == ["sleeping", "SLEEP"]
    assert marked(hit.answer, hit.highlights.answer) == ["sleep", "déjà"]
    [hit] = (await search(client, "how do I")).hits
    assert marked(hit.question, hit.highlights.question) == ["I"]


async def test_only_the_beginning_of_a_long_text_is_highlighted(
    client: httpx.AsyncClient, index: WriteIndex, conversation: MakeConversation
) -> None:
    await index([conversation(1, "sleep", "sleep " * 250 + "x" * 20_000 + " sleep")])
    [hit] = (await search(client, "sleep")).hits
    assert len(hit.highlights.answer) == 200
    assert hit.highlights.answer[-1] == (1194, 1199)


async def test_explanations_list_rank_and_score_of_each_part(
    client: httpx.AsyncClient, index: WriteIndex, rows: list[Conversation]
) -> None:
    await index(rows)
    result = await search(client, "panic on the bus -dogs", explain=True)
    assert [hit.score for hit in result.hits] == sorted((hit.score for hit in result.hits), reverse=True)
    for hit in result.hits:
        parts = _parts(hit)
        assert set(parts) == {"question", "text", "keywords", "words", "pairs", "crowding", "fusion"}
        assert hit.explanation is not None
        assert hit.explanation.searched[0] == "panic on the bus"
        meaning = 0.25 * parts["question"][1] + 0.75 * parts["text"][1] - 0.3 * parts["crowding"][1]
        keywords = parts["keywords"][1] / (parts["keywords"][1] + 20)
        words = 0.3 * keywords + 0.1 * parts["words"][1] + 0.1 * parts["pairs"][1]
        assert hit.explanation.evidence == pytest.approx(meaning + words, abs=1e-5)
    best, last = _parts(result.hits[0]), _parts(result.hits[-1])
    assert {best["question"][0], best["text"][0]} <= {1, 2}
    assert last["keywords"] == (None, 0.0)
    assert all(hit.explanation is None for hit in (await search(client, "panic")).hits)
    [hit] = (await search(client, "dog", mode="keyword", explain=True)).hits
    assert set(_parts(hit)) == {"keywords"}


def _parts(hit: SearchHit) -> dict[str, tuple[int | None, float]]:
    assert hit.explanation is not None
    return {part.part: (part.rank, part.score) for part in hit.explanation.parts}


async def test_similar_questions(
    client: httpx.AsyncClient,
    index: WriteIndex,
    rows: list[Conversation],
    table: ConversationTable,
    conversation: MakeConversation,
) -> None:
    await index(rows)
    assert ids(await similar(client, 1))[0] == 4
    assert not {1, 2} & set(ids(await similar(client, 1)))
    assert len(ids(await similar(client, 1, limit=2))) == 2
    assert ids(await similar(client, 1, similarity_threshold=1)) == []
    # Not indexed yet, and with text that would be a filter in a query.
    table[9] = conversation(9, 'mood:low "dogs" bark -mailman')
    assert ids(await similar(client, 9))[0] == 5


@pytest.mark.parametrize(("path", "status"), [("77/similar", 404), ("0/similar", 400), ("1/similar?limit=101", 400)])
async def test_similar_to_an_unknown_conversation_is_not_found(
    client: httpx.AsyncClient, table: ConversationTable, path: str, status: int
) -> None:
    response = await client.get(f"/api/v1/conversations/{path}")
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"


async def test_similar_reports_an_outage_of_the_conversations_api(
    client: httpx.AsyncClient, statuses: list[int]
) -> None:
    statuses += [500, 500]
    assert (await client.get("/api/v1/conversations/1/similar")).status_code == 503


async def test_an_uncalibrated_model_claims_no_probabilities(
    client: httpx.AsyncClient, index: WriteIndex, rows: list[Conversation]
) -> None:
    await index(rows)
    result = await search(client, "My mother calls me at night")
    assert (result.scores_calibrated, result.relevance_threshold) == (False, None)
    assert 0.5 < result.hits[0].score <= 1
    answer = (await client.post("/api/v1/answers", json={"question": "the price of copper in Chile"})).json()
    assert answer["model"] == "extractive"


async def test_calibration_settings_decide_what_is_relevant(
    running: RunApp, settings: Settings, index: WriteIndex, rows: list[Conversation]
) -> None:
    await index(rows)
    measured = SearchSettings(slope=20.0, offset=-10.0, relevance_threshold=0.6)
    async with running(settings.model_copy(update={"search": measured})) as client:
        near = await search(client, "My mother calls me at night")
        far = await search(client, "copper prices")
        answers = [
            (await client.post("/api/v1/answers", json={"question": question})).json()
            for question in ('My mother calls me: "at night"', "copper prices")
        ]
    assert (near.scores_calibrated, near.relevance_threshold) == (True, 0.6)
    assert near.hits[0].score > 0.9
    assert far.hits[0].score < 0.1
    assert answers[0]["model"] == "extractive"
    assert [source["id"] for source in answers[0]["sources"]] == [3]
    assert (answers[1]["model"], answers[1]["sources"]) == ("none", [])
    assert "Nothing relevant was found" in answers[1]["answer"]
