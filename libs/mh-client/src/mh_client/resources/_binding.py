"""Turn a function that returns a call into a method that sends it, synchronous or asynchronous, with exact types."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from inspect import Parameter, signature
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, get_args

from mh_client._base import Call

P = ParamSpec("P")
T = TypeVar("T")


class Sender(Protocol):
    """Sends calls."""

    def send(self, call: Call[T]) -> T:
        """Return the result. Raises MHError."""
        ...

    def stream(self, call: Call[Any]) -> Generator[bytes]:
        """Yield the response body as it arrives. Raises MHError."""
        ...


class AsyncSender(Protocol):
    """Sends calls asynchronously."""

    def send(self, call: Call[T]) -> Awaitable[T]:
        """Return the result. Raises MHError."""
        ...

    def stream(self, call: Call[Any]) -> AsyncGenerator[bytes]:
        """Yield the response body as it arrives. Raises MHError."""
        ...


class Resource:
    """Base of a group of methods that share a sender."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender


class AsyncResource:
    """Base of a group of asynchronous methods that share a sender."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender


def sync_method(describe: Callable[P, Call[T]]) -> Callable[Concatenate[Resource, P], T]:
    """Return a method that sends the call and returns its result."""

    def method(self: Resource, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._sender.send(describe(*args, **kwargs))

    _document(method, describe)
    return method


def async_method(describe: Callable[P, Call[T]]) -> Callable[Concatenate[AsyncResource, P], Coroutine[Any, Any, T]]:
    """Return an asynchronous method that sends the call and returns its result."""

    async def method(self: AsyncResource, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._sender.send(describe(*args, **kwargs))

    _document(method, describe)
    return method


def _document(method: Any, describe: Any) -> None:
    """Give the method the signature and docstring of `describe`, for `help` and editors."""
    described = signature(describe)
    (returned,) = get_args(described.return_annotation)
    parameters = [Parameter("self", Parameter.POSITIONAL_ONLY), *described.parameters.values()]
    method.__signature__ = described.replace(parameters=parameters, return_annotation=returned)
    method.__name__ = describe.__name__
    method.__doc__ = describe.__doc__
