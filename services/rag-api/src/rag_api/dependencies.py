"""What routes ask for, taken from the lifespan's state.

Coroutines but for the checks, since FastAPI hands plain functions to a thread, which takes longer than they do.
"""

from collections.abc import Mapping
from typing import Annotated, TypedDict

from fastapi import Depends, Request
from mh_client import AsyncClient
from mh_common.web.health import Check

from rag_api.answers.language_models import LanguageModels
from rag_api.answers.service import AnswerService
from rag_api.feedback.service import FeedbackService
from rag_api.mcp_sessions import LazySessions
from rag_api.search.service import SearchService
from rag_api.settings import DoorsSettings


class State(TypedDict):
    """What lives as long as the application."""

    search: SearchService
    answers: AnswerService
    language_models: LanguageModels
    feedback: FeedbackService
    conversations: AsyncClient
    heartbeat: float
    doors: DoorsSettings
    mcp: LazySessions
    checks: Mapping[str, Check]


def get_checks(request: Request) -> Mapping[str, Check]:
    """Return the readiness checks by name of the dependency."""
    checks: Mapping[str, Check] = request.state.checks
    return checks


async def _get_search(request: Request) -> SearchService:
    service: SearchService = request.state.search
    return service


async def _get_answers(request: Request) -> AnswerService:
    service: AnswerService = request.state.answers
    return service


async def _get_language_models(request: Request) -> LanguageModels:
    models: LanguageModels = request.state.language_models
    return models


async def _get_feedback(request: Request) -> FeedbackService:
    service: FeedbackService = request.state.feedback
    return service


async def _get_conversations(request: Request) -> AsyncClient:
    client: AsyncClient = request.state.conversations
    return client


async def _get_heartbeat(request: Request) -> float:
    seconds: float = request.state.heartbeat
    return seconds


async def _get_doors(request: Request) -> DoorsSettings:
    settings: DoorsSettings = request.state.doors
    return settings


async def _get_mcp(request: Request) -> LazySessions:
    sessions: LazySessions = request.state.mcp
    return sessions


Search = Annotated[SearchService, Depends(_get_search)]
Answers = Annotated[AnswerService, Depends(_get_answers)]
Models = Annotated[LanguageModels, Depends(_get_language_models)]
AnswerFeedback = Annotated[FeedbackService, Depends(_get_feedback)]
Conversations = Annotated[AsyncClient, Depends(_get_conversations)]
Heartbeat = Annotated[float, Depends(_get_heartbeat)]
Doors = Annotated[DoorsSettings, Depends(_get_doors)]
McpSessions = Annotated[LazySessions, Depends(_get_mcp)]
