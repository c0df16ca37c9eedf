"""POST /v1/chat/completions."""

import re
from collections.abc import Awaitable
from typing import Final

from fastapi import APIRouter, Request, Response
from mh_common.models import USER_ID_PATTERN
from mh_common.web.event_streams import EVENT_STREAM, EventStreamResponse, while_connected
from starlette.requests import ClientDisconnect

from rag_api.answers.language_models import LanguageModels
from rag_api.answers.routes import CLIENT_GONE, UserId
from rag_api.answers.service import AnswerService
from rag_api.dependencies import Answers, Doors, Heartbeat, Models
from rag_api.doors.links import base_url
from rag_api.doors.openai_api.chat.conversation import answer_request, sampling, wishes
from rag_api.doors.openai_api.chat.models import ChatCompletion, ChatRequest
from rag_api.doors.openai_api.chat.replies import Form, Reply, answer_reply, events, task_reply, whole
from rag_api.doors.openai_api.chat.tasks import background_task
from rag_api.doors.openai_api.model_names import check_model
from rag_api.doors.openai_api.refusals import KEY, OpenAIRoute, refusals

router = APIRouter(prefix="/v1", route_class=OpenAIRoute, tags=["openai"], dependencies=[KEY])

OPEN_WEBUI_USER: Final = "X-OpenWebUI-User-Id"
"""What Open WebUI sends where it is set up to forward its users' names."""

_OK: Final = {
    "description": "The answer: whole, or with `stream` in chunks.",
    "content": {EVENT_STREAM: {"schema": {"type": "string"}}},
}


@router.post(
    "/chat/completions",
    summary="Ask how to help a patient, as OpenAI's clients do",
    response_model=ChatCompletion,
    responses={200: _OK, **refusals(404, 502, 503, 504)},
)
async def complete(
    body: ChatRequest,
    request: Request,
    service: Answers,
    models: Models,
    doors: Doors,
    heartbeat: Heartbeat,
    user: UserId = None,
) -> Response | ChatCompletion:
    """Return the answer that `/api/v1/answers` gives, with the conversations it cites as annotations.

    `citations` holds the links to all sources: the first is that of [1]. With `stream` it comes in the first chunk, and
    the annotations in the last but one. Background prompts of chat programs, for titles, tags and the like, are passed
    to the language model without a search; where there is none they get an empty answer, and a title from the chat's
    first words. Without a language model temperature, top_p, token limits and stop change nothing.
    """
    check_model(body.model)
    with_usage = bool(body.stream_options and body.stream_options.include_usage)
    form = Form(base_url(request, doors.public_url), body.source_list, with_usage)
    begun = _begin(service, models, body, user or _named(request, body))
    try:
        if not body.stream:
            return await while_connected(request, _whole(begun, form))
        reply = await while_connected(request, begun)
    except ClientDisconnect:
        return Response(status_code=CLIENT_GONE)
    return EventStreamResponse(events(request, reply, form), heartbeat)


def _named(request: Request, body: ChatRequest) -> str | None:
    """Who asks, where no X-User-Id says so; a name that cannot stand in that header is passed over."""
    name = request.headers.get(OPEN_WEBUI_USER) or body.user or ""
    return name if re.fullmatch(USER_ID_PATTERN, name) else None


async def _begin(service: AnswerService, models: LanguageModels, body: ChatRequest, user: str | None) -> Reply:
    if task := background_task(body.messages):
        return task_reply(models, task, sampling(body))
    begun = await service.begin(answer_request(body.messages), user, wishes(body))
    return answer_reply(service, begun)


async def _whole(begun: Awaitable[Reply], form: Form) -> ChatCompletion:
    return await whole(await begun, form)
