"""What a bulk request does with rows that are there already. No SQL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from mh_common.models import ConversationCreate, RowOutcome

TEXTS: Final = ("question", "answer")
OTHER_FIELDS: Final = tuple(name for name in ConversationCreate.model_fields if name not in TEXTS)
"""The fields that an update takes from a row: all but the texts, by which it is recognised."""


@dataclass
class Merge:
    """The work of a request.

    Attributes:
        added: conversations to add, in the order of the request.
        changed: all of `OTHER_FIELDS` of the stored conversations that take some from a row, by id.
        outcomes: what becomes of each row.
        targets: for each row the id of the stored conversation, or the place in `added`.
    """

    added: list[ConversationCreate] = field(default_factory=list)
    changed: dict[int, dict[str, Any]] = field(default_factory=dict)
    outcomes: list[RowOutcome] = field(default_factory=list)
    targets: list[tuple[int | None, int]] = field(default_factory=list)

    def ids(self, new_ids: Sequence[int]) -> list[int]:
        """Return the id of each row's conversation, given those of the conversations that were added."""
        return [new_ids[place] if key is None else key for key, place in self.targets]


def merge(
    items: Sequence[ConversationCreate], hashes: Sequence[bytes], stored: Mapping[bytes, Any], *, update: bool
) -> Merge:
    """Return what to do with rows, given their hashes and the stored conversations by hash.

    Of equal rows the first decides; with `update`, the fields that later ones give go before its own. A field that no
    row gives stays as it is stored. The outcome of what happens to a conversation is that of the first of its rows.
    """
    places: dict[bytes, list[int]] = {}
    for place, one in enumerate(hashes):
        places.setdefault(one, []).append(place)
    work = Merge(outcomes=[RowOutcome.SKIPPED] * len(items), targets=[(None, 0)] * len(items))
    for one, same in places.items():
        content = _together([items[place] for place in same]) if update else items[same[0]]
        row = stored.get(one)
        if row is None:
            target: tuple[int | None, int] = (None, len(work.added))
            work.added.append(content)
            work.outcomes[same[0]] = RowOutcome.ADDED
        else:
            target = (row.id, 0)
            if update and (changes := _changes(row, content)):
                work.changed[row.id] = changes
                work.outcomes[same[0]] = RowOutcome.UPDATED
        for place in same:
            work.targets[place] = target
    return work


def _together(rows: Sequence[ConversationCreate]) -> ConversationCreate:
    first, *others = rows
    given = {name: value for row in others for name, value in _given(row).items()}
    return first.model_copy(update=given) if given else first


def _given(row: ConversationCreate) -> dict[str, Any]:
    return {name: value for name in OTHER_FIELDS if (value := getattr(row, name)) is not None}


def _changes(row: Any, content: ConversationCreate) -> dict[str, Any]:
    """Return the fields of a stored conversation with those of a row, or nothing if none differs."""
    before = {name: getattr(row, name) for name in OTHER_FIELDS}
    after = {**before, **_given(content)}
    return after if after != before else {}
