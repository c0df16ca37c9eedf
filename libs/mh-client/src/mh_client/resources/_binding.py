"""Turn a function that describes a call into the method that sends it: one description, two methods, exact types."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from inspect import Parameter, signature
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, get_args

from mh_client._base import Call

P = ParamSpec("P")
T = TypeVar("T")


class Sender(Protocol):
    """Sends calls and waits for their answers."""

    def send(self, call: Call[T]) -> T:
        """Return the answer. Raises MHError."""
        ...

    def stream(self, call: Call[Any]) -> Generator[bytes]:
        """Yield the answer as it arrives. Raises MHError."""
        ...


class AsyncSender(Protocol):
    """Sends calls; their answers are awaited."""

    def send(self, call: Call[T]) -> Awaitable[T]:
        """Return the answer. Raises MHError."""
        ...

    def stream(self, call: Call[Any]) -> AsyncGenerator[bytes]:
        """Yield the answer as it arrives. Raises MHError."""
        ...


class Resource:
    """Methods that share a sender."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender


class AsyncResource:
    """Methods that share a sender whose answers are awaited."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender


def sync(describe: Callable[P, Call[T]]) -> Callable[Concatenate[Resource, P], T]:
    """Return the method that sends the described call and returns its answer."""

    def method(self: Resource, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._sender.send(describe(*args, **kwargs))

    _document(method, describe)
    return method


def asynchronous(describe: Callable[P, Call[T]]) -> Callable[Concatenate[AsyncResource, P], Coroutine[Any, Any, T]]:
    """Return the method that sends the described call; its answer is awaited."""

    async def method(self: AsyncResource, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._sender.send(describe(*args, **kwargs))

    _document(method, describe)
    return method


def _document(method: Any, describe: Any) -> None:
    """Let `help` and editors see the method's own parameters and what it returns."""
    described = signature(describe)
    (returned,) = get_args(described.return_annotation)
    parameters = [Parameter("self", Parameter.POSITIONAL_ONLY), *described.parameters.values()]
    method.__signature__ = described.replace(parameters=parameters, return_annotation=returned)
    method.__name__ = describe.__name__
    method.__doc__ = describe.__doc__
