"""Which texts an embedding server was sent, for a caller who wants to know."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

_recorded: ContextVar[list[str] | None] = ContextVar("mh_texts_sent_to_embedder", default=None)


@contextmanager
def recorded_texts() -> Iterator[list[str]]:
    """Yield a list to which each text is added that is sent to an embedding server while the block runs.

    Texts whose vectors are cached are not sent. The block must not yield to other code, as a generator's does.
    """
    texts: list[str] = []
    token = _recorded.set(texts)
    try:
        yield texts
    finally:
        _recorded.reset(token)


def record(texts: Sequence[str]) -> None:
    """Add texts that are about to be sent."""
    recorded = _recorded.get()
    if recorded is not None:
        recorded.extend(texts)
