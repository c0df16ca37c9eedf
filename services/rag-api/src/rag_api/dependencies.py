"""FastAPI dependencies: the application's state."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, cast

from fastapi import Depends, Request
from mh_client import AsyncClient
from mh_common.models import About
from mh_common.web.health import Check

from rag_api.answers.background import BackgroundWriter
from rag_api.answers.language_models import LanguageModels
from rag_api.answers.service import AnswerService
from rag_api.feedback.service import FeedbackService
from rag_api.identifiers.service import IdentifierService
from rag_api.safety.screening import ScreeningService
from rag_api.search.service import SearchService
from rag_api.settings import IntegrationSettings

STATE: Final = "rag_api"
"""Key of this application's state in the lifespan state; unique, since several applications may share a process."""


@dataclass(frozen=True)
class AppState:
    """Objects that live as long as the application.

    Attributes:
        about: what answers and searches here.
        background: answers background prompts of chat programs.
        heartbeat: seconds without an event after which a streamed answer sends a keep-alive comment.
        integrations: settings of the integrations.
        checks: readiness checks by name of the dependency.
    """

    search: SearchService
    answers: AnswerService
    language_models: LanguageModels
    background: BackgroundWriter
    feedback: FeedbackService
    screening: ScreeningService
    identifiers: IdentifierService
    about: About
    conversations: AsyncClient
    heartbeat: float
    integrations: IntegrationSettings
    checks: Mapping[str, Check]


def state_of(request: Request) -> AppState:
    """Return the application's state."""
    return cast(AppState, getattr(request.state, STATE))


# A coroutine: FastAPI runs plain functions in a thread, which would take longer than the function itself.
async def _get_state(request: Request) -> AppState:
    return state_of(request)


State = Annotated[AppState, Depends(_get_state)]
