"""What answers need of a language model; `OpenAILanguageModel` is one."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Literal, Protocol

from mh_common.models import Usage


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


def unavailable_error(reason: str) -> LanguageModelError:
    """Return the error of a server that did not answer as it should."""
    return LanguageModelError(FailureKind.UNAVAILABLE, f"The language model {reason}.")


def empty_answer_error() -> LanguageModelError:
    """Return the error for an empty answer."""
    return unavailable_error("returned an empty answer")
