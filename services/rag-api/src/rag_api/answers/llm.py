"""The language model. `OpenAILanguageModel` is any server that speaks OpenAI's protocol."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, Protocol

from mh_common.models import Usage
from openai import APIConnectionError, APIStatusError, APITimeoutError, AsyncOpenAI
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletion, ChatCompletionMessageParam


@dataclass(frozen=True)
class Message:
    """One message of a conversation with the model."""

    role: Literal["system", "user"]
    content: str


@dataclass(frozen=True)
class Completion:
    """What the model answered (never blank), which model it was, and the tokens it counted."""

    text: str
    model: str
    usage: Usage


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
    """Completes a conversation."""

    async def complete(self, messages: Sequence[Message]) -> Completion:
        """Return the model's answer.

        Raises:
            LanguageModelError: the only error.
        """
        ...


_POLICY_CODES: Final = frozenset({"content_filter", "content_policy_violation", "invalid_prompt"})

_REASONS: Final = {
    401: "refuses this service's key",
    403: "refuses this service's key",
    404: "does not know the configured model",
    429: "is too busy, or the account has no quota left",
}


class OpenAILanguageModel:
    """A chat model of OpenAI or of a compatible server.

    Args:
        client: its retries and its timeout of one attempt lie within `time_limit`; closed by who made it.
        model: the model's name.
        time_limit: seconds until an answer is given up, retries included.
    """

    def __init__(self, client: AsyncOpenAI, *, model: str, time_limit: float) -> None:
        self._client = client
        self._model = model
        self._time_limit = time_limit

    async def complete(self, messages: Sequence[Message]) -> Completion:
        """See `LanguageModel.complete`."""
        outcome = await self._ask([_param(message) for message in messages])
        if isinstance(outcome, LanguageModelError):
            # Raised here, where the SDK's error is no longer the context: it quotes what the server said.
            raise outcome
        return outcome

    async def _ask(self, messages: list[ChatCompletionMessageParam]) -> Completion | LanguageModelError:
        try:
            async with asyncio.timeout(self._time_limit):
                answer = await self._client.chat.completions.create(model=self._model, messages=messages)
            return self._completion(answer)
        except LanguageModelError as error:
            return error
        except (APITimeoutError, TimeoutError):
            return LanguageModelError(FailureKind.TIMEOUT, "The language model did not answer in time.")
        except APIStatusError as error:
            return _from_status(error)
        except APIConnectionError:
            return _unavailable("cannot be reached")
        except Exception as error:  # the SDK checks no shape, and lets errors of JSON parsing through as they are
            return _unavailable(f"gave an unreadable answer ({type(error).__name__})")

    def _completion(self, answer: ChatCompletion) -> Completion:
        choice = answer.choices[0]
        if choice.finish_reason == "content_filter" or choice.message.refusal:
            raise _refused()
        text = (choice.message.content or "").strip()
        if not text:
            raise _unavailable("gave an empty answer")
        return Completion(text, answer.model or self._model, _usage(answer.usage))


def _param(message: Message) -> ChatCompletionMessageParam:
    if message.role == "system":
        return {"role": "system", "content": message.content}
    return {"role": "user", "content": message.content}


def _usage(counted: CompletionUsage | None) -> Usage:
    if counted is None:
        return Usage()
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


def _refused() -> LanguageModelError:
    return LanguageModelError(FailureKind.REFUSED, "The language model refuses to answer this question.")
