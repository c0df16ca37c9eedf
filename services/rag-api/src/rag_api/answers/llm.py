"""Language models. `OpenAILanguageModel` works with any OpenAI-compatible server."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Literal, Protocol, TypeVar

from mh_common.models import Usage
from openai import APIConnectionError, APIError, APIStatusError, APITimeoutError, AsyncOpenAI, AsyncStream
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessageParam
from openai.types.chat.chat_completion import Choice

T = TypeVar("T")


@dataclass(frozen=True)
class Message:
    """A chat message to the model."""

    role: Literal["system", "user"]
    content: str


@dataclass(frozen=True)
class SamplingParams:
    """Sampling and length parameters, named as in OpenAI's API; None: the server's default."""

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stop: str | Sequence[str] | None = None

    def parameters(self) -> dict[str, Any]:
        """Return the parameters that are set, by name."""
        return {name: value for name, value in vars(self).items() if value is not None}


SERVER_DEFAULTS: Final = SamplingParams()


@dataclass(frozen=True)
class Completion:
    """The model's answer, the model's name and the tokens used. After a stream, `text` is empty.

    `cut_short`: the model reached a token limit before the end.
    """

    text: str
    model: str
    usage: Usage
    cut_short: bool = False


class FailureKind(StrEnum):
    """Why there is no completion."""

    UNAVAILABLE = "unavailable"
    TIMEOUT = "timeout"
    REFUSED = "refused"


class LanguageModelError(Exception):
    """There is no completion. The message is meant for users and contains no text of the prompt or the model."""

    def __init__(self, kind: FailureKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class LanguageModel(Protocol):
    """A chat model. `deadline` is a time of the event loop, in seconds, by which the whole call must be done."""

    @property
    def name(self) -> str:
        """The model's name."""
        ...

    async def complete(
        self, messages: Sequence[Message], deadline: float, sampling: SamplingParams = SERVER_DEFAULTS
    ) -> Completion:
        """Return the model's answer, which is never blank.

        Raises:
            LanguageModelError: the only error.
        """
        ...

    def stream(
        self, messages: Sequence[Message], deadline: float, sampling: SamplingParams = SERVER_DEFAULTS
    ) -> AsyncGenerator[str | Completion]:
        """Yield the answer in chunks as they arrive, and finally a completion without text.

        A caller that stops early must close the iterator, which cancels the call.

        Raises:
            LanguageModelError: the only error; the text yielded so far is incomplete.
        """
        ...


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
            raise _unavailable_error("ended in the middle of its answer")
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
        failure = _unavailable_error("cannot be reached, or closed the connection")
    except APIError as error:  # an error event in the stream
        failure = (
            _refused_error()
            if error.code in _POLICY_CODES
            else _unavailable_error("failed in the middle of its answer")
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
    return _unavailable_error(_REASONS.get(error.status_code, f"answered {error.status_code}"))


def _unavailable_error(reason: str) -> LanguageModelError:
    return LanguageModelError(FailureKind.UNAVAILABLE, f"The language model {reason}.")


def _unreadable_error(error: Exception) -> LanguageModelError:
    return _unavailable_error(f"sent an unreadable response ({type(error).__name__})")


def empty_answer_error() -> LanguageModelError:
    """Return the error for an empty answer."""
    return _unavailable_error("returned an empty answer")


def _refused_error() -> LanguageModelError:
    return LanguageModelError(FailureKind.REFUSED, "The language model refuses to answer this question.")
