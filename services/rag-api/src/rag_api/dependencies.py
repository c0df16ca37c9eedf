"""FastAPI dependencies: the application's state, and who asks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, cast

from fastapi import Depends, Request
from mh_client import AsyncClient
from mh_common.auth.outside_users import outside_id
from mh_common.auth.principals import Principal
from mh_common.models import About
from mh_common.web.access import CurrentPrincipal, Limiter, limits_of
from mh_common.web.health import Check
from mh_common.web.outside_users import NamedUser

from rag_api.answers.background import BackgroundWriter
from rag_api.answers.language_models import LanguageModels
from rag_api.answers.service import AnswerService
from rag_api.feedback.service import FeedbackService
from rag_api.identifiers.service import IdentifierService
from rag_api.safety.screening import ScreeningService
from rag_api.search.approval import ApprovalRule
from rag_api.search.service import SearchService
from rag_api.settings import IntegrationSettings

STATE: Final = "rag_api"
"""Key of this application's state in the lifespan state; unique, since several applications may share a process."""


@dataclass(frozen=True)
class AppState:
    """Objects that live as long as the application.

    Attributes:
        sources: which conversations may be quoted, or given to a language model.
        about: what answers and searches here.
        background: answers background prompts of chat programs.
        heartbeat: seconds without an event after which a streamed answer sends a keep-alive comment.
        integrations: settings of the integrations.
        checks: readiness checks by name of the dependency.
    """

    search: SearchService
    sources: ApprovalRule
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


@dataclass(frozen=True)
class Caller:
    """Who asks.

    Attributes:
        principal: the signed-in caller, or everybody where there are no accounts.
        named: what the header X-User-Id says.
        limits: counts answers; None: nothing does.
    """

    principal: Principal
    named: str | None = None
    limits: Limiter | None = None

    async def asks(self, *others: str | None) -> str | None:
        """Return `acts_for` of a caller who asks for an answer, and count that.

        Raises:
            InvalidRequestError: as `acts_for`.
            QuotaExceededError: the person has had all answers of the day.
        """
        person = self.acts_for(*others)
        if self.limits is not None:
            await self.limits.count_answer(self.principal, person)
        return person

    def acts_for(self, *others: str | None) -> str | None:
        """Return the id of the person for whom the caller acts; None: for itself.

        It is what X-User-Id says, else the first of the other names that is given; see
        `mh_common.auth.outside_users.outside_id`.

        Raises:
            InvalidRequestError: X-User-Id counts and is invalid.
        """
        return outside_id(self.principal, self.named, *others)


async def _get_caller(request: Request, principal: CurrentPrincipal, named: NamedUser = None) -> Caller:
    return Caller(principal, named, limits_of(request))


CurrentCaller = Annotated[Caller, Depends(_get_caller)]
