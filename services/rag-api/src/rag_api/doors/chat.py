"""POST /api/chat and GET /api/health: answers as plain text, for programs that know no more than that."""

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import PlainTextResponse
from mh_common.errors import InvalidRequestError
from mh_common.models import AnswerEvent, AnswerRequest, AnswerToken, Problem, QueryText, Source
from mh_common.models.base import WireModel, without_nul
from mh_common.settings import BLANK_IS_NONE
from mh_common.web.event_streams import LiveResponse, while_connected
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StringConstraints
from starlette.requests import ClientDisconnect

from rag_api.answers.generators import MAX_INSTRUCTIONS, Wishes
from rag_api.answers.language_models import LanguageModels, Writers
from rag_api.answers.routes import CLIENT_GONE, UserId
from rag_api.answers.service import AnswerService
from rag_api.dependencies import Answers, Doors, Models
from rag_api.doors.links import base_url
from rag_api.doors.openai_api.model_names import MODEL
from rag_api.doors.refusals import DoorRoute, described, told_elsewhere
from rag_api.doors.sources import cited_sources, plain_list
from rag_api.settings import DoorsSettings

Instructions = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=MAX_INSTRUCTIONS), AfterValidator(without_nul)
]
ModelName = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,128}$")]


def _fit_for_a_header(key: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!-~]{1,512}", key.get_secret_value()):
        raise ValueError("must be 1 to 512 visible ASCII characters")
    return key


class PlainChatRequest(WireModel):
    """A question, and how its answer is to be written."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "developer_message": "Answer in three sentences.",
                    "user_message": "My patient panics on the bus. How can I help?",
                }
            ]
        }
    )

    developer_message: Instructions = Field(
        default="", description="May ask for a language, tone, length or form; at most 4,000 characters."
    )
    user_message: QueryText = Field(description="The question: 1 to 8,000 characters after trimming.")
    model: Annotated[ModelName | None, BLANK_IS_NONE] = Field(
        default=None, description="Another language model; needs `api_key`."
    )
    api_key: Annotated[Annotated[SecretStr, AfterValidator(_fit_for_a_header)] | None, BLANK_IS_NONE] = Field(
        default=None,
        description="A key for the language model's server, used for this request and neither logged nor kept.",
    )


class Refusal(BaseModel):
    """An error."""

    error: str


class Health(BaseModel):
    """The service runs."""

    status: str = "ok"


class ChatRoute(DoorRoute):
    """A route that tells errors as `{"error": …}`."""

    @staticmethod
    def refusal(problem: Problem) -> dict[str, Any]:
        """Return the error in this door's form."""
        return {"error": described(problem)}


router = APIRouter(prefix="/api", tags=["chat"], route_class=ChatRoute)


@router.get("/health", summary="Whether the service runs")
async def health() -> Health:
    """Answer as soon as the service runs; `/readyz` says whether it can do its work."""
    return Health()


@router.post(
    "/chat",
    summary="Ask how to help a patient, and read plain text",
    response_class=PlainTextResponse,
    responses={status: {"model": Refusal} for status in (400, 403, 422, 502, 503, 504)},
)
async def chat(
    body: PlainChatRequest, request: Request, service: Answers, models: Models, doors: Doors, user: UserId = None
) -> Response:
    """Return the answer of `/api/v1/answers` as plain text, as it is written, and behind it the sources it cites.

    What goes wrong before the first word is an error with its status. After it the text ends with a line that begins
    with `[Error`. Without a language model the answer is made of quotations, and `developer_message` changes nothing.
    """
    writers = _writers(body, models, doors)
    try:
        opened = await while_connected(request, _open(body, user, service, writers))
    except ClientDisconnect:
        return Response(status_code=CLIENT_GONE)
    return LiveResponse(_text(request, opened, base_url(request, doors.public_url)), PlainTextResponse.media_type)


@dataclass(frozen=True)
class Opened:
    """An answer of which the first piece is there."""

    sources: Sequence[Source]
    first: AnswerEvent
    others: AsyncGenerator[AnswerEvent]


def _writers(body: PlainChatRequest, models: LanguageModels, doors: DoorsSettings) -> Writers | None:
    """Who writes with the caller's key; None: who always writes."""
    name = None if body.model in (MODEL, models.name) else body.model
    if body.api_key is None:
        if name is not None:
            raise InvalidRequestError("Another model needs a key of your own: send api_key, or leave model out.")
        return None
    if not doors.request_keys:
        raise HTTPException(403, "Keys of your own are turned off here (DOORS_REQUEST_KEYS). Leave api_key out.")
    return models.writers(models.of_caller(body.api_key, name))


async def _open(body: PlainChatRequest, user: str | None, service: AnswerService, writers: Writers | None) -> Opened:
    """Wait for the first piece, so that a key that is refused, for example, is an error and no text."""
    request = AnswerRequest(question=body.user_message)
    begun = await service.begin(request, user, Wishes(body.developer_message), writers)
    events = service.stream(begun)
    try:
        await anext(events)
        return Opened(begun.sources.sources, await anext(events), events)
    except BaseException:
        await events.aclose()
        raise


async def _text(request: Request, opened: Opened, base: str) -> AsyncGenerator[bytes]:
    text = ""
    try:
        async with aclosing(_events(opened)) as events:
            async for event in events:
                if isinstance(event, AnswerToken):
                    text += event.text
                    yield event.text.encode()
        yield plain_list(cited_sources(text, opened.sources, base)).encode()
    except Exception as error:  # the text has begun: whatever it is, it can only be told in it
        problem, _ = await told_elsewhere(request, error)
        refusal = ChatRoute.refusal(problem)
        yield f"\n\n[Error: {refusal['error']}]\n".encode()


async def _events(opened: Opened) -> AsyncGenerator[AnswerEvent]:
    async with aclosing(opened.others) as others:
        yield opened.first
        async for event in others:
            yield event
