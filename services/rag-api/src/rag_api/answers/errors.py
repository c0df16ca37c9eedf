"""What can go wrong with an answer once its sources are found."""

from collections.abc import Sequence
from typing import Final

from mh_common.errors import DomainError
from mh_common.models import Source

from rag_api.answers.llm import FailureKind


class AnswerError(DomainError):
    """No answer could be generated. The member `sources` has the conversations found, useful on their own.

    If risk was noticed in the question, `risk` and `risk_notice` are members, too.
    """

    def __init__(self, message: str, sources: Sequence[Source]) -> None:
        self.reason = message
        super().__init__(f"{message} The conversations that were found are in sources.")
        self.members = {"sources": [source.model_dump(mode="json") for source in sources]}


class AnswerUnavailableError(AnswerError):
    """The language model, or the embedding model that selects quotes, is unavailable."""


class AnswerTimeoutError(AnswerError):
    """The language model, or the embedding model that selects quotes, took too long."""


class AnswerRefusedError(AnswerError):
    """The language model refuses to answer this question."""


ERRORS: Final[dict[FailureKind, type[AnswerError]]] = {
    FailureKind.UNAVAILABLE: AnswerUnavailableError,
    FailureKind.TIMEOUT: AnswerTimeoutError,
    FailureKind.REFUSED: AnswerRefusedError,
}
"""By what failed of the language model."""
