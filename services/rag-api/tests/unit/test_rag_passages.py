"""Passages: what is quoted without a language model, and what one may rest on."""

import math
import re
from collections.abc import Sequence
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st
from mh_common.embeddings import Embedder, TextUse, TextWithheldError
from mh_common.models import NOT_SCREENED, Risk, RiskCategory, RiskLevel, Source
from mh_common.risk import LexiconScreener
from mh_common.sentences import sentence_spans
from mh_devtools.stubs.openai_stub import embedding
from rag_api.answers.quoting import quoted
from rag_api.passages import finder
from rag_api.passages.choosing import MAX_QUOTES, PassageKind, RatedStretch, choose
from rag_api.passages.finder import PassageFinder, Passages
from rag_api.passages.ranking import Limits, weights_of
from rag_api.passages.shortlist import MAX_EMBEDDED, MAX_EMBEDDED_FOR_QUOTES, shortlist
from rag_api.passages.stretches import (
    MAX_LENGTH,
    MAX_SENTENCES,
    Stretch,
    can_be_quoted,
    can_begin,
    is_substantive,
    stretches,
)
from rag_api.safety.helplines import helpline_table
from rag_api.safety.notice import Notices
from rag_api.safety.screening import ScreeningService
from rag_api.texts.markup import strip_invisible

KNOWN_MODEL = "all-MiniLM-L6-v2"
"""One with weights."""


class WordEmbedder:
    """An embedder for which texts that share words are similar; records the texts it is given."""

    dimension = 384

    def __init__(self, model: str = "words") -> None:
        self.model = model
        self.texts: list[str] = []

    async def embed(self, texts: Sequence[str], use: TextUse = TextUse.PASSAGE) -> list[list[float]]:
        if use is TextUse.PASSAGE:
            self.texts += texts
        return [embedding(text, self.dimension, bag_of_words=True) for text in texts]

    async def close(self) -> None: ...


def screening() -> ScreeningService:
    return ScreeningService(LexiconScreener(), LexiconScreener(), Notices(helpline_table(), (), date.today))


RELEVANT = 0.977
"""Of a source that is as relevant as many."""


def sources(*answers: str) -> list[Source]:
    return [
        Source(id=n, question="q", answer=answer, score=0.5, relevance=RELEVANT)
        for n, answer in enumerate(answers, start=10)
    ]


class WithheldEmbedder(WordEmbedder):
    """An embedder that must not get any text."""

    async def embed(self, texts: Sequence[str], use: TextUse = TextUse.PASSAGE) -> list[list[float]]:
        raise TextWithheldError("names somebody")


async def find(
    question: str,
    *answers: str | Source,
    embedder: Embedder | None = None,
    risk: Risk = NOT_SCREENED,
    excerpts: bool = True,
) -> Passages:
    found = [one if isinstance(one, Source) else sources(one)[0] for one in answers]
    finder = PassageFinder(embedder or WordEmbedder(), screening())
    return await finder.find(question, found, risk, excerpts=excerpts)


def quotes(found: Passages) -> list[tuple[str, int]]:
    return [(one.text, one.source) for one in found.quotes]


async def test_the_most_relevant_passages_are_quoted_with_their_source() -> None:
    found = await find(
        "How can panic on the bus be calmed?",
        "Hello and welcome! Panic on the bus can be calmed by slow breathing. I wish you well.",
        "Plan the bus ride with a friend who stays calm when panic comes.",
    )
    assert set(quotes(found)) == {
        ("Panic on the bus can be calmed by slow breathing.", 1),
        ("Plan the bus ride with a friend who stays calm when panic comes.", 2),
    }


async def test_answers_that_say_the_same_are_quoted_once() -> None:
    found = await find(
        "slow breathing", "Slow breathing helps a lot at night.", "At night, slow breathing helps a lot!"
    )
    assert len(found.quotes) == 1


async def test_unsafe_advice_is_in_no_quote_and_in_no_excerpt() -> None:
    found = await find(
        "How do I help a patient with pills and sleep?",
        "Stop taking your pills and sleep will come. Make her scared to sleep late. Sleep comes with fixed hours.",
        "You said you are alone when you cannot sleep. Ask your doctor before you stop your pills for sleep.",
    )
    assert found.excerpts == {
        1: "Sleep comes with fixed hours.",
        2: "Ask your doctor before you stop your pills for sleep.",
    }
    assert {text for text, _ in quotes(found)} <= set(found.excerpts.values())


