"""POST /v1/chat/completions."""

import re
from collections.abc import Awaitable
from typing import Final

from fastapi import APIRouter, Request, Response
from mh_common.models import USER_ID_PATTERN
from mh_common.web.event_streams import EVENT_STREAM, EventStreamResponse, while_connected
from starlette.requests import ClientDisconnect

from rag_api.answers.routes import CLIENT_GONE, UserId
from rag_api.dependencies import AppState, State
from rag_api.integrations.links import PublicUrl
from rag_api.integrations.openai.chat.conversation import answer_request, sampling, wishes
from rag_api.integrations.openai.chat.models import ChatCompletion, ChatRequest
from rag_api.integrations.openai.chat.replies import Form, Reply, answer_reply, events, task_reply, whole
from rag_api.integrations.openai.chat.tasks import background_task
from rag_api.integrations.openai.errors import KEY, OpenAIRoute, error_responses
from rag_api.integrations.openai.model_list import check_model

router = APIRouter(route_class=OpenAIRoute, tags=["openai"], dependencies=[KEY])

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
    responses={200: _OK, **error_responses(404, 502, 503, 504)},
)
async def complete(
    body: ChatRequest, request: Request, state: State, public_url: PublicUrl, user: UserId = None
) -> Response | ChatCompletion:
    """Return the answer that `/api/v1/answers` gives, with the conversations it cites as annotations.

    `citations` holds the links to all sources: the first is that of [1]. With `stream` it comes in the first chunk, and
    the annotations in the last but one. Background prompts of chat programs, for titles, tags and the like, are passed
    to the language model without a search; where there is none they get an empty answer, and a title from the chat's
    first words. Without a language model temperature, top_p, token limits and stop change nothing.
    """
    check_model(body.model)
    with_usage = bool(body.stream_options and body.stream_options.include_usage)
    form = Form(public_url, body.source_list, with_usage)
    begun = _begin(state, body, user or _named(request, body))
    try:
        if not body.stream:
            return await while_connected(request, _whole(begun, form))
        reply = await while_connected(request, begun)
    except ClientDisconnect:
        return Response(status_code=CLIENT_GONE)
    return EventStreamResponse(events(request, reply, form), state.heartbeat)


def _named(request: Request, body: ChatRequest) -> str | None:
    """Who asks, where no X-User-Id says so; a name that cannot stand in that header is passed over."""
    name = request.headers.get(OPEN_WEBUI_USER) or body.user or ""
    return name if re.fullmatch(USER_ID_PATTERN, name) else None


async def _begin(state: AppState, body: ChatRequest, user: str | None) -> Reply:
    if task := background_task(body.messages):
        return task_reply(state.language_models, task, sampling(body))
    begun = await state.answers.begin(answer_request(body.messages), user, wishes(body))
    return answer_reply(state.answers, begun)


async def _whole(begun: Awaitable[Reply], form: Form) -> ChatCompletion:
    return await whole(await begun, form)
