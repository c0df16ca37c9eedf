"""What each error of this service is to a caller, whichever form it is told in."""

from collections.abc import Mapping
from typing import Final

from fastapi import Request
from mh_common.models import Problem
from mh_common.web import problems

from rag_api.answers.prompts import QuestionTooLongError
from rag_api.answers.service import GeneratorRefusedError, GeneratorTimeoutError, GeneratorUnavailableError
from rag_api.search.query_parser import QuerySyntaxError
from rag_api.search.retrieval import QueryRefusedError

STATUS_OF: Final[problems.Statuses] = {
    QueryRefusedError: 422,
    QuestionTooLongError: 422,
    QuerySyntaxError: 422,
    GeneratorUnavailableError: 502,
    GeneratorRefusedError: 503,
    GeneratorTimeoutError: 504,
}


def problem_of(request: Request, error: Exception) -> tuple[Problem, Mapping[str, str]]:
    """Return the problem that an error is to this request's caller, and its headers; a bug is logged as well."""
    return problems.problem_of(request, error, STATUS_OF)