async def test_excerpts_show_where_something_is_left_out() -> None:
    found = await find(
        "How do I help with sleep?",
        "Sleep comes with fixed hours. Stop taking your pills and sleep will come. Rest without sleep helps too.",
    )
    assert found.excerpts == {1: "Sleep comes with fixed hours. […] Rest without sleep helps too."}


async def test_a_text_without_sentences_is_no_quote_but_an_excerpt() -> None:
    long = "sleep " * 100 + "well"
    found = await find("sleep", long)
    assert (found.quotes, found.excerpts) == ((), {1: long})


SUICIDE = Risk(level=RiskLevel.ACUTE, categories=[RiskCategory.SUICIDE])


async def test_at_risk_only_sentences_about_safety_from_rows_about_that_risk_are_quoted() -> None:
    about = [
        Source(
            id=1,
            question="I want to kill my boss",
            answer="Call the police tonight in an emergency.",
            score=0.5,
            relevance=RELEVANT,
        ),
        Source(
            id=2,
            question="I feel suicidal and want to kill myself",
            answer="Try doing something physical tonight. Go to the emergency room of a hospital tonight. "
            "Call 1-800-273-8255, the lifeline. Let him be alone in a crisis. It is fine, safety first.",
            score=0.5,
            relevance=RELEVANT,
        ),
    ]
    found = await find("kill myself tonight", *about, risk=SUICIDE)
    assert quotes(found) == [("Go to the emergency room of a hospital tonight.", 2)]
    assert "Let him be alone" not in found.excerpts[2]
    assert quoted(found.quotes, "kill myself tonight", at_risk=True)[0].startswith("Read the notice of risk first.")
    nothing = await find("kill myself tonight", about[0], risk=SUICIDE)
    assert "No sentence is quoted" in quoted(nothing.quotes, "kill myself tonight", at_risk=True)[0]


LONG_ANSWERS = [
    " ".join(f"Panic on the {place} {number} passes with slow breathing and with time." for number in range(30))
    for place in ("bus", "tram", "train")
]


async def test_for_quotes_alone_fewer_sentences_are_embedded_and_the_same_are_chosen() -> None:
    asked = "How can panic on the tram be calmed by slow breathing?"
    all_of_it, for_quotes = WordEmbedder(KNOWN_MODEL), WordEmbedder(KNOWN_MODEL)
    found = await find(asked, *LONG_ANSWERS, embedder=all_of_it)
    alone = await find(asked, *LONG_ANSWERS, embedder=for_quotes, excerpts=False)
    assert found.quotes
    assert (alone.quotes, alone.excerpts) == (found.quotes, {})
    assert (len(all_of_it.texts), len(for_quotes.texts)) == (MAX_EMBEDDED, MAX_EMBEDDED_FOR_QUOTES)


async def test_with_a_model_that_is_not_known_all_are_compared_for_quotes_too() -> None:
    embedder = WordEmbedder()
    await find("panic on the tram", *LONG_ANSWERS, embedder=embedder, excerpts=False)
    assert len(embedder.texts) == MAX_EMBEDDED


async def test_at_risk_only_what_may_be_quoted_is_embedded_unless_a_language_model_needs_more() -> None:
    about = Source(
        id=1,
        question="I want to kill myself",
        answer=f"Go to the emergency room of a hospital tonight. {LONG_ANSWERS[0]}",
        score=0.5,
        relevance=RELEVANT,
    )
    embedder = WordEmbedder(KNOWN_MODEL)
    found = await find("kill myself tonight", about, embedder=embedder, risk=SUICIDE, excerpts=False)
    assert quotes(found) == [("Go to the emergency room of a hospital tonight.", 1)]
    assert embedder.texts == ["Go to the emergency room of a hospital tonight."]
    assert found.excerpts == {}
    assert (await find("kill myself tonight", about, embedder=embedder, risk=SUICIDE)).excerpts


async def test_texts_that_must_not_be_sent_are_compared_by_words_whatever_the_model_is_called() -> None:
    for model in ("words", KNOWN_MODEL):
        found = await find(
            "slow breathing against panic", *LONG_ANSWERS, embedder=WithheldEmbedder(model), excerpts=False
        )
        assert found.quotes
        assert {one.kind for one in found.quotes} == {None}


