"""The text filter `q`."""

from typing import Any

import httpx
import pytest
from conversations_api.conversations.filters import ConversationFilters, Sort
from conversations_api.conversations.repository import ConversationRepository
from conversations_api.database import SessionFactory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mh_common.text import is_blank, normalized
from sqlalchemy import event

PATH = "/api/v1/conversations"
WITHOUT_SURROGATES = st.characters(exclude_categories=["Cs"], exclude_characters="\x00")
LETTERS = st.characters(categories=["L", "N", "M"])


async def add(client: httpx.AsyncClient, question: str, answer: str = "-") -> int:
    body = {"question": question, "answer": answer, "question_sentiment": "neutral", "answer_sentiment": "neutral"}
    created = await client.post(PATH, json=body)
    assert created.status_code == 201, created.text
    id_: int = created.json()["id"]
    return id_


async def find(client: httpx.AsyncClient, q: str) -> list[int]:
    answer = await client.get(PATH, params={"q": q, "limit": 200})
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


async def test_all_words_must_occur_in_question_or_answer(client: httpx.AsyncClient) -> None:
    both = await add(client, "I panic on the bus", "Breathe slowly; take a friend.")
    await add(client, "I panic in the lift", "Breathe slowly.")
    assert await find(client, "friend BUS Breathe") == [both]
    assert len(await find(client, "panic")) == 2
    assert await find(client, "panic tram") == []


async def test_words_in_another_normal_form_are_found(client: httpx.AsyncClient) -> None:
    id_ = await add(client, "the cafe\u0301 latte")

    for q in ("cafe\u0301", "caf\xe9", "CAF\xc9 latte"):
        assert await find(client, q) == [id_], q


async def test_mark_up_of_html_is_not_found(client: httpx.AsyncClient) -> None:
    id_ = await add(client, '<div class="Intro-Text">Why&nbsp;me?<br>At work</div>', "<p>Rest. <b>Share</b> it.</p>")

    for q in ("why me", "WORK", "share rest", "me at"):
        assert await find(client, q) == [id_], q
    for q in ("nbsp", "NBSP", "div", "class", "intro", "intro-text", "why nbsp", "br", "rest br"):
        assert await find(client, q) == [], q

    await client.patch(f"{PATH}/{id_}", json={"question": "<p>My class</p>"})
    assert await find(client, "class") == [id_]
    assert await find(client, "nbsp") == []


async def test_words_of_texts_that_only_look_like_mark_up_are_found(client: httpx.AsyncClient) -> None:
    id_ = await add(client, "I <3 you & mean <jo@example.org>; a < b", "nbsp")

    for q in ("mean", "example", "nbsp", "3"):
        assert await find(client, q) == [id_], q


async def test_no_word_is_lost(client: httpx.AsyncClient) -> None:
    """Short words, stop words and scripts without spaces are not in MySQL's index."""
    text = "The who of it: ADHD at 5! 我睡不着觉。 นอนไม่หลับ Não consigo, für Äpfel, Тревога; straße "
    text += "self-harm can't 🙂 C++ snake_case"
    id_ = await add(client, text)
    words = ["the", "Who", "of", "it", "AT", "5", "adhd", "睡不着", "ไม่หลับ", "não", "FÜR", "äpfel", "ТРЕВОГА"]
    for q in [
        *words,
        "straße",
        "self-harm",
        "harm",
        "can't",
        "CAN'T",
        "🙂",
        "c++",
        "snake_case",
        text,
    ]:
        assert await find(client, q) == [id_], q
    for q in ("thee", "adhdx", "🙃x", "睡得着", "harmself"):
        assert await find(client, q) == [], q


async def test_operators_and_wildcards_do_not_act(client: httpx.AsyncClient) -> None:
    sleep = await add(client, "sleep well")
    worry = await add(client, "worry much")
    assert await find(client, "sleep -worry") == []
    assert await find(client, "sleep -well") == [sleep]
    assert await find(client, "+(sleep) ~well* @3") == []
    assert await find(client, '"well sleep"') == [sleep]
    for q in ("%", "_", "\\", "100%", "w_rry", "'", '"', "' OR 1=1 --"):
        assert await find(client, q) == [], q
    percent = await add(client, "100% sure_ly C:\\temp it's")
    for q in ("100%", "sure_ly", "C:\\temp", "it's", "\\temp", "%"):
        assert await find(client, q) == [percent], q
    assert await find(client, "much") == [worry]


@pytest.mark.slow
@given(q=st.text(WITHOUT_SURROGATES, min_size=1, max_size=40))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_text_makes_an_error_or_finds_everything(client: httpx.AsyncClient, q: str) -> None:
    id_ = await add(client, "\u2588", "\u2588")
    answer = await client.get(PATH, params={"q": q, "ids": id_})
    if answer.status_code == 400:
        assert is_blank(q)
    else:
        assert answer.status_code == 200
        assert answer.json()["items"] == [] or "\u2588" in q
    assert (await client.delete(f"{PATH}/{id_}")).status_code == 204


@given(q=st.text(st.sampled_from("ab +-*\"'()<>~@%_\\,.;:!?&|^#/`"), min_size=1, max_size=30))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_punctuation_makes_an_error(client: httpx.AsyncClient, q: str) -> None:
    assert (await client.get(PATH, params={"q": q})).status_code == (200 if q.strip() else 400)


# Dotless and dotted i, long s, sigmas, sharp s: letters whose other case is not simply one other letter.
ODD_LETTERS = "abc\u00df\u0131\u0130\u017f\u00d8\u0142\u03a3\u03c3\u03c2\u0416\u0451'-_\u2019."
WORD = st.one_of(
    st.text(LETTERS, min_size=1, max_size=12),
    st.text(WITHOUT_SURROGATES, min_size=1, max_size=8),
    st.text(st.sampled_from(ODD_LETTERS), min_size=1, max_size=8),
    st.sampled_from(["the", "The", "thé", "WITH", "a", "ǆ", "ﬁne", "x" * 84, "x" * 85]),
)


@pytest.mark.slow
@given(words=st.lists(WORD, min_size=1, max_size=6), index=st.integers(0, 99))
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_a_word_of_a_row_finds_the_row(client: httpx.AsyncClient, words: list[str], index: int) -> None:
    text = " ".join(words).strip()
    tokens = normalized(text).split()
    if is_blank(text):
        return
    id_ = await add(client, text)
    token = next(word for word in tokens[index % len(tokens) :] + tokens if not is_blank(word))
    # Others may hold the word as well: these examples share a table.
    answer = await client.get(PATH, params={"q": token, "ids": id_})
    assert [item["id"] for item in answer.json()["items"]] == [id_], token
    assert (await client.delete(f"{PATH}/{id_}")).status_code == 204


@pytest.mark.parametrize("migrated_database", [pytest.param("mysql", marks=pytest.mark.mysql)], indirect=True)
async def test_mysql_looks_words_up_in_its_full_text_index(client: httpx.AsyncClient, sessions: SessionFactory) -> None:
    await add(client, "a question on sleeping")
    statements: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        statements.append((statement, parameters))

    async with sessions() as session:
        connection = await session.connection()
        event.listen(connection.sync_connection, "before_cursor_execute", note)
        await ConversationRepository(session).list(ConversationFilters(q="sleeping of"), Sort.ID, None, 50)
        event.remove(connection.sync_connection, "before_cursor_execute", note)
        statement, parameters = statements[-1]
        plan = (await connection.exec_driver_sql(f"EXPLAIN FORMAT=JSON {statement}", parameters)).scalar_one()
    assert "ft_mental_health_conversations_question_answer" in plan
