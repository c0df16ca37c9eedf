"""Threads of `mh ask`: questions that follow up on each other.

A thread is a file with the ids of its answers. The texts stay in the platform's history, and are gone when they are
deleted there.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from uuid import UUID

from mh_common.models import MAX_HISTORY_LENGTH, MAX_TURNS, ConversationTurn, FieldProblem, HistoryEntry

from mh_client._client import Client
from mh_client._errors import ConflictError, InvalidInputError, NotFoundError
from mh_client._state import state_folder

_NAME: Final = re.compile(r"[\w-][\w.-]{0,63}")
_LONGEST_TURN: Final = 8_000
"""Most characters that the platform takes of one turn."""


class Thread:
    """A thread by its name. Raises InvalidInputError for a name that cannot be a file's."""

    def __init__(self, name: str, folder: Path | None = None) -> None:
        if not _NAME.fullmatch(name):
            message = "must be 1 to 64 letters, digits, dashes, dots or underscores"
            raise InvalidInputError([FieldProblem(field="thread", message=message)])
        self._path = (folder or state_folder("threads")) / f"{name}.json"

    def turns(self, client: Client, user: str | None) -> list[ConversationTurn]:
        """Return the latest questions and answers, oldest first, as many as one request may have.

        Those that are no longer in the history are left out. Raises InvalidInputError if the platform keeps none.
        """
        turns: list[ConversationTurn] = []
        length = 0
        for answer_id in reversed(self._ids()[-MAX_TURNS // 2 :]):
            try:
                asked, answered = _turns_of(client.history.get(answer_id, user))
            except NotFoundError:
                continue
            except ConflictError as error:
                message = "needs the platform's history, which is disabled there"
                raise InvalidInputError([FieldProblem(field="thread", message=message)]) from error
            length += len(asked.content) + len(answered.content)
            if length > MAX_HISTORY_LENGTH:
                break
            turns[:0] = [asked, answered]
        return turns

    def add(self, answer_id: UUID) -> None:
        """Let the next question follow up on this answer. Raises OSError."""
        ids = [*self._ids(), answer_id]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps([str(one) for one in ids]), encoding="utf-8")

    def _ids(self) -> Sequence[UUID]:
        try:
            return [UUID(one) for one in json.loads(self._path.read_text(encoding="utf-8"))]
        except FileNotFoundError:
            return []
        except (ValueError, TypeError, AttributeError) as error:
            message = f"cannot be read from {self._path}; delete that file, or use another name"
            raise InvalidInputError([FieldProblem(field="thread", message=message)]) from error


def _turns_of(entry: HistoryEntry) -> tuple[ConversationTurn, ConversationTurn]:
    answer = entry.answer.strip()[:_LONGEST_TURN].strip() or "-"
    return ConversationTurn(role="user", content=entry.question), ConversationTurn(role="assistant", content=answer)
