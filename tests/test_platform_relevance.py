"""What is found for a question, and whether there is anything: on the whole platform, with the sample."""

from pathlib import Path

import pytest
from mh_client import Client
from mh_devtools.bench.data import empty, read_rows, wait_until_indexed
from mh_devtools.search import relevance
from mh_devtools.stack.server_stack import ServerStack

SAMPLE = Path(__file__).resolve().parent.parent / "scripts" / "sample"

pytestmark = [pytest.mark.e2e, pytest.mark.mysql, pytest.mark.redis, pytest.mark.timeout(300)]


@pytest.fixture
def rag(platform: ServerStack) -> Client:
    """Client of the rag-api, with the sample indexed."""
    with Client(platform.api_url, timeout=60) as api:
        empty(api)
        api.conversations.bulk_create(read_rows(SAMPLE / "conversations.csv"))
        wait_until_indexed(api)
    return Client(platform.rag_url, timeout=60)


def test_scores_tell_what_is_about_a_question_from_what_is_not(rag: Client) -> None:
    with rag:
        wrong = relevance.wrong_shares(rag, ["queries.jsonl", "off_topic.jsonl"])
        answer = rag.answer("How do I bake a sourdough bread?")
    assert set(wrong) == {"queries.jsonl", "off_topic.jsonl"}
    assert all(share <= 0.07 for share in wrong.values())
    assert (answer.model, answer.sources) == ("none", [])


def test_counselors_find_what_their_clients_wrote(rag: Client) -> None:
    """Each question brought, first or second, a conversation about a therapist or a patient, or nothing."""
    wanted = {
        "My patient panics on the bus": "I had a panic attack on the bus",
        "How do I help a client who panics on the bus?": "I had a panic attack on the bus",
        "A 15-year-old client cuts her arms and does not want her parents to know": "she cuts herself",
        'A client says "I\'m so OCD" because she likes things neat. How do I explain it?': "very tidy and having OCD",
        "How do I help a patient who lies awake at night?": "I've been awake at this time every night",
    }
    with rag:
        for query, question in wanted.items():
            best, *others = rag.search(query, limit=3).hits
            assert question in best.question, query
            assert not any("we lost a patient" in hit.question for hit in others), query
