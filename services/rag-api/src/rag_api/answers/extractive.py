"""Extractive answers, without a language model: the sentences of the sources that are most similar to the question."""

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from mh_common.embeddings import Embedder
from mh_common.models import Source

from rag_api.answers.citations import normalize_citations
from rag_api.answers.markup import extract_urls, sanitize, strip_invisible
from mh_common.sentences import sentence_spans

EXTRACTIVE_MODEL: Final = "extractive"

MAX_QUOTES: Final = 5
MAX_QUOTE_LENGTH: Final = 400
"""Characters; a longer sentence is quoted only if there is nothing else."""
MAX_EMBEDDED: Final = 40
"""Maximum sentences to embed: about 0.2 s with the local model on two processors."""
MAX_SCANNED: Final = 20_000
"""Characters of each answer that are searched for sentences."""
NEAR_DUPLICATE: Final = 0.9
"""Cosine similarity from which two sentences count as duplicates."""

_INTRO = (
    "Quotes from {conversations}, selected by similarity to your question. "
    "They were written for other people and are not advice for this patient; "
    "if there may be a risk, follow your crisis protocol first."
)
_NOTHING_TO_QUOTE = "The similar conversations have no sentence short enough to quote. Read them in the sources."

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
_MIN_WORDS: Final = 4
_MIN_UNSPACED_CHARACTERS: Final = 8


@dataclass(frozen=True)
class Sentence:
    """A sentence: the number of its source (from 1), its position in that source's answer, and its text."""

    source: int
    position: int
    text: str


class ExtractiveAnswerer:
    """Answers with quotes. `embedder` should be the one used for search, whose cache has the question."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    async def answer(self, question: str, sources: Sequence[Source]) -> list[str]:
        """Return an introduction and up to MAX_QUOTES whole sentences, each with its source's number.

        These parts, joined, are the answer. The sentences are verbatim except for removed invisible characters.

        Raises:
            EmbedderError: the sentences cannot be embedded.
        """
        candidates = _shortlist(question, _candidates(sources))
        if not candidates:
            return [_NOTHING_TO_QUOTE]
        vectors = await self._embedder.embed([question, *(candidate.text for candidate in candidates)])
        return _render(_choose(candidates, vectors[0], vectors[1:]))


def _candidates(sources: Sequence[Source]) -> list[Sentence]:
    """Return the substantive sentences; if there are none, all short ones; if there are none, the shortest long one."""
    texts = [strip_invisible(source.answer[: 2 * MAX_SCANNED]) for source in sources]
    found = [
        Sentence(number, start, text[start:end])
        for number, text in enumerate(texts, start=1)
        for start, end in sentence_spans(text, MAX_SCANNED)
        if _is_safe_to_quote(text[start:end])
    ]
    short = [candidate for candidate in found if len(candidate.text) <= MAX_QUOTE_LENGTH]
    long = sorted(found, key=lambda candidate: len(candidate.text))[:1]
    return [candidate for candidate in short if is_substantive(candidate.text)] or short or long


def is_substantive(sentence: str) -> bool:
    """Return whether a sentence says something by itself: no greeting, courtesy, link, heading or half a quotation."""
    sentence = _URL.sub("", sentence).strip()
    if sentence.endswith((":", "\N{FULLWIDTH COLON}")) or _has_unbalanced_quotes(sentence):
        return False
    words = len(_WORD.findall(sentence))
    if words <= _COURTESY_WORDS and _COURTESY.match(sentence):
        return False
    return words >= _MIN_WORDS or len(_UNSPACED.findall(sentence)) >= _MIN_UNSPACED_CHARACTERS


def _is_safe_to_quote(sentence: str) -> bool:
    """Return whether nothing in it could pass for one of our citations, or for markup where the answer is shown."""
    return normalize_citations(sanitize(sentence, extract_urls([sentence])), ()) == sentence


def _has_unbalanced_quotes(sentence: str) -> bool:
    """Return whether quotation marks are unbalanced: half of a quotation is misleading."""
    return sentence.count('"') % 2 == 1 or sentence.count("“") != sentence.count("”")


def _shortlist(question: str, candidates: Iterable[Sentence]) -> list[Sentence]:
    """Return up to MAX_EMBEDDED distinct sentences, round-robin by source, those with words of the question first."""
    question_words = _long_words(question)
    distinct: dict[str, Sentence] = {}
    for candidate in candidates:
        distinct.setdefault(" ".join(_WORD.findall(candidate.text.casefold())), candidate)
    ranked = sorted(distinct.values(), key=lambda one: (-len(question_words & _long_words(one.text)), one.position))
    groups = [[one for one in ranked if one.source == source] for source in sorted({one.source for one in ranked})]
    turns = itertools.chain.from_iterable(itertools.zip_longest(*groups))
    return list(itertools.islice((one for one in turns if one is not None), MAX_EMBEDDED))


def _long_words(text: str) -> set[str]:
    """Return words of at least four letters; shorter ones hardly distinguish sentences."""
    return {word for word in _WORD.findall(text.casefold()) if len(word) >= 4}


def _choose(
    candidates: Sequence[Sentence], question: Sequence[float], vectors: Sequence[Sequence[float]]
) -> list[Sentence]:
    """Return the sentences most similar to the question, without near duplicates, limited per source."""
    share = max(2, -(-MAX_QUOTES // len({candidate.source for candidate in candidates})))
    ranked = sorted(zip(candidates, vectors, strict=True), key=lambda pair: -_dot(pair[1], question))
    chosen: list[tuple[Sentence, Sequence[float]]] = []
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


def _render(quotes: Sequence[Sentence]) -> list[str]:
    groups = [list(group) for _, group in itertools.groupby(quotes, key=lambda quote: quote.source)]
    conversations = "one similar conversation" if len(groups) == 1 else f"{len(groups)} similar conversations"
    parts = [_INTRO.format(conversations=conversations)]
    for group in groups:
        between = "\n\n"
        for quote in group:
            parts.append(f"{between}“{quote.text}” [{quote.source}]")
            between = "\n"
    return parts
