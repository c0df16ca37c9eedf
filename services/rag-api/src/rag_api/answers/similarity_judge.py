"""A judge of support that compares vectors and words. It needs no language model, and sees no logic.

The threshold was chosen with `python -m mh_devtools.answers.measure_support`, on the dev half of
`scripts/sample/support.jsonl`.
"""

import asyncio
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from mh_common.embeddings import Embedder, TextWithheldError
from mh_common.languages import other_language
from mh_common.models import Doubt
from mh_common.sentences import sentence_spans

from rag_api.answers.claim_words import claimed_numbers, content_stems, denies_otherwise, names_of, numbers_of, stems_of
from rag_api.answers.support import Claim, Verdict

SIMILARITY_WEIGHT: Final = 0.7
"""Weight of the similarity within the score; the rest is that of the words."""
THRESHOLD: Final = 0.6
"""A claim with a lower score is unlike what it cites."""

MAX_READ: Final = 20_000
"""Characters of each text that are compared."""
MAX_EMBEDDED: Final = 100
"""Sentences of texts that are embedded for one answer: about a second with the local model, if none is cached."""

Vector = Sequence[float]

_SPACES: Final = re.compile(r"\s+")
_QUOTES: Final = str.maketrans("\u201c\u201d\u201e\u00ab\u00bb\u2018\u2019", '"""""\'\'')


@dataclass(frozen=True)
class ComparedText:
    """A cited text: the sentences of it that are compared, their vectors, and the stems of all its words.

    Attributes:
        pair_norms: length of the sum of each two adjacent vectors.
    """

    sentences: Sequence[str]
    vectors: Sequence[Vector]
    pair_norms: Sequence[float]
    stems: frozenset[str]

    @classmethod
    def of(cls, text: str, sentences: Sequence[str], vectors: Mapping[str, Vector]) -> Self:
        """Return a text with these of its sentences."""
        own = [vectors[sentence] for sentence in sentences]
        # Of unit vectors a and b: |a + b|² = 2 + 2 a·b. Opposite ones have no direction in their middle.
        norms = [max(2 + 2 * _dot(one, two), 1e-6) ** 0.5 for one, two in itertools.pairwise(own)]
        return cls(sentences, own, norms, stems_of([text]))

    def most_similar(self, claimed: Vector) -> tuple[float, str]:
        """Return the cosine of the most similar sentence, or two adjacent ones (by their middle), and these."""
        alone = [_dot(vector, claimed) for vector in self.vectors]
        found = list(zip(alone, self.sentences, strict=True))
        for place, norm in enumerate(self.pair_norms):
            both = (alone[place] + alone[place + 1]) / norm
            found.append((both, f"{self.sentences[place]} {self.sentences[place + 1]}"))
        return max(found, default=(0.0, ""))


@dataclass(frozen=True)
class Evidence:
    """What was found for a claim in one or more texts.

    Attributes:
        similarity: highest cosine with a sentence, or with two adjacent ones, from -1 to 1.
        overlap: share of the claim's words that occur, from 0 to 1.
        closest: the sentence or sentences with that similarity.
    """

    similarity: float
    overlap: float
    closest: str

    @property
    def score(self) -> float:
        """Similarity and overlap together."""
        return SIMILARITY_WEIGHT * self.similarity + (1 - SIMILARITY_WEIGHT) * self.overlap


class SimilarityJudge:
    """A `SupportJudge` that holds each sentence against the most similar ones of the texts, by vectors and words.

    Sentences in another language than the texts are not judged: the local model knows English only.

    Args:
        embedder: should cache, since the same conversations are cited again and again.
    """

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    async def judge(self, claims: Sequence[Claim]) -> list[Verdict | None]:
        """See `SupportJudge.judge`. Raises EmbedderError.

        If a text must not be sent to the embedder's server, the claims that need it are not judged.
        """
        try:
            return await self._judge(claims)
        except TextWithheldError:
            found: list[Verdict | None] = []
            for claim in claims:
                try:
                    found += await self._judge([claim])
                except TextWithheldError:
                    found.append(None)
            return found

    async def _judge(self, claims: Sequence[Claim]) -> list[Verdict | None]:
        # In threads, since to read the words of long sources takes a while.
        at_once, sentences = await asyncio.to_thread(_prepared, claims)
        compared = [claim for claim in claims if claim not in at_once]
        wanted = list(dict.fromkeys([*(claim.sentence for claim in compared), *itertools.chain(*sentences.values())]))
        vectors = dict(zip(wanted, await self._embedder.embed(wanted), strict=True)) if wanted else {}
        judged = await asyncio.to_thread(_verdicts, compared, sentences, vectors)
        return [at_once[claim] if claim in at_once else judged[claim] for claim in claims]


