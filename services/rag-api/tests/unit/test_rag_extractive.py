"""Extractive answers."""

import re
from collections.abc import Sequence
from datetime import date

import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st
from mh_common.embeddings import Embedder, TextUse
from mh_common.models import Risk, RiskCategory, RiskLevel, Source
from mh_common.risk import LexiconScreener
from mh_common.sentences import sentence_spans
from mh_devtools.stubs.openai_stub import embedding
from rag_api.answers import extractive
from rag_api.answers.extractive import ExtractiveAnswerer, is_substantive
from rag_api.answers.markup import strip_invisible
from rag_api.safety.helplines import helpline_table
from rag_api.safety.notice import Notices
from rag_api.safety.screening import ScreeningService


class WordEmbedder:
    """An embedder for which texts that share words are similar; records the texts it is given."""

    model = "words"
    dimension = 256

    def __init__(self) -> None:
        self.texts: list[str] = []

    async def embed(self, texts: Sequence[str], use: TextUse = TextUse.PASSAGE) -> list[list[float]]:
        self.texts += texts
        return [embedding(text, self.dimension, bag_of_words=True) for text in texts]

    async def close(self) -> None: ...


def screening() -> ScreeningService:
    return ScreeningService(LexiconScreener(), LexiconScreener(), Notices(helpline_table(), (), date.today))


def sources(*answers: str) -> list[Source]:
    return [Source(id=n, question="q", answer=answer, score=0.5) for n, answer in enumerate(answers, start=10)]


async def write(question: str, *answers: str, embedder: Embedder | None = None) -> str:
    extractive_answerer = ExtractiveAnswerer(embedder or WordEmbedder(), screening())
    return "".join(await extractive_answerer.answer(question, sources(*answers)))


def quotes(text: str) -> list[tuple[str, int]]:
    return [(quote, int(number)) for quote, number in re.findall(r"“(.*?)” \[(\d+)\](?:\n|$)", text, re.DOTALL)]


async def test_the_most_relevant_sentences_are_quoted_with_their_source() -> None:
    text = await write(
        "How can panic on the bus be calmed?",
        "Hello and welcome! Cats are lovely pets to have. Panic on the bus can be calmed by slow breathing.",
        "Plan the bus ride with a friend who stays calm. My uncle had seven red tractors.",
    )
    assert text.splitlines()[0] == (
        "Quotes from 2 similar conversations, selected by similarity to your question. "
        "They were written for other people and are not advice for this patient; "
        "if there may be a risk, follow your crisis protocol first."
    )
    assert ("Panic on the bus can be calmed by slow breathing.", 1) in quotes(text)
    assert ("Plan the bus ride with a friend who stays calm.", 2) in quotes(text)
    assert "Hello" not in text


async def test_quotes_are_ordered_by_source_and_position() -> None:
    text = await write(
        "sleep sleep sleep",
        "Coffee late in the day harms the night. Sleep sleep is what you need. Walks in the evening help a bit.",
        "Good sleep needs regular fixed hours.",
    )
    found = [quote for quote, _ in quotes(text)]
    assert found.index("Coffee late in the day harms the night.") < found.index("Sleep sleep is what you need.")
    assert [number for _, number in quotes(text)] == sorted(number for _, number in quotes(text))


async def test_quotes_are_spread_over_sources() -> None:
    much = " ".join(f"Sleep advice number {word} is to rest well." for word in ("one", "two", "three", "four", "five"))
    text = await write("sleep advice rest", much, "Rest when the body asks.", "Advice differs between all people.")
    numbers = [number for _, number in quotes(text)]
    assert set(numbers) == {1, 2, 3}
    assert numbers.count(1) == 2


async def test_duplicates_are_quoted_once() -> None:
    text = await write(
        "slow breathing",
        "Slow breathing helps you a lot. Breathing slow helps you a lot!",
        "slow breathing helps you a LOT.",
    )
    assert len(quotes(text)) == 1
    assert text.startswith("Quotes from one similar conversation")


async def test_long_sentences_are_a_last_resort() -> None:
    long = "sleep " * 100 + "well."
    assert "sleep sleep" not in await write("sleep", long, "Go to bed early tonight.")
    assert quotes(await write("sleep", long, "word " * 5000)) == [(long, 1)]


async def test_short_sentences_are_quoted_when_there_is_nothing_better() -> None:
    assert quotes(await write("sleep", "Hello there!", "Just rest.")) == [("Hello there!", 1), ("Just rest.", 2)]


async def test_sources_without_a_quotable_sentence_are_referred_to() -> None:
    embedder = WordEmbedder()
    text = await write("sleep", "x" * 1_000_000, embedder=embedder)
    assert text == "The similar conversations have no sentence to quote. Read them in the sources."
    assert embedder.texts == []


