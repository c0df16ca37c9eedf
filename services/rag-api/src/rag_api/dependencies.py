"""What routes ask for: the application's state."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, cast

from fastapi import Depends, Request
from mh_client import AsyncClient
from mh_common.web.health import Check

from rag_api.answers.language_models import LanguageModels
from rag_api.answers.service import AnswerService
from rag_api.feedback.service import FeedbackService
from rag_api.search.service import SearchService
from rag_api.settings import IntegrationSettings

STATE: Final = "rag_api"
"""Name of the application's state in the lifespan state; no other application's, as several may run in one process."""


@dataclass(frozen=True)
class AppState:
    """What lives as long as the application.

    Attributes:
        heartbeat: seconds without an event after which a streamed answer shows a sign of life.
        integrations: the settings of the integrations.
        checks: the readiness checks by name of the dependency.
    """

    search: SearchService
    answers: AnswerService
    language_models: LanguageModels
    feedback: FeedbackService
    conversations: AsyncClient
    heartbeat: float
    integrations: IntegrationSettings
    checks: Mapping[str, Check]


def state_of(request: Request) -> AppState:
    """Return the application's state."""
    return cast(AppState, getattr(request.state, STATE))


# A coroutine, since FastAPI hands plain functions to a thread, which takes longer than this does.
async def _get_state(request: Request) -> AppState:
    return state_of(request)


State = Annotated[AppState, Depends(_get_state)]