async def test_huge_answers_cost_no_more_than_long_ones() -> None:
    embedder = WordEmbedder()
    huge = " ".join(f"People often ask about sentence number {n} of a very long answer." for n in range(18_000))
    assert len(huge) > 900_000
    found = await find("What about sentence number 7?", *[huge] * 5, embedder=embedder)
    assert len(embedder.texts) == MAX_EMBEDDED
    assert 1 <= len(found.quotes) <= MAX_QUOTES


async def test_sentences_that_share_words_with_the_question_are_compared_first() -> None:
    filler = " ".join(f"Nothing here is about number {n} at all." for n in range(60))
    embedder = WordEmbedder()
    await find("insomnia", f"{filler} Insomnia yields to patience and time.", embedder=embedder)
    assert "Insomnia yields to patience and time." in embedder.texts


def test_better_sources_have_more_sentences_compared() -> None:
    answers = [" ".join(f"Sentence {n} of answer {source} is of some length." for n in range(60)) for source in (1, 2)]
    found = [one for source, answer in enumerate(answers, 1) for one in stretches(source, answer)]
    listed = shortlist("insomnia", found, {1: 0.9, 2: 0.3})
    sentences = {(one.source, number) for one in listed for number in one.numbers}
    assert [sum(source == number for source, _ in sentences) for number in (1, 2)] == [30, 10]


def test_what_stands_beside_a_sentence_that_shares_words_is_compared_with_it() -> None:
    filler = [f"Nothing here is about number {n} at all." for n in range(90)]
    filler[70] = "Rise at the same hour on each of the days."
    filler[71] = "Insomnia yields to patience and time."
    listed = shortlist("insomnia", list(stretches(1, " ".join(filler))), {1: 0.5})
    assert any(one.sentences == (filler[70], filler[71]) for one in listed)


async def test_no_passage_contains_citations_or_markup() -> None:
    found = await find(
        "How does sleep come?",
        "Sleep comes with fixed hours, as studies show [2]. Sleep ![comes](https://evil.example/a) with a story. "
        "Sleep comes <b>sooner</b> without a screen at night. Sleep comes to who rises \u202eearly each day.",
    )
    assert quotes(found) == [("Sleep comes to who rises early each day.", 1)]


def test_a_passage_begins_where_it_can_be_understood() -> None:
    answer = (
        "Panic passes within minutes. This is why waiting helps. If it comes back, wait again. "
        "Breathe out slowly.Then look around the room. What do you see? Name five things in the room."
    )
    texts = [one.text for one in stretches(1, answer)]
    assert texts[:3] == [
        "Panic passes within minutes.",
        "Panic passes within minutes. This is why waiting helps.",
        "Panic passes within minutes. This is why waiting helps. If it comes back, wait again.",
    ]
    assert "Breathe out slowly. Then look around the room." not in texts
    assert not [text for text in texts if text.startswith(("This", "If it", "Then")) or text.endswith("?")]
    assert "Name five things in the room." in texts


@pytest.mark.parametrize(
    "sentence",
    [
        "The following links provide more about behaviours that predict staying together.",
        "Please visit my website to learn how anxiety works in the body.",
        "Feel free to contact me about the next steps in your recovery.",
        "Good for you for reaching out about this difficult matter.",
        "As a rule I am a licensed therapist who works with couples.",
        "I commend your willingness to put effort into the relationship.",
    ],
)
def test_talk_about_the_exchange_is_never_quoted(sentence: str) -> None:
    assert not can_be_quoted(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "The links between sleep and mood are strong in most people.",
        "Reaching out to a friend is a good first step.",
        "Ask her to call a friend whenever the urge comes.",
        "Your question to him can be as plain as that.",
    ],
)
def test_advice_with_such_words_can_be_quoted(sentence: str) -> None:
    assert can_be_quoted(sentence)


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("This is why it works so well.", False),
        ("It sounds like a lot to carry alone.", False),
        ("If this does not work, go on.", False),
        ("For example, write a list of things.", False),
        ("Some of these ideas are old.", False),
        ("It is important to ask about sleep.", True),
        ("It can help to write things down.", True),
        ("If your partner drinks, wait until morning.", True),
        ("Some people decide not to tell.", True),
        ("professionals and the crisis line", False),
        ("Hi Jo, this is a common issue in couples who live far from each other.", False),
    ],
)
def test_what_refers_back_begins_no_passage(sentence: str, expected: bool) -> None:
    assert can_begin(sentence) is expected