def _prepared(claims: Sequence[Claim]) -> tuple[dict[Claim, Verdict | None], dict[str, list[str]]]:
    """Return the verdicts that need no vectors, and the sentences to compare for the other claims."""
    at_once: dict[Claim, Verdict | None] = {}
    for claim in claims:
        if any(verbatim := [_contains(text, claim.sentence) for text in claim.texts]):
            at_once[claim] = Verdict(None, tuple(verbatim))
        elif _is_foreign(claim):
            at_once[claim] = None
    return at_once, sentences_to_compare([claim for claim in claims if claim not in at_once])


def _verdicts(
    claims: Sequence[Claim], sentences: Mapping[str, Sequence[str]], vectors: Mapping[str, Vector]
) -> dict[Claim, Verdict]:
    texts = {text: ComparedText.of(text, chosen, vectors) for text, chosen in sentences.items()}
    return {claim: _verdict(claim, texts, vectors[claim.sentence]) for claim in claims}


def _verdict(claim: Claim, texts: Mapping[str, ComparedText], claimed: Vector) -> Verdict:
    found = [evidence(claim.sentence, claimed, [texts[text]]) for text in claim.texts]
    alone = [doubt_of(claim, [text], one) for text, one in zip(claim.texts, found, strict=True)]
    together = alone[0]
    if len(alone) > 1:
        every = evidence(claim.sentence, claimed, [texts[text] for text in claim.texts])
        together = None if None in alone else doubt_of(claim, claim.texts, every)
    return Verdict(together, tuple(doubt is None for doubt in alone))


def sentences_to_compare(claims: Sequence[Claim]) -> dict[str, list[str]]:
    """Return the sentences of each cited text that are compared, in order: all, or those with the claims' words."""
    texts = list(dict.fromkeys(text for claim in claims for text in claim.texts))
    found = {text: _sentences(text) for text in texts}
    if sum(map(len, found.values())) <= MAX_EMBEDDED:
        return found
    share = max(2, MAX_EMBEDDED // len(texts))
    kept = {}
    for text, sentences in found.items():
        words = [content_stems(claim.sentence) for claim in claims if text in claim.texts]
        shared = [max(len(content_stems(sentence) & claimed) for claimed in words) for sentence in sentences]
        best = sorted(range(len(sentences)), key=lambda place: (-shared[place], place))[:share]
        kept[text] = [sentences[place] for place in sorted(best)]
    return kept


def evidence(sentence: str, claimed: Vector, texts: Sequence[ComparedText]) -> Evidence:
    """Return what speaks for a sentence, whose vector is `claimed`, in these texts."""
    similarity, closest = max((text.most_similar(claimed) for text in texts), default=(0.0, ""))
    stems = content_stems(sentence)
    overlap = len(stems & frozenset().union(*(text.stems for text in texts))) / len(stems) if stems else 0.0
    return Evidence(similarity, overlap, closest)


def doubt_of(claim: Claim, texts: Sequence[str], found: Evidence) -> Doubt | None:
    """Return why these texts do not support a claim; None if they do."""
    if found.score < THRESHOLD:
        return Doubt.UNLIKE
    if claimed_numbers(claim.sentence) - numbers_of("\n".join([*texts, claim.known])):
        return Doubt.NUMBER
    if names_of(claim.sentence) - stems_of([*texts, claim.known]):
        return Doubt.NAME
    if denies_otherwise(claim.sentence, found.closest):
        return Doubt.NEGATION
    return None


def _sentences(text: str) -> list[str]:
    read = text[:MAX_READ]
    return list(dict.fromkeys(read[start:end] for start, end in sentence_spans(read)))


def _contains(text: str, sentence: str) -> bool:
    plain = _plain(sentence).strip("\" '")
    return bool(plain) and plain in _plain(text)


def _plain(text: str) -> str:
    return _SPACES.sub(" ", text.translate(_QUOTES)).strip()


def _is_foreign(claim: Claim) -> bool:
    """Return whether the sentence is in another language than all of its texts."""
    return all(other_language(claim.sentence, text) is not None for text in claim.texts)


def _dot(left: Vector, right: Vector) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))
