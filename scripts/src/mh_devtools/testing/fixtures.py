"""Types of the tests' fixtures, here because test files cannot import each other."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
import pytest
from mh_common.models import Conversation

ClientT = TypeVar("ClientT")

LITE = "milvus_lite"
SERVER = "milvus_server"
EACH_MILVUS = (LITE, pytest.param(SERVER, marks=(pytest.mark.slow, pytest.mark.xdist_group(SERVER))))
"""Fixture parameters for tests that run on Milvus Lite and, marked slow, on a Milvus server."""


@dataclass(frozen=True)
class MySQL:
    """A private MariaDB or MySQL server on the loopback address; user root without password."""

    port: int

    def url(self, database: str) -> str:
        """Return the URL of one of its databases."""
        return f"mysql+aiomysql://root@127.0.0.1:{self.port}/{database}"


RunApp = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]
"""Runs an application in this process with these settings while the block runs; yields a client for it."""

ServeApp = Callable[..., AbstractContextManager[str]]
"""Serves an application on its own port with these settings while the block runs; yields its URL."""

ConnectClient = Callable[[str], Awaitable[ClientT]]
"""Connects a client to the API at this URL."""

ConversationTable = dict[int, Conversation]
"""The rows of a stub of the conversations API, by id; tests may change them."""

MakeCaller = Callable[..., str]
"""Adds a caller with these scopes to a stub of the conversations API, further fields as keywords; returns its key."""

MakeConversation = Callable[..., Conversation]
"""Creates a conversation from id, question and answer, and further fields as keywords."""

WriteIndex = Callable[[Sequence[Conversation]], Awaitable[None]]
"""Writes these conversations to the table and to the index that the application under test uses."""

RunQuery = Callable[..., Awaitable[list[tuple[Any, ...]]]]
"""Runs a SQL statement with parameters as keywords; returns its rows."""

RunCommand = Callable[..., tuple[int, str, str]]
"""Runs the command with these arguments; returns its exit code, standard output and standard error."""

CallMethod = Callable[..., Any]
"""Calls a method of a client, by its dotted path, with these arguments; returns its result."""
