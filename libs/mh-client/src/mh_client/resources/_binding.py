"""Turn a function that returns a call into a method that sends it, synchronous or asynchronous, with exact types."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from inspect import Parameter, Signature, signature
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, get_args

from mh_client._base import Call
from mh_client.resources._signatures import expanded, refuse_unknown

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

    shown = _signature(describe)

    def method(self: Resource, /, *args: P.args, **kwargs: P.kwargs) -> T:
        refuse_unknown(shown, describe.__name__, kwargs)
        return self._sender.send(describe(*args, **kwargs))

    _document(method, describe, shown)
    return method


def async_method(describe: Callable[P, Call[T]]) -> Callable[Concatenate[AsyncResource, P], Coroutine[Any, Any, T]]:
    """Return an asynchronous method that sends the call and returns its result."""

    shown = _signature(describe)

    async def method(self: AsyncResource, /, *args: P.args, **kwargs: P.kwargs) -> T:
        refuse_unknown(shown, describe.__name__, kwargs)
        return await self._sender.send(describe(*args, **kwargs))

    _document(method, describe, shown)
    return method


def _signature(describe: Any) -> Signature:
    """Return the signature of `describe` as that of a method which returns the result of the call."""
    described = expanded(signature(describe))
    (returned,) = get_args(described.return_annotation)
    parameters = [Parameter("self", Parameter.POSITIONAL_ONLY), *described.parameters.values()]
    return described.replace(parameters=parameters, return_annotation=returned)


def _document(method: Any, describe: Any, shown: Signature) -> None:
    """Give the method a signature and the docstring of `describe`, for `help` and editors."""
    method.__signature__ = shown
    method.__name__ = describe.__name__
    method.__doc__ = describe.__doc__
