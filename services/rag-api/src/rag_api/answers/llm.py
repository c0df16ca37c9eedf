"""The language model. `OpenAILanguageModel` is any server that speaks OpenAI's protocol."""

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
    """One message of a conversation with the model."""

    role: Literal["system", "user"]
    content: str


@dataclass(frozen=True)
class Sampling:
    """How the model chooses its words and when it ends, in OpenAI's terms; None: as the server has it."""

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stop: str | Sequence[str] | None = None

    def parameters(self) -> dict[str, Any]:
        """Return those that are given, by name."""
        return {name: value for name, value in vars(self).items() if value is not None}


AS_SERVED: Final = Sampling()


@dataclass(frozen=True)
class Completion:
    """What the model answered, which model it was, and the tokens it counted. Of a stream the text was given before.

    `cut_short`: the model came to a limit of tokens before its end.
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
    """There is no completion. The message is made for users and holds no text of a prompt or of the model."""

    def __init__(self, kind: FailureKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class LanguageModel(Protocol):
    """Completes a conversation. `deadline` is a time of the event loop, in seconds, by which all must be done."""

    async def complete(
        self, messages: Sequence[Message], deadline: float, sampling: Sampling = AS_SERVED
    ) -> Completion:
        """Return the model's answer, which is not blank.

        Raises:
            LanguageModelError: the only error.
        """
        ...

    def stream(
        self, messages: Sequence[Message], deadline: float, sampling: Sampling = AS_SERVED
    ) -> AsyncGenerator[str | Completion]:
        """Yield the answer in pieces as they come, and last a completion without text.

        Who stops iterating closes the iterator, which ends the call.

        Raises:
            LanguageModelError: the only error. What was yielded before is not the whole answer.
        """
        ...


_POLICY_CODES: Final = frozenset({"content_filter", "content_policy_violation", "invalid_prompt"})

_REASONS: Final = {
    401: "refuses the key",
    403: "refuses the key",
    404: "does not know the configured model",
    429: "is too busy, or the account has no quota left",
}


class OpenAILanguageModel:
    """A chat model of OpenAI or of a compatible server.

    Args:
        client: retries what fails before the answer begins; closed by who made it.
        model: the model's name.
    """

    def __init__(self, client: AsyncOpenAI, *, model: str) -> None:
        self._client = client
        self._model = model

    async def complete(
        self, messages: Sequence[Message], deadline: float, sampling: Sampling = AS_SERVED
    ) -> Completion:
        """See `LanguageModel.complete`."""
        params = [_param(message) for message in messages]
        create = self._client.chat.completions.create(
            model=self._model, messages=params, extra_body=sampling.parameters()
        )
        part = _read(await _by(deadline, create))
        if part.refused:
            raise _refused()
        if not part.text.strip():
            raise empty_answer()
        return Completion(part.text.strip(), part.model or self._model, part.usage or Usage(), part.cut_short)

    async def stream(
        self, messages: Sequence[Message], deadline: float, sampling: Sampling = AS_SERVED
    ) -> AsyncGenerator[str | Completion]:
        """See `LanguageModel.stream`."""
        params = [_param(message) for message in messages]
        create = self._client.chat.completions.create(
            model=self._model,
            messages=params,
            stream=True,
            stream_options={"include_usage": True},
            extra_body=sampling.parameters(),
        )
        answer = await _by(deadline, create)
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
        while chunk := await _by(deadline, anext(answer, None)):
            part = _read(chunk)
            model = part.model or model
            usage = part.usage or usage
            finished = finished or part.finished
            cut_short = cut_short or part.cut_short
            if part.refused:
                raise _refused()
            if part.text:
                yield part.text
        if not finished:
            raise _unavailable("broke off in the middle of its answer")
        yield Completion("", model, usage, cut_short)


@dataclass(frozen=True)
class _Part:
    """An answer, or what one event of a streamed one adds."""

    text: str = ""
    model: str | None = None
    usage: Usage | None = None
    finished: bool = False
    cut_short: bool = False
    refused: bool = False


def _read(answer: ChatCompletion | ChatCompletionChunk) -> _Part:
    try:
        usage = _usage(answer.usage) if answer.usage else None
        if not answer.choices:
            return _Part(model=answer.model, usage=usage)
        choice = answer.choices[0]
        message = choice.message if isinstance(choice, Choice) else choice.delta
        return _Part(
            text=message.content or "",
            model=answer.model,
            usage=usage,
            finished=choice.finish_reason is not None,
            cut_short=choice.finish_reason == "length",
            refused=choice.finish_reason == "content_filter" or bool(message.refusal),
        )
    except Exception as error:  # the SDK checks no shape
        failure = _unreadable(error)
    raise failure


async def _by(deadline: float, work: Awaitable[T]) -> T:
    """Await a call to the SDK until the deadline; every failure becomes a LanguageModelError."""
    try:
        async with asyncio.timeout_at(deadline):
            return await work
    except (APITimeoutError, TimeoutError):
        failure = LanguageModelError(FailureKind.TIMEOUT, "The language model did not answer in time.")
    except APIStatusError as error:
        failure = _from_status(error)
    except APIConnectionError:
        failure = _unavailable("cannot be reached, or broke off")
    except APIError as error:  # said in the stream itself
        failure = _refused() if error.code in _POLICY_CODES else _unavailable("failed in the middle of its answer")
    except Exception as error:  # the SDK checks no shape, and lets errors of JSON parsing through as they are
        failure = _unreadable(error)
    # Raised here, where the SDK's error is no longer the context: it quotes what the server said.
    raise failure


def _param(message: Message) -> ChatCompletionMessageParam:
    if message.role == "system":
        return {"role": "system", "content": message.content}
    return {"role": "user", "content": message.content}


def _usage(counted: CompletionUsage) -> Usage:
    return Usage(
        prompt_tokens=counted.prompt_tokens or 0,
        completion_tokens=counted.completion_tokens or 0,
        total_tokens=counted.total_tokens or 0,
    )


def _from_status(error: APIStatusError) -> LanguageModelError:
    if error.status_code == 400 and error.code in _POLICY_CODES:
        return _refused()
    return _unavailable(_REASONS.get(error.status_code, f"answered {error.status_code}"))


def _unavailable(reason: str) -> LanguageModelError:
    return LanguageModelError(FailureKind.UNAVAILABLE, f"The language model {reason}.")


def _unreadable(error: Exception) -> LanguageModelError:
    return _unavailable(f"gave an unreadable answer ({type(error).__name__})")


def empty_answer() -> LanguageModelError:
    """Return the error for an answer in which nothing stands."""
    return _unavailable("gave an empty answer")


def _refused() -> LanguageModelError:
    return LanguageModelError(FailureKind.REFUSED, "The language model refuses to answer this question.")
