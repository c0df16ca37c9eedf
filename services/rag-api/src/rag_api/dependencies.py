"""FastAPI dependencies: the application's state, and who asks."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, cast

from fastapi import Depends, Header, Request
from mh_client import AsyncClient
from mh_common.auth.principals import Principal
from mh_common.errors import InvalidRequestError
from mh_common.models import USER_ID_HEADER, USER_ID_PATTERN, About, FieldProblem, PrincipalKind
from mh_common.web.access import CurrentPrincipal
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


@dataclass(frozen=True)
class Caller:
    """Who asks.

    Attributes:
        principal: the signed-in caller, or everybody where there are no accounts.
        named: what the header X-User-Id says.
    """

    principal: Principal
    named: str | None = None

    def user_id(self, *others: str | None) -> str | None:
        """Return the user in whose history an answer is stored; None: nobody's.

        With accounts it is the caller's account. Without, it is who the caller says it is: in X-User-Id, else the first
        of the other names that is given, if it could be in that header.

        Raises:
            InvalidRequestError: X-User-Id counts and is invalid.
        """
        if self.principal.kind is not PrincipalKind.LOCAL:
            return None if self.principal.user_id is None else str(self.principal.user_id)
        if self.named is None:
            name = next(filter(None, others), "")
            return name if re.fullmatch(USER_ID_PATTERN, name) else None
        if not re.fullmatch(USER_ID_PATTERN, self.named):
            wrong = FieldProblem(field=USER_ID_HEADER, message="must be 1 to 128 visible ASCII characters, no spaces")
            raise InvalidRequestError("The request's parameters are invalid; see errors.", [wrong])
        return self.named


async def _get_caller(
    principal: CurrentPrincipal,
    user: Annotated[
        str | None,
        Header(
            alias=USER_ID_HEADER,
            description="The user in whose history the answer is stored, as identified by the proxy that authenticated "
            "the request. 1 to 128 ASCII characters, no spaces. Only without accounts (AUTH_MODE=open): with them it "
            "is ignored, and the user is the caller.",
        ),
    ] = None,
) -> Caller:
    return Caller(principal, user)


CurrentCaller = Annotated[Caller, Depends(_get_caller)]
