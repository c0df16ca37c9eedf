"""Context packing: within the token budget, most relevant text first, in whole sentences."""

import random
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import settings as profile
from hypothesis import strategies as st
from mh_common.models import Source
from mh_common.sentences import sentence_spans
from rag_api.answers.context import Excerpt, pack_context
from rag_api.answers.prompts import MESSAGE_TOKENS, Prompts, make_environment
from rag_api.answers.tokens import (
    EstimatingTokenCounter,
    TokenCounter,
    WordPieceTokenCounter,
    count_tokens,
    make_token_counter,
    utf8_size,
)

ESTIMATE = EstimatingTokenCounter()
WORD_PIECE = make_token_counter(None)
COUNTERS = [ESTIMATE, WORD_PIECE]
BUDGET = 1400
# Nonces with the maximum number of tokens; shorter ones would leave slack that hides miscounting.
PROMPTS = {
    counter: Prompts(make_environment(), counter, BUDGET, make_nonce=lambda: "".join(random.choices(",.;:", k=16)))
    for counter in COUNTERS
}

both = pytest.mark.parametrize("counter", COUNTERS, ids=["estimate", "word_piece"])


def source(question: str, answer: str) -> Source:
    return Source(id=1, question=question, answer=answer, score=0.5, relevance=0.5)


def shown(excerpts: list[Excerpt]) -> list[tuple[int, str, str, bool]]:
    return [(one.number, one.question, one.answer, one.is_cut) for one in excerpts]


@both
def test_sources_that_fit_are_included_whole(counter: TokenCounter) -> None:
    assert shown(pack_context([source("Why?", "So."), source("How?", "Thus.")], 100, counter)) == [
        (1, "Why?", "So.", False),
        (2, "How?", "Thus.", False),
    ]


@both
def test_the_least_relevant_sentences_are_left_out_first(counter: TokenCounter) -> None:
    answer = "The first step is to breathe slowly. " * 3
    sources = [source("First?", answer.strip()), source("Second?", answer.strip()), source("Third?", "Short.")]
    whole = sum(count_tokens(counter, one.question) + count_tokens(counter, one.answer) + 4 for one in sources[:2])
    excerpts = pack_context(sources, whole - 5, counter)
    assert shown(excerpts) == [
        (1, "First?", answer.strip(), False),
        # The third would fit, but is less relevant than what is left out here.
        (2, "Second?", "The first step is to breathe slowly. The first step is to breathe slowly.", True),
    ]


def test_a_huge_question_leaves_room_for_its_answer() -> None:
    (excerpt,) = pack_context([source("Why is it so? " * 70_000, "Because of it. " * 60_000)], 1000, WORD_PIECE)
    assert 350 <= count_tokens(WORD_PIECE, excerpt.question) <= 500
    assert 900 <= count_tokens(WORD_PIECE, excerpt.question) + count_tokens(WORD_PIECE, excerpt.answer) <= 1000
    assert excerpt.answer.endswith("it.")


@both
def test_a_source_that_cannot_fit_is_skipped(counter: TokenCounter) -> None:
    endless = "word " * 5000
    assert shown(pack_context([source("Q1", endless), source("Q2", "Short.")], 300, counter)) == [
        (2, "Q2", "Short.", False)
    ]
    # A question that is too long does not displace its answer.
    assert shown(pack_context([source(endless, "Short.")], 300, counter)) == [(1, "", "Short.", True)]
    # Nor does one that leaves too little room.
    tight = source("word " * 80, "word " * 150 + "ends.")
    assert [one.question for one in pack_context([tight], 200, WORD_PIECE)] == [""]


@both
def test_nothing_fits_an_empty_budget(counter: TokenCounter) -> None:
    assert pack_context([source("Q", "A")], 0, counter) == []
    assert pack_context([source("Q", "A")], -50, counter) == []


sentences = st.sampled_from(
    (
        *(
            "Breathe slowly.",
            "Go on!",
            "睡前写下你的担忧。",
            "Why not? ",
            "¿Cómo está?",
            "🌙🌙 is a moon.",
            "a-b-c_d!!! ",
        ),
        "\n\n",
        "An endless clause, and so on, and so on, and so on, and so on, and so on, and so on, and so on, forever. ",
        "https://example.org/a/b?c=d&e=f ",
    )
)
texts = st.one_of(st.lists(sentences, min_size=1, max_size=60).map(" ".join), st.text(max_size=200))
sources_given = st.lists(st.builds(source, texts, texts), min_size=1, max_size=6)


def whole_sentences(kept: str, text: str) -> bool:
    return kept in ("", text) or len(kept) in {end for _, end in sentence_spans(text)}


@profile(max_examples=150, deadline=None)
@given(st.sampled_from(COUNTERS), st.text(max_size=300), sources_given, st.booleans(), st.text(max_size=100))
def test_prompts_stay_within_the_budget(
    counter: TokenCounter, question: str, given_sources: list[Source], more: bool, instructions: str
) -> None:
    prompts = PROMPTS[counter]
    assume(prompts.source_budget(question, question if more else "", instructions) >= 256)
    prompt = prompts.answer(question, given_sources, question if more else None, instructions)
    assert count_tokens(counter, prompt.system) + count_tokens(counter, prompt.user) + MESSAGE_TOKENS <= BUDGET


@profile(max_examples=150, deadline=None)
@given(st.sampled_from(COUNTERS), sources_given, st.integers(0, 400), st.integers(0, 30))
def test_whole_sentences_of_the_most_relevant_sources(
    counter: TokenCounter, given_sources: list[Source], budget: int, each: int
) -> None:
    excerpts = pack_context(given_sources, budget, counter, each)
    used = sum(count_tokens(counter, one.question) + count_tokens(counter, one.answer) + each for one in excerpts)
    assert used <= max(budget, 0)
    kept = {one.number: one for one in excerpts}
    for number, one in enumerate(given_sources, start=1):
        if number not in kept:
            # Skipped before a less relevant source only if it does not fit even alone.
            assert number > max(kept, default=0) or pack_context([one], budget, counter, each) == []
            continue
        excerpt = kept[number]
        assert one.question.startswith(excerpt.question)
        assert one.answer.startswith(excerpt.answer)
        assert whole_sentences(excerpt.question, one.question)
        assert whole_sentences(excerpt.answer, one.answer)
        assert excerpt.is_cut == ((excerpt.question, excerpt.answer) != (one.question, one.answer))
        assert not excerpt.is_cut or number == max(kept)


@given(st.text(max_size=300))
def test_token_counts_lie_between_zero_and_the_bytes(text: str) -> None:
    for counter in COUNTERS:
        assert count_tokens(counter, text) <= utf8_size(text)
        if text.strip():
            assert count_tokens(counter, text) > 0


@pytest.mark.parametrize(
    ("text", "least"),
    [
        ("My patient has panic attacks on the bus and walks everywhere now.", 13),
        ("睡前写下你的担忧很有帮助。", 13),
        ("!!!???...---___", 15),
        ("\n" * 30 + "x", 30),
        ("a" + " " * 30, 29),
        ("🌙🌙🌙", 6),
        ("QmFzZTY0IGVuY29kZWQgc3RyaW5nIGhlcmUg" * 8, 96),
    ],
)
def test_texts_with_many_tokens_are_not_undercounted(text: str, least: int) -> None:
    assert count_tokens(WORD_PIECE, text) >= least


def test_the_tokenizer_is_used_if_available(tmp_path: Path) -> None:
    assert isinstance(make_token_counter(None), WordPieceTokenCounter)
    assert isinstance(make_token_counter(tmp_path), EstimatingTokenCounter)
