"""Extractive answers, without a language model: the sentences of the sources that are most similar to the question."""

import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from mh_common.embeddings import Embedder, TextWithheldError
from mh_common.models import NOT_SCREENED, Risk, Source
from mh_common.sentences import sentence_spans

from rag_api.answers.citations import normalize_citations
from rag_api.answers.markup import extract_urls, sanitize, strip_invisible
from rag_api.safety.quotes import may_be_quoted, may_be_quoted_at_risk
from rag_api.safety.screening import ScreeningService

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
_RISK_INTRO = (
    "Read the notice of risk first. These are quotes from {conversations} about such a risk, selected by similarity to "
    "your question. They were written for other people and are not advice for this patient."
)
_NOTHING_TO_QUOTE = "The similar conversations have no sentence to quote. Read them in the sources."
_NOTHING_TO_QUOTE_AT_RISK = (
    "Read the notice of risk first. No sentence is quoted: the similar conversations have none that is about this risk "
    "and safe to pass on. They are in the sources."
)

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
    """Answers with quotes.

    Args:
        embedder: should be the one used for search, whose cache has the question.
        screening: tells which sources speak of a risk.
    """

    def __init__(self, embedder: Embedder, screening: ScreeningService) -> None:
        self._embedder = embedder
        self._screening = screening

    async def answer(self, question: str, sources: Sequence[Source], risk: Risk = NOT_SCREENED) -> list[str]:
        """Return an introduction and up to MAX_QUOTES whole sentences, each with its source's number.

        These parts, joined, are the answer. The sentences are verbatim except for removed invisible characters. Unsafe
        advice is never quoted. If the question has elevated or acute `risk`, the quotes are sentences about safety
        from sources that speak of that risk; there may be none.

        If the embedder's server must not get the texts, the sentences are chosen by the words of the question.

        Raises:
            EmbedderError: the sentences cannot be embedded.
        """
        at_risk = risk.level.needs_notice
        found = await self._candidates_at_risk(sources, risk) if at_risk else _candidates(sources)
        candidates = _shortlist(question, found, may_be_quoted_at_risk if at_risk else may_be_quoted)
        if not candidates:
            return [_NOTHING_TO_QUOTE_AT_RISK if at_risk else _NOTHING_TO_QUOTE]
        intro = _RISK_INTRO if at_risk else _INTRO
        try:
            vectors = await self._embedder.embed([question, *(candidate.text for candidate in candidates)])
        except TextWithheldError:
            return _render(sorted(candidates[:MAX_QUOTES], key=lambda one: (one.source, one.position)), intro)
        return _render(_choose(candidates, vectors[0], vectors[1:]), intro)

    async def _candidates_at_risk(self, sources: Sequence[Source], risk: Risk) -> list[Sentence]:
        texts = [f"{source.question}\n\n{source.answer}"[:MAX_SCANNED] for source in sources]
        speaking = await self._screening.speak_of(risk.categories, texts)
        return [
            one
            for one in _sentences(sources)
            if speaking[one.source - 1] and len(one.text) <= MAX_QUOTE_LENGTH and is_substantive(one.text)
        ]


def _candidates(sources: Sequence[Source]) -> list[Sentence]:
    """Return the substantive sentences; if there are none, all short ones; if there are none, the shortest long one."""
    found = _sentences(sources)
    short = [candidate for candidate in found if len(candidate.text) <= MAX_QUOTE_LENGTH]
    long = sorted(found, key=lambda candidate: len(candidate.text))[:1]
    return [candidate for candidate in short if is_substantive(candidate.text)] or short or long


def _sentences(sources: Sequence[Source]) -> list[Sentence]:
    """Return the sentences of the answers that could pass for none of our citations, nor for markup."""
    texts = [strip_invisible(source.answer[: 2 * MAX_SCANNED]) for source in sources]
    return [
        Sentence(number, start, text[start:end])
        for number, text in enumerate(texts, start=1)
        for start, end in sentence_spans(text, MAX_SCANNED)
        if _has_no_markup(text[start:end])
    ]


def is_substantive(sentence: str) -> bool:
    """Return whether a sentence says something by itself: no greeting, courtesy, link, heading or half a quotation."""
    sentence = _URL.sub("", sentence).strip()
    if sentence.endswith((":", "\N{FULLWIDTH COLON}")) or _has_unbalanced_quotes(sentence):
        return False
    words = len(_WORD.findall(sentence))
    if words <= _COURTESY_WORDS and _COURTESY.match(sentence):
        return False
    return words >= _MIN_WORDS or len(_UNSPACED.findall(sentence)) >= _MIN_UNSPACED_CHARACTERS


def _has_no_markup(sentence: str) -> bool:
    """Return whether nothing in it could pass for one of our citations, or for markup where the answer is shown."""
    return normalize_citations(sanitize(sentence, extract_urls([sentence])), ()) == sentence


def _has_unbalanced_quotes(sentence: str) -> bool:
    """Return whether quotation marks are unbalanced: half of a quotation is misleading."""
    return sentence.count('"') % 2 == 1 or sentence.count("“") != sentence.count("”")


def _shortlist(question: str, candidates: Iterable[Sentence], is_allowed: Callable[[str], bool]) -> list[Sentence]:
    """Return up to MAX_EMBEDDED distinct sentences, round-robin by source, those with words of the question first."""
    question_words = _long_words(question)
    distinct: dict[str, Sentence] = {}
    for candidate in candidates:
        distinct.setdefault(" ".join(_WORD.findall(candidate.text.casefold())), candidate)
    ranked = sorted(distinct.values(), key=lambda one: (-len(question_words & _long_words(one.text)), one.position))
    groups = [[one for one in ranked if one.source == source] for source in sorted({one.source for one in ranked})]
    turns = itertools.chain.from_iterable(itertools.zip_longest(*groups))
    # Last, since it is slow.
    allowed = (one for one in turns if one is not None and is_allowed(one.text))
    return list(itertools.islice(allowed, MAX_EMBEDDED))


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


def _render(quotes: Sequence[Sentence], intro: str) -> list[str]:
    groups = [list(group) for _, group in itertools.groupby(quotes, key=lambda quote: quote.source)]
    conversations = "one similar conversation" if len(groups) == 1 else f"{len(groups)} similar conversations"
    parts = [intro.format(conversations=conversations)]
    for group in groups:
        between = "\n\n"
        for quote in group:
            parts.append(f"{between}“{quote.text}” [{quote.source}]")
            between = "\n"
    return parts
