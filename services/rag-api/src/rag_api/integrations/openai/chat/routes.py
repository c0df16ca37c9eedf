"""POST /v1/chat/completions."""

from collections.abc import Awaitable
from typing import Final

from fastapi import APIRouter, Request, Response
from mh_common.auth.roles import Scope
from mh_common.web.access import requires
from mh_common.web.event_streams import EVENT_STREAM, EventStreamResponse, cancel_on_disconnect
from starlette.requests import ClientDisconnect

from rag_api.answers.routes import CLIENT_CLOSED_REQUEST
from rag_api.dependencies import AppState, Caller, CurrentCaller, State
from rag_api.integrations.links import PublicUrl
from rag_api.integrations.openai.chat.background_prompts import find_background_prompt
from rag_api.integrations.openai.chat.conversation import answer_request, generation_options
from rag_api.integrations.openai.chat.models import ChatCompletion, ChatRequest
from rag_api.integrations.openai.chat.replies import (
    Reply,
    ReplyOptions,
    answer_reply,
    background_reply,
    to_completion,
    to_events,
)
from rag_api.integrations.openai.errors import OpenAIRoute, error_responses
from rag_api.integrations.openai.model_list import check_model

router = APIRouter(route_class=OpenAIRoute, tags=["openai"], dependencies=[requires(Scope.ANSWERS)])

OPEN_WEBUI_USER: Final = "X-OpenWebUI-User-Id"
"""Header that Open WebUI sends if it is configured to forward user information; counts as X-User-Id does."""

_OK: Final = {
    "description": "The answer: complete or, with `stream`, in chunks.",
    "content": {EVENT_STREAM: {"schema": {"type": "string"}}},
}


@router.post(
    "/chat/completions",
    summary="Ask how to help a patient (chat completions)",
    response_model=ChatCompletion,
    responses={200: _OK, **error_responses(404, 502, 504)},
)
async def complete(
    body: ChatRequest, request: Request, state: State, public_url: PublicUrl, caller: CurrentCaller
) -> Response | ChatCompletion:
    """Return the answer of `/api/v1/answers`, with the cited conversations as annotations.

    If risk was noticed, the text begins with the notice, from `[Notice]` to the line that begins with `[End of notice`,
    and `risk` and `risk_notice` have the same as data. Earlier answers may be sent back with their notices.
    `citations` has the links to all sources; the first is the link of [1]. With `stream`, the first chunk has these,
    and the last but one has the annotations. Background prompts of chat programs are recognised, and not passed on: for
    a chat's title, tags and follow-up questions the language model gets a prompt of this platform, and the others get
    an empty response. Without a language model the title is the first words of the chat, and temperature, top_p, token
    limits and stop are ignored.
    """
    check_model(body.model)
    include_usage = bool(body.stream_options and body.stream_options.include_usage)
    options = ReplyOptions(public_url, body.source_list, include_usage)
    pending = _prepare_reply(state, body, caller, request.headers.get(OPEN_WEBUI_USER))
    try:
        if not body.stream:
            return await cancel_on_disconnect(request, _to_completion(pending, options))
        reply = await cancel_on_disconnect(request, pending)
    except ClientDisconnect:
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    return EventStreamResponse(to_events(request, reply, options), state.heartbeat)


async def _prepare_reply(state: AppState, body: ChatRequest, caller: Caller, user_of_open_webui: str | None) -> Reply:
    if background_prompt := find_background_prompt(body.messages):
        return background_reply(state.background, background_prompt)
    user = await caller.asks(user_of_open_webui, body.user)
    pending = await state.answers.prepare(answer_request(body.messages), user, generation_options(body))
    return answer_reply(state.answers, pending)


async def _to_completion(pending: Awaitable[Reply], options: ReplyOptions) -> ChatCompletion:
    return await to_completion(await pending, options)
