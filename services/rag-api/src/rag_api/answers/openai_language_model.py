"""Language models of OpenAI and of compatible servers.

Importing this module takes longer than most of the service, because of the SDK: whoever needs one imports it then.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from mh_common.egress import OPENAI_URL
from mh_common.models import Usage
from openai import (
    APIConnectionError,
    APIError,
    APIStatusError,
    APITimeoutError,
    AsyncOpenAI,
    AsyncStream,
    DefaultAsyncHttpxClient,
)
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessageParam
from openai.types.chat.chat_completion import Choice

from rag_api.answers.llm import (
    SERVER_DEFAULTS,
    Completion,
    FailureKind,
    LanguageModelError,
    Message,
    SamplingParams,
    empty_answer_error,
    unavailable_error,
)
from rag_api.settings import Settings

T = TypeVar("T")

PLACEHOLDER_KEY: Final = "none"
"""For the SDK, which insists on a key; no request is ever sent with it."""

_POLICY_CODES: Final = frozenset({"content_filter", "content_policy_violation", "invalid_prompt"})

_REASONS: Final = {
    401: "rejects the API key",
    403: "rejects the API key",
    404: "does not have the configured model",
    429: "is overloaded, or the account has no quota left",
}


class OpenAILanguageModel:
    """A chat model of OpenAI or of a compatible server.

    Args:
        client: retries calls that fail before the answer begins; the caller closes it.
        model: name of the model.
        store_false: tell the server not to keep the calls; some servers reject the parameter.
    """

    def __init__(self, client: AsyncOpenAI, *, model: str, store_false: bool = False) -> None:
        self._client = client
        self._model = model
        self._always: dict[str, Any] = {"store": False} if store_false else {}

    @property
    def name(self) -> str:
        """See `LanguageModel.name`."""
        return self._model

    async def complete(
        self, messages: Sequence[Message], deadline: float, sampling: SamplingParams = SERVER_DEFAULTS
    ) -> Completion:
        """See `LanguageModel.complete`."""
        params = [_to_openai_message(message) for message in messages]
        create = self._client.chat.completions.create(
            model=self._model, messages=params, extra_body=self._always | sampling.parameters()
        )
        part = _parse(await _call_until(deadline, create))
        if part.refused:
            raise _refused_error()
        if not part.text.strip():
            raise empty_answer_error()
        return Completion(part.text.strip(), part.model or self._model, part.usage or Usage(), part.cut_short)

    async def stream(
        self, messages: Sequence[Message], deadline: float, sampling: SamplingParams = SERVER_DEFAULTS
    ) -> AsyncGenerator[str | Completion]:
        """See `LanguageModel.stream`."""
        params = [_to_openai_message(message) for message in messages]
        create = self._client.chat.completions.create(
            model=self._model,
            messages=params,
            stream=True,
            stream_options={"include_usage": True},
            extra_body=self._always | sampling.parameters(),
        )
        answer = await _call_until(deadline, create)
        try:
            async with aclosing(self._pieces(answer, deadline)) as pieces:
                async for piece in pieces:
                    yield piece
        finally:
            await answer.close()

    async def _pieces(
        self, answer: AsyncStream[ChatCompletionChunk], deadline: float
    ) -> AsyncGenerator[str | Completion]:
        model, usage, finished, cut_short = self._model, Usage(), False, False
        while chunk := await _call_until(deadline, anext(answer, None)):
            part = _parse(chunk)
            model = part.model or model
            usage = part.usage or usage
            finished = finished or part.finished
            cut_short = cut_short or part.cut_short
            if part.refused:
                raise _refused_error()
            if part.text:
                yield part.text
        if not finished:
            raise unavailable_error("ended in the middle of its answer")
        yield Completion("", model, usage, cut_short)


@dataclass(frozen=True)
class _AnswerPart:
    """A whole answer, or what one event adds to a streamed answer."""

    text: str = ""
    model: str | None = None
    usage: Usage | None = None
    finished: bool = False
    cut_short: bool = False
    refused: bool = False


def _parse(answer: ChatCompletion | ChatCompletionChunk) -> _AnswerPart:
    try:
        usage = _usage(answer.usage) if answer.usage else None
        if not answer.choices:
            return _AnswerPart(model=answer.model, usage=usage)
        choice = answer.choices[0]
        message = choice.message if isinstance(choice, Choice) else choice.delta
        return _AnswerPart(
            text=message.content or "",
            model=answer.model,
            usage=usage,
            finished=choice.finish_reason is not None,
            cut_short=choice.finish_reason == "length",
            refused=choice.finish_reason == "content_filter" or bool(message.refusal),
        )
    except Exception as error:  # the SDK does not validate responses
        failure = _unreadable_error(error)
    raise failure


async def _call_until(deadline: float, work: Awaitable[T]) -> T:
    """Await a call of the SDK until the deadline; every failure becomes a LanguageModelError."""
    try:
        async with asyncio.timeout_at(deadline):
            return await work
    except (APITimeoutError, TimeoutError):
        failure = LanguageModelError(FailureKind.TIMEOUT, "The language model did not answer in time.")
    except APIStatusError as error:
        failure = _status_error(error)
    except APIConnectionError:
        failure = unavailable_error("cannot be reached, or closed the connection")
    except APIError as error:  # an error event in the stream
        failure = (
            _refused_error() if error.code in _POLICY_CODES else unavailable_error("failed in the middle of its answer")
        )
    except Exception as error:  # the SDK does not validate responses, and passes JSON errors on
        failure = _unreadable_error(error)
    # Raised here, so that the SDK's error is not its context: that one quotes the server's response.
    raise failure


def _to_openai_message(message: Message) -> ChatCompletionMessageParam:
    if message.role == "system":
        return {"role": "system", "content": message.content}
    return {"role": "user", "content": message.content}


def _usage(counted: CompletionUsage) -> Usage:
    return Usage(
        prompt_tokens=counted.prompt_tokens or 0,
        completion_tokens=counted.completion_tokens or 0,
        total_tokens=counted.total_tokens or 0,
    )


def _status_error(error: APIStatusError) -> LanguageModelError:
    if error.status_code == 400 and error.code in _POLICY_CODES:
        return _refused_error()
    return unavailable_error(_REASONS.get(error.status_code, f"answered {error.status_code}"))


def _unreadable_error(error: Exception) -> LanguageModelError:
    return unavailable_error(f"sent an unreadable response ({type(error).__name__})")


def _refused_error() -> LanguageModelError:
    return LanguageModelError(FailureKind.REFUSED, "The language model refuses to answer this question.")


def make_client(settings: Settings) -> AsyncOpenAI:
    """Return a client of the language model's server, with or without a configured key; the caller closes it."""
    key = settings.openai.api_key
    return AsyncOpenAI(
        api_key=key.get_secret_value() if key else PLACEHOLDER_KEY,
        base_url=settings.openai.base_url or OPENAI_URL,
        timeout=settings.openai.timeout,
        max_retries=settings.answers.max_retries,
        http_client=DefaultAsyncHttpxClient(**settings.language_model_server.client_options),
    )
