"""Whether what an answer cites supports its sentences."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mh_common.embeddings import EmbedderError, TextUse, TextWithheldError
from mh_common.models import CheckedSentence, Doubt, SentenceSupport
from mh_devtools.stubs.openai_stub import embedding
from rag_api.answers.claim_words import claimed_numbers, denies_otherwise, is_negated, names_of, numbers_of
from rag_api.answers.similarity_judge import MAX_EMBEDDED, SimilarityJudge
from rag_api.answers.support import Claim, SupportCheck, SupportJudge, Verdict

SLEEP = "I cannot sleep.\n\nRise at the same hour every day. Leave the bed after twenty minutes awake. Do not nap."
WORRY = "I worry.\n\nWrite all worries down before bed. Talk to Ana about them."
CITED = {1: SLEEP, 2: WORRY}


class WordEmbedder:
    """An embedder for which texts that share words are similar; some texts it withholds, and it may fail."""

    model = "words"
    dimension = 256

    def __init__(self, withheld: str | None = None, *, fails: bool = False) -> None:
        self.texts: list[str] = []
        self._withheld = withheld
        self._fails = fails

    async def embed(self, texts: Sequence[str], use: TextUse = TextUse.PASSAGE) -> list[list[float]]:
        if self._fails:
            raise EmbedderError("down", transient=True)
        if self._withheld and any(self._withheld in text for text in texts):
            raise TextWithheldError("holds a name")
        self.texts += texts
        return [embedding(text, self.dimension, bag_of_words=True) for text in texts]

    async def close(self) -> None: ...


class FixedJudge:
    """A judge whose verdicts are given, such as a language model could be."""

    def __init__(self, *verdicts: Verdict | None) -> None:
        self.verdicts = list(verdicts)
        self.claims: list[Claim] = []

    async def judge(self, claims: Sequence[Claim]) -> list[Verdict | None]:
        self.claims += claims
        return self.verdicts


async def check(text: str, known: str = "", embedder: WordEmbedder | None = None) -> list[CheckedSentence]:
    return await SupportCheck(SimilarityJudge(embedder or WordEmbedder())).check(text, CITED, known)


async def doubts(text: str, known: str = "") -> list[Doubt | None]:
    return [one.doubt for one in await check(text, known)]


async def test_each_sentence_is_held_against_what_it_cites() -> None:
    text = (
        "Hello there! Rise at the same hour on every day [1]. Write all the worries down before bed [2]. "
        "Buy a very expensive mattress of wool [1]. Follow your crisis protocol first."
    )
    first, second, third, fourth = await check(text)
    assert (first.support, first.cites, first.supported_by, first.doubt) == ("supported", [1], [1], None)
    assert (second.support, second.cites) == ("supported", [2])
    assert (third.support, third.supported_by, third.doubt) == ("unsupported", [], "unlike")
    assert (fourth.support, fourth.cites, fourth.text) == ("uncited", [], "Follow your crisis protocol first.")


async def test_a_sentence_is_not_supported_by_a_source_that_it_does_not_cite() -> None:
    (one,) = await check("Write all the worries down before bed [1].")
    assert (one.support, one.doubt) == ("unsupported", "unlike")
    (both,) = await check("Write all the worries down before bed [1][2].")
    assert (both.support, both.cites, both.supported_by) == ("supported", [1, 2], [2])


async def test_a_citation_after_the_full_stop_belongs_to_its_sentence() -> None:
    one, _ = await check("Rise at the same hour every day. [1] Then go on as before with all of it.")
    assert (one.text, one.support) == ("Rise at the same hour every day [1].", "supported")


async def test_words_tell_what_similarity_does_not() -> None:
    assert await doubts("Leave the bed after twenty minutes awake [1].") == [None]
    assert await doubts("Leave the bed after 20 minutes awake [1].") == [None]
    assert await doubts("Leave the bed after forty minutes awake [1].") == [Doubt.NUMBER]
    assert await doubts("Do not leave the bed after twenty minutes awake [1].") == [Doubt.NEGATION]
    assert await doubts("You should talk to Ana about them [2].") == [None]
    assert await doubts("You should talk to Boris about them [2].") == [Doubt.NAME]


async def test_numbers_and_names_of_the_question_are_no_inventions() -> None:
    text = "Let Boris leave the bed after forty minutes awake [1]."
    assert await doubts(text, known="Boris lies awake for 40 minutes. What now?") == [None]


async def test_a_sentence_in_another_language_than_its_source_is_not_checked() -> None:
    (one,) = await check("Stehen Sie jeden Tag zur gleichen Zeit auf und bleiben Sie nicht im Bett [1].")
    assert (one.support, one.doubt) == (SentenceSupport.NOT_CHECKED, None)


async def test_verbatim_sentences_need_no_vectors() -> None:
    embedder = WordEmbedder()
    checked = await check("“Rise at the same hour every day.” [1]", embedder=embedder)
    assert [(one.support, one.supported_by) for one in checked] == [("supported", [1])]
    assert embedder.texts == []


async def test_a_failing_embedder_never_makes_a_sentence_supported() -> None:
    checked = await check(
        "Rise at the same hour on every day [1]. Be kind to everybody.", embedder=WordEmbedder(fails=True)
    )
    assert [one.support for one in checked] == ["not_checked", "uncited"]


async def test_only_sentences_whose_texts_are_withheld_are_not_checked() -> None:
    text = "Rise at the same hour on every day [1]. Write all the worries down before bed [2]."
    checked = await check(text, embedder=WordEmbedder(withheld="Ana"))
    assert [one.support for one in checked] == ["supported", "not_checked"]


async def test_a_judge_that_takes_too_long_or_breaks_its_promise_is_no_verdict() -> None:
    class Endless:
        async def judge(self, claims: Sequence[Claim]) -> list[Verdict | None]:
            await asyncio.Event().wait()
            return []

    class Broken:
        async def judge(self, claims: Sequence[Claim]) -> list[Verdict | None]:
            raise ZeroDivisionError

    judges: list[SupportJudge] = [Endless(), Broken(), FixedJudge()]
    for judge in judges:
        (one,) = await SupportCheck(judge, limit=0.01).check("Rise early each day [1].", CITED)
        assert one.support is SentenceSupport.NOT_CHECKED


async def test_another_judge_can_take_the_place_of_similarity() -> None:
    judge = FixedJudge(Verdict(None, (False, True)), Verdict(Doubt.UNLIKE, (False,)))
    text = "Rise early each day [1][2]. Be kind to everybody. Sing a song each night [2]."
    first, second, third = await SupportCheck(judge).check(text, CITED, "the question")
    assert (first.support, first.supported_by) == ("supported", [2])
    assert second.support is SentenceSupport.UNCITED
    assert third.doubt is Doubt.UNLIKE
    assert judge.claims == [
        Claim("Rise early each day.", (SLEEP, WORRY), "the question"),
        Claim("Sing a song each night.", (WORRY,), "the question"),
    ]


async def test_the_sentences_of_long_sources_that_are_embedded_are_limited() -> None:
    long = " ".join(f"The {number}th idea is to walk in the park of town {number}." for number in range(100, 500))
    embedder = WordEmbedder()
    judge = SimilarityJudge(embedder)
    claim = Claim("One idea is to walk in the park of town 321.", (long, SLEEP))
    (verdict,) = await judge.judge([claim])
    assert verdict is not None
    assert verdict.alone == (True, False)
    assert len(embedder.texts) <= MAX_EMBEDDED + 1


@given(st.text(), st.dictionaries(st.integers(min_value=1, max_value=3), st.text(), max_size=3))
async def test_any_text_can_be_checked(text: str, cited: dict[int, str]) -> None:
    checked = await SupportCheck(SimilarityJudge(WordEmbedder())).check(text, cited)
    for one in checked:
        assert set(one.supported_by) <= set(one.cites) <= cited.keys()
        assert (one.doubt is not None) == (one.support is SentenceSupport.UNSUPPORTED)
        assert (one.support is SentenceSupport.UNCITED) == (one.cites == [])


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("Twenty minutes, or 20", {"20 minut", "20"}),
        ("1,000 people at 5:30", {"1000", "5:30"}),
        ("once, both and a half", set()),
        ("one of them", set()),
        ("zehn Tage", {"10"}),
    ],
)
def test_numbers_are_read_in_digits_and_words(text: str, numbers: set[str]) -> None:
    assert claimed_numbers(text) == numbers
    assert numbers <= numbers_of(text)


def test_a_number_with_a_unit_must_stand_with_it() -> None:
    source = numbers_of("Rest for twenty to thirty minutes, for two weeks")
    assert claimed_numbers("Rest for 20 minutes or 30 minutes") <= source
    assert not claimed_numbers("Rest for two minutes") <= source
    assert not claimed_numbers("Rest for twenty weeks") <= source


@pytest.mark.parametrize(
    ("text", "negated"),
    [
        ("Do not rise", True),
        ("She can't sleep", True),
        ("Not only the bed but the room", False),
        ("It is no longer so", False),
        ("Never without you", False),
        ("Ohne Schlaf", True),
        ("Rise early", False),
    ],
)
def test_negations_are_counted(text: str, negated: bool) -> None:
    assert is_negated(text) is negated


@pytest.mark.parametrize(
    ("sentence", "text", "denies"),
    [
        ("Worry does not pass.", "Worry passes, and nobody dies of it.", True),
        ("Worry passes.", "Worry passes, and nobody dies of it.", False),
        ("Rest is no weakness.", "Rest is treatment rather than weakness.", False),
        ("Rest is weakness.", "Rest is treatment rather than weakness.", True),
        ("Go to the park.", "Do not stay in bed.", False),
    ],
)
def test_a_denial_counts_where_the_words_are_the_same(sentence: str, text: str, denies: bool) -> None:
    assert denies_otherwise(sentence, text) is denies


def test_names_are_words_with_a_capital_within_a_sentence() -> None:
    assert names_of("Ask Ana's brother in Lisbon. Then rest.") == {"ana", "lisbon"}
    assert names_of("Die Frau ist mit ihrer Schwester in der Stadt") == set()
    assert names_of("I think that I am. Rise: Then go. “Rest” she said") == set()