def rated(source: int, usefulness: float, angle: float = 0.0, kind: PassageKind = PassageKind.ADVICE) -> RatedStretch:
    vector = np.array([np.cos(angle), np.sin(angle)], np.float32)
    return RatedStretch(Stretch(source, 0, (f"Sentence of {source} at {angle}.",), ("",)), vector, usefulness, kind)


def test_few_good_passages_are_chosen_and_none_that_is_much_worse() -> None:
    good = [rated(1, 0.9), rated(2, 0.8, 1.0), rated(3, 0.7, 2.0), rated(4, 0.3, 3.0)]
    assert [one.stretch.source for one in choose(good, Limits(0.2, 0.2, 0.3), lambda text: True)] == [1, 2, 3]
    assert [one.stretch.source for one in choose(good, Limits(0.75, 0.75, 0.3), lambda text: True)] == [1, 2]
    assert [one.stretch.source for one in choose(good, Limits(0.85, 0.95, 0.3), lambda text: True)] == [1]
    assert choose(good, Limits(0.95, 0.95, 0.3), lambda text: True) == []
    assert [one.stretch.source for one in choose(good, Limits(0.2, 0.2, 0.3), lambda text: " 1 " not in text)] == [2, 3]


def test_an_answer_is_quoted_once_and_an_idea_too() -> None:
    alike = [rated(1, 0.9), rated(1, 0.85, 2.0), rated(2, 0.8, 0.1), rated(3, 0.75, 1.5)]
    assert [one.stretch.source for one in choose(alike, Limits(0.2, 0.2, 0.3), lambda text: True)] == [1, 3]


def test_passages_are_shown_by_kind() -> None:
    advice = finder.Passage(2, PassageKind.ADVICE, "Breathe slowly.")
    explanation = finder.Passage(1, PassageKind.EXPLANATION, "Panic passes.")
    text = "".join(quoted([explanation, advice], "How do I help?", at_risk=False))
    assert text.startswith("Passages from 2 similar conversations")
    assert text.endswith(
        "What counselors advised:\n\n“Breathe slowly.” [2]\n\nHow they explained it:\n\n“Panic passes.” [1]"
    )


def test_a_passage_in_another_language_says_so() -> None:
    spanish = finder.Passage(
        1, PassageKind.ADVICE, "Lo mejor es que respire despacio y que no se quede solo con el miedo."
    )
    text = "".join(quoted([spanish], "How do I help him with the fear that he has at night?", at_risk=False))
    assert text.endswith("miedo.” [1] (in Spanish)")


def test_passages_keep_their_sources_when_some_sources_are_dropped() -> None:
    found = Passages((finder.Passage(3, PassageKind.ADVICE, "a"),), {1: "x", 2: "y", 3: "z"})
    assert found.renumbered([1, 3]) == Passages((finder.Passage(2, PassageKind.ADVICE, "a"),), {1: "x", 2: "z"})


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


@profile(max_examples=100, deadline=None)
@given(
    st.lists(
        st.sampled_from([*'ab. ?!\n:\u3002\u2019"(', "This ", "Sleep ", "you ", "1. ", "\u202e", "e.g. "]), max_size=60
    )
)
def test_every_stretch_is_whole_sentences_in_a_row(parts: list[str]) -> None:
    answer = "".join(parts)
    text = strip_invisible(answer)
    sentences = [text[start:end] for start, end in sentence_spans(text)]
    for one in stretches(3, answer):
        assert list(one.sentences) == sentences[one.first : one.numbers.stop]
        assert re.sub(r"\s", "", one.text) in re.sub(r"\s", "", text)
        assert 1 <= len(one.sentences) <= MAX_SENTENCES
        assert len(one.text) <= MAX_LENGTH
        assert can_begin(one.sentences[0])


def test_a_source_counts_more_the_more_relevant_it_is_and_as_when_the_weights_were_fitted() -> None:
    """They were fitted to the logistic function of 14.2 * evidence - 8.8."""
    for model in ("all-MiniLM-L6-v2", "unheard-of"):
        of = [weights_of(model).source(relevance) for relevance in (0.0, 0.3, 0.9, 0.99, 1.0)]
        assert of == sorted(of)
        assert all(0 < one < 1 for one in of)
    for evidence in (0.3, 0.5, 0.7, 1.0):
        relevance, fitted = (
            1 / (1 + math.exp(-(slope * evidence + offset))) for slope, offset in ((20.4, -8.9), (14.2, -8.8))
        )
        assert weights_of("all-MiniLM-L6-v2").source(relevance) == pytest.approx(fitted, abs=0.002)
