"""What fixtures of the tests give, by name: test files annotate with these, as no test file can import another."""

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
"""Parameters of a fixture for tests that run on Milvus Lite and, among the slow ones, on a server."""


@dataclass(frozen=True)
class MySQL:
    """A private MariaDB or MySQL server on the loopback address; user root without password."""

    port: int

    def url(self, database: str) -> str:
        """Return the address of one of its databases."""
        return f"mysql+aiomysql://root@127.0.0.1:{self.port}/{database}"


RunApp = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]
"""Runs an application in this process, with these settings, while the block lasts; gives a client of it."""

ServeApp = Callable[..., AbstractContextManager[str]]
"""Serves an application on a port of its own, with these settings, while the block lasts; gives its address."""

ConnectClient = Callable[[str], Awaitable[ClientT]]
"""Connects a client to the API at this address."""

ConversationTable = dict[int, Conversation]
"""The rows that a stub of the conversations API has, by id; a test changes them as it likes."""

MakeConversation = Callable[..., Conversation]
"""Makes a conversation: its id, question and answer, and further fields as keywords."""

WriteIndex = Callable[[Sequence[Conversation]], Awaitable[None]]
"""Writes these conversations where the application under test looks for them: into the table and into the index."""

RunQuery = Callable[..., Awaitable[list[tuple[Any, ...]]]]
"""Runs a SQL statement, with parameters as keywords; gives its rows."""

RunCommand = Callable[..., tuple[int, str, str]]
"""Runs the command with these arguments; gives its exit code, standard output and standard error."""

CallMethod = Callable[..., Any]
"""Calls a method of a client, by its dotted path, with these arguments; gives what it returns."""