async def test_unsafe_advice_is_never_quoted() -> None:
    text = await write(
        "How do I help a patient with pills and sleep?",
        "Stop taking your pills and sleep will come. Make her scared to sleep late. Sleep comes with fixed hours.",
        "You said you are alone when you cannot sleep. Ask your doctor before you stop your pills for sleep.",
    )
    assert quotes(text) == [
        ("Sleep comes with fixed hours.", 1),
        ("Ask your doctor before you stop your pills for sleep.", 2),
    ]


SUICIDE = Risk(level=RiskLevel.ACUTE, categories=[RiskCategory.SUICIDE])


async def test_at_risk_only_sentences_about_safety_from_rows_about_that_risk_are_quoted() -> None:
    about = [
        Source(id=1, question="I want to kill my boss", answer="Call the police tonight in an emergency.", score=0.5),
        Source(
            id=2,
            question="I feel suicidal and want to kill myself",
            answer="Try doing something physical tonight. Go to the emergency room of a hospital tonight. "
            "Call 1-800-273-8255, "
            "the lifeline. Let him be alone in a crisis. It is fine, safety first.",
            score=0.5,
        ),
    ]
    answerer = ExtractiveAnswerer(WordEmbedder(), screening())
    text = "".join(await answerer.answer("kill myself tonight", about, SUICIDE))
    assert quotes(text) == [("Go to the emergency room of a hospital tonight.", 2)]
    assert text.startswith("Read the notice of risk first.")
    (alone,) = await answerer.answer("kill myself tonight", about[:1], SUICIDE)
    assert "No sentence is quoted" in alone


async def test_huge_answers_cost_no_more_than_long_ones() -> None:
    embedder = WordEmbedder()
    huge = " ".join(f"This is the sentence number {n} of a very long answer." for n in range(18_000))
    assert len(huge) > 900_000
    text = await write("What about it?", *[huge] * 20, embedder=embedder)
    assert len(embedder.texts) == extractive.MAX_EMBEDDED + 1
    assert 1 <= len(quotes(text)) <= extractive.MAX_QUOTES


async def test_sentences_that_share_words_with_the_question_are_compared_first() -> None:
    filler = " ".join(f"Nothing here is about number {n} at all." for n in range(60))
    text = await write("insomnia", f"{filler} Insomnia yields to patience and time.")
    assert ("Insomnia yields to patience and time.", 1) in quotes(text)


async def test_no_quote_contains_citations_or_markup() -> None:
    text = await write(
        "How does sleep come?",
        "Sleep comes with fixed hours, as studies show [2]. Sleep ![comes](https://evil.example/a) with a story. "
        "Sleep comes <b>sooner</b> without a screen at night. Sleep comes to who rises \u202eearly each day.",
    )
    assert quotes(text) == [("Sleep comes to who rises early each day.", 1)]


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("Hello, and thank you for your question!", False),
        ("Thank you so much for reaching out.", False),
        ("I'm so sorry to hear that you are going through this.", False),
        ("I hope this helps.", False),
        ("Best of luck to you and your family.", False),
        ("Take good care of yourself!", False),
        ("Take care of the sleep first.", True),
        ("Best practice is to ask about sleep first.", True),
        ("Liebe Grüße von der anderen Seite", False),
        ("Muchas", False),
        ("Here are some things that you can try:", False),
        ('Call a friend and tell her: "Today I miss her more than usual.', False),
        ('Tell a friend "today I miss her" and see what she says.', True),
        ("He said “leave it” and then “no, do not leave it.", False),
        ("https://example.com/a/very/long/link is it", False),
        ("2.", False),
        ("休息。", False),
        ("Thank the patient for each step, and write down together what went well in the week.", True),
        ("Sleep at fixed hours.", True),
        ("我建议每天散步三十分钟。", True),
        ("Hi-fidelity tracking of sleep, done each day in a diary, shows patterns that a patient does not see.", True),
    ],
)
def test_greetings_links_and_headings_are_not_substantive(sentence: str, expected: bool) -> None:
    assert is_substantive(sentence) is expected


answers = st.lists(st.text(min_size=1, max_size=300).filter(str.strip), min_size=1, max_size=4)


@profile(max_examples=100, deadline=None)
@given(st.text(min_size=1, max_size=50), answers)
async def test_every_quote_is_verbatim(question: str, texts: list[str]) -> None:
    written = await write(question, *texts)
    body = written.split("\n\n", 1)[1] if written.startswith("Quotes") else ""
    # Remove known quotes instead of parsing, since a quote can contain any punctuation.
    candidates = {
        f"“{text[start:end]}” [{number}]"
        for number, text in enumerate(map(strip_invisible, texts), start=1)
        for start, end in sentence_spans(text)
    }
    rest = body
    for candidate in sorted(candidates, key=len, reverse=True):
        rest = rest.replace(candidate, "")
    assert rest.strip() == ""
