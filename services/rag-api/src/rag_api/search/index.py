"""The vector index as the search sees it. `milvus.index.MilvusIndex` is the real one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from mh_common.models import SearchMode

from rag_api.search.filters import Condition

MAX_MATCHES: Final = 1000
"""Most matches of one search, far below Milvus's own limit of 16,384."""


@dataclass(frozen=True)
class IndexQuery:
    """What to look for: `vector`, of unit length, by meaning, `text` by words; a mode that needs no vector has none."""

    mode: SearchMode
    text: str
    vector: Sequence[float] | None = None


class Evidence(NamedTuple):
    """What the parts say of a conversation; None where the mode does not ask a part.

    Attributes:
        question, text: cosines of the query with the question, and with question and answer.
        keywords: BM25 score, 0 where no word is shared.
    """

    question: float | None = None
    text: float | None = None
    keywords: float | None = None


class Match(NamedTuple):
    """A conversation in the index.

    Attributes:
        id, version: the conversation, and the version of it that was indexed.
        question: equal for equal questions.
        evidence: what each part says of it.
        fusion: the score by which Milvus joined the parts.
    """

    id: int
    version: int
    question: int
    evidence: Evidence
    fusion: float


class VectorIndexError(Exception):
    """The index cannot be searched now. The message is made for users; `retry_after` is in seconds."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class VectorIndex(Protocol):
    """Finds conversations by meaning and by words."""

    @property
    def rebuilding(self) -> bool:
        """Whether, by the last look, the index was being filled anew and may lack conversations."""
        ...

    async def search(self, query: IndexQuery, limit: int, condition: Condition) -> list[Match]:
        """Return the best matches, the parts of the mode joined, best first; an absent index has none.

        Fewer than `limit` (at most MAX_MATCHES) means that there are no more.

        Raises:
            VectorIndexError: the only error.
        """
        ...

    async def ranks(self, query: IndexQuery, limit: int, condition: Condition) -> Mapping[str, Mapping[int, int]]:
        """Return for each part of the mode, by name, the ranks from 1 of its `limit` best conversations, by id.

        Raises:
            VectorIndexError: the only error.
        """
        ...

    async def check(self) -> None:
        """Return when the index can be searched.

        Raises:
            VectorIndexError: the only error.
        """
        ...
