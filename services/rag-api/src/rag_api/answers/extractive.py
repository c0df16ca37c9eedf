"""Answers without a language model: the sentences of the sources that come nearest to the question, as quotes."""

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from mh_common.embeddings import Embedder
from mh_common.models import Source

from rag_api.answers.citations import cite_only
from rag_api.answers.markup import addresses, defuse, without_unseen
from rag_api.answers.sentences import sentence_spans

MODEL: Final = "extractive"

MAX_QUOTES: Final = 5
MAX_QUOTE_LENGTH: Final = 400
"""Characters; a longer sentence is quoted only where there is nothing else."""
MAX_EMBEDDED: Final = 40
"""Sentences compared with the question by meaning: about 0.2 s of the local model on two processors."""
MAX_SCANNED: Final = 20_000
"""Characters of each answer that are looked at."""
NEAR_DUPLICATE: Final = 0.9
"""Cosine from which two sentences say the same."""

_INTRO = (
    "Quotes from {conversations}, chosen by likeness to your question. "
    "They were written for other people and are not advice for this patient; "
    "where there may be a risk, follow your crisis protocol first."
)
_NOTHING_TO_QUOTE = "The similar conversations hold no sentence short enough to quote; read them in the sources."

_URL = re.compile(r"(?:https?://|www\.)\S+")
_WORD = re.compile(r"\w+")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
_COURTESY = re.compile(
    r"\W*(?:hi|hello|hey|dear|greetings|welcome|good (?:morning|day|afternoon|evening|luck|question)|thanks?|thank you|"
    r"(?:best|kind(?:est)?|warm(?:est)?) (?:regards|wishes)|best of luck|regards|sincerely|warmly|respectfully|"
    r"take (?:good )?care(?: of yourself)?\W*\Z|all the best|wishing you|i wish you|"
    r"i(?: really| truly)? hope (?:this|that|it|you)|hope (?:this|that)|"
    r"(?:i am|i['\u2019]?m) (?:so |very |really )*(?:sorry|glad|happy)|sorry (?:to hear|that)|"
    r"hola|gracias|saludos|buen[oa]s (?:d[ií]as|tardes|noches)|bonjour|merci|hallo|danke|liebe gr\w+|ciao|grazie|"
    r"ol[aá]|obrigad[oa])(?:\b|\Z)",
    re.IGNORECASE,
)
_COURTESY_WORDS: Final = 12
_LEAST_WORDS: Final = 4
_LEAST_UNSPACED: Final = 8


@dataclass(frozen=True)
class Candidate:
    """A sentence: the number of its source from 1, its place in that source's answer, its text."""

    source: int
    position: int
    text: str


class Extractive:
    """Writes answers of quotes. `embedder` should be the one of the search, whose cache knows the question."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    async def write(self, question: str, sources: Sequence[Source]) -> list[str]:
        """Return an introduction and up to MAX_QUOTES sentences, each whole, with its source's number.

        Put together, these parts are the answer. The sentences are verbatim but for characters that nobody sees.

        Raises:
            EmbedderError: the sentences cannot be compared with the question.
        """
        candidates = _shortlist(question, _candidates(sources))
        if not candidates:
            return [_NOTHING_TO_QUOTE]
        vectors = await self._embedder.embed([question, *(candidate.text for candidate in candidates)])
        return _render(_choose(candidates, vectors[0], vectors[1:]))


def _candidates(sources: Sequence[Source]) -> list[Candidate]:
    """The sentences worth quoting; where there are none the short ones, and where there are none the long ones."""
    texts = [without_unseen(source.answer[: 2 * MAX_SCANNED]) for source in sources]
    found = [
        Candidate(number, start, text[start:end])
        for number, text in enumerate(texts, start=1)
        for start, end in sentence_spans(text, MAX_SCANNED)
        if _is_plain(text[start:end])
    ]
    short = [candidate for candidate in found if len(candidate.text) <= MAX_QUOTE_LENGTH]
    long = sorted(found, key=lambda candidate: len(candidate.text))[:1]
    return [candidate for candidate in short if says_something(candidate.text)] or short or long


def says_something(sentence: str) -> bool:
    """Whether a sentence stands for itself: not a greeting, a courtesy, a link, a heading, half a quotation."""
    sentence = _URL.sub("", sentence).strip()
    if sentence.endswith((":", "\N{FULLWIDTH COLON}")) or _is_torn(sentence):
        return False
    words = len(_WORD.findall(sentence))
    if words <= _COURTESY_WORDS and _COURTESY.match(sentence):
        return False
    return words >= _LEAST_WORDS or len(_UNSPACED.findall(sentence)) >= _LEAST_UNSPACED


def _is_plain(sentence: str) -> bool:
    """Whether nothing in it would pass for a citation of ours, or for markup where the answer is shown."""
    return cite_only(defuse(sentence, addresses([sentence])), ()) == sentence


def _is_torn(sentence: str) -> bool:
    """Whether quotation marks open without closing, or the other way: half of what somebody says is misleading."""
    return sentence.count('"') % 2 == 1 or sentence.count("“") != sentence.count("”")


def _shortlist(question: str, candidates: Iterable[Candidate]) -> list[Candidate]:
    """At most MAX_EMBEDDED, none twice: by turns from each source, first those that share words with the question."""
    asked = _long_words(question)
    distinct: dict[str, Candidate] = {}
    for candidate in candidates:
        distinct.setdefault(" ".join(_WORD.findall(candidate.text.casefold())), candidate)
    ranked = sorted(distinct.values(), key=lambda one: (-len(asked & _long_words(one.text)), one.position))
    groups = [[one for one in ranked if one.source == source] for source in sorted({one.source for one in ranked})]
    turns = itertools.chain.from_iterable(itertools.zip_longest(*groups))
    return list(itertools.islice((one for one in turns if one is not None), MAX_EMBEDDED))


def _long_words(text: str) -> set[str]:
    """Words of four letters and more; the shorter ones hardly tell sentences apart."""
    return {word for word in _WORD.findall(text.casefold()) if len(word) >= 4}


def _choose(
    candidates: Sequence[Candidate], question: Sequence[float], vectors: Sequence[Sequence[float]]
) -> list[Candidate]:
    """The nearest to the question, no two alike, and from one source no more than its share of two at least."""
    share = max(2, -(-MAX_QUOTES // len({candidate.source for candidate in candidates})))
    ranked = sorted(zip(candidates, vectors, strict=True), key=lambda pair: -_dot(pair[1], question))
    chosen: list[tuple[Candidate, Sequence[float]]] = []
    for candidate, vector in ranked:
        of_source = sum(candidate.source == other.source for other, _ in chosen)
        alike = any(_dot(vector, other) >= NEAR_DUPLICATE for _, other in chosen)
        if of_source < share and not alike:
            chosen.append((candidate, vector))
        if len(chosen) == MAX_QUOTES:
            break
    return sorted((candidate for candidate, _ in chosen), key=lambda one: (one.source, one.position))


def _dot(left: Sequence[float], right: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))


def _render(quotes: Sequence[Candidate]) -> list[str]:
    groups = [list(group) for _, group in itertools.groupby(quotes, key=lambda quote: quote.source)]
    conversations = "one similar conversation" if len(groups) == 1 else f"{len(groups)} similar conversations"
    parts = [_INTRO.format(conversations=conversations)]
    for group in groups:
        between = "\n\n"
        for quote in group:
            parts.append(f"{between}“{quote.text}” [{quote.source}]")
            between = "\n"
    return parts
