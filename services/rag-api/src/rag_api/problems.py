"""HTTP statuses of this service's errors, for problem documents and for the error formats of the integrations."""

from collections.abc import Mapping
from typing import Final

from fastapi import Request
from mh_common.models import Problem
from mh_common.web import problems

from rag_api.answers.errors import AnswerRefusedError, AnswerTimeoutError, AnswerUnavailableError
from rag_api.answers.prompts import QuestionTooLongError
from rag_api.search.query_parser import QuerySyntaxError
from rag_api.search.retrieval import QueryRejectedError

STATUS_OF: Final[problems.Statuses] = {
    QueryRejectedError: 422,
    QuestionTooLongError: 422,
    QuerySyntaxError: 422,
    AnswerUnavailableError: 502,
    AnswerRefusedError: 503,
    AnswerTimeoutError: 504,
}


def problem_of(request: Request, error: Exception) -> tuple[Problem, Mapping[str, str]]:
    """Return the problem document for an error, and its headers; unexpected errors are logged."""
    return problems.problem_of(request, error, STATUS_OF)
