"""The vector index as search sees it: a Protocol, implemented by `milvus.index.MilvusIndex`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from mh_common.models import SearchMode
from mh_common.units import Unit

from rag_api.search.filters import Condition

MAX_MATCHES: Final = 1000
"""Maximum matches of one search, far below Milvus's own limit of 16,384."""


@dataclass(frozen=True)
class IndexQuery:
    """A query: its `text` for keyword search and its unit-length `vector` for semantic search, None in keyword mode."""

    mode: SearchMode
    text: str
    vector: Sequence[float] | None = None


NEIGHBOURS: Final = 10
"""Nearest other matches that make a match crowded."""


class ComponentScores(NamedTuple):
    """Scores of a conversation by part of the search; None for parts that the mode does not use.

    Attributes:
        question, text: cosine similarity of the query to the question, and to question and answer together.
        keywords: BM25 score, 0 when no word is shared.
        crowding: how much closer it lies to other matches than the average match does: the mean cosine with its
            NEIGHBOURS nearest, less the mean over all matches. High for texts that resemble everything, and for
            questions with many answers.
    """

    question: float | None = None
    text: float | None = None
    keywords: float | None = None
    crowding: float | None = None


class Match(NamedTuple):
    """A unit found in the index.

    Attributes:
        unit: which one, in its indexed version.
        question_hash: equal for equal questions.
        scores: its score in each part of the search.
        fusion_score: the score by which Milvus fused the parts (reciprocal rank fusion).
        words: the stems of its texts, as `mh_common.stemming.indexed_words` returns them; only in hybrid mode.
    """

    unit: Unit
    question_hash: int
    scores: ComponentScores
    fusion_score: float
    words: str = ""


class VectorIndexError(Exception):
    """The index cannot be searched right now. The message is meant for users; `retry_after` is in seconds."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class VectorIndex(Protocol):
    """Finds conversations by meaning and by keywords."""

    @property
    def rebuilding(self) -> bool:
        """Whether the index was being rebuilt in place at the last check, so that conversations may be missing."""
        ...

    async def search(self, query: IndexQuery, limit: int, condition: Condition) -> list[Match]:
        """Return the best matches after fusing the parts of the mode, best first; none when there is no index.

        At most MAX_MATCHES. Fewer than `limit` means that there are no more.

        Raises:
            VectorIndexError: the only error.
        """
        ...

    async def ranks(self, query: IndexQuery, limit: int, condition: Condition) -> Mapping[str, Mapping[int, int]]:
        """Return the ranks, from 1, of the `limit` best conversations in each part: {part name: {id: rank}}.

        Raises:
            VectorIndexError: the only error.
        """
        ...

    async def check(self) -> None:
        """Check that the index can be searched.

        Raises:
            VectorIndexError: the only error.
        """
        ...
