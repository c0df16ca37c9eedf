"""What a conversation must be to be found, and the same in Milvus's language.

Milvus's expressions are text, so this is the one place that writes them. Names of fields, members of enums, integers
and stems (letters and digits) go into them as they are; none of it can end a literal. Of other texts quotes and
backslashes are escaped, and those with control characters refused, which no field holds.

Milvus Lite knows no `not`, and a constant comparison ends its process. So conditions are negated at their leaves, each
has a field in it, and what cannot be negated (`Without`) is replaced by ids before it is written. So is a part of a
text with a wildcard in it, as Milvus Lite and servers do not escape those alike.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from mh_common import vector_index as fields
from mh_common.fields import BY_NAME, FILTERS, OF_TEXT, Check, Filter, Kind, indexed, is_on_one_line
from mh_common.models import SearchRequest

Comparison = Literal["<", "<=", ">", ">="]
Value = int | str
Place = Literal["anywhere", "start", "end"]

MAX_CHAIN: Final = 8
"""Most expressions joined in a row. Each nests those before it in Milvus's tree, which may be some 50 deep."""


@dataclass(frozen=True)
class Among:
    """The field is one of the values or, `negated`, none of them. No values: nothing is among them.

    The values are those of the index; see `mh_common.fields.indexed`.
    """

    field: str
    values: Sequence[Value]
    negated: bool = False


@dataclass(frozen=True)
class Compared:
    """The field, a number as the index keeps it, has a value, and that compares so."""

    field: str
    comparison: Comparison
    value: int


@dataclass(frozen=True)
class Phrase:
    """Question or answer holds words with these stems, one behind the other."""

    stems: tuple[str, ...]


@dataclass(frozen=True)
class Part:
    """The field, a text, holds this part in this place, letter for letter."""

    field: str
    text: str
    place: Place = "anywhere"

    def holds(self, value: str) -> bool:
        """Say whether it is in a value."""
        match self.place:
            case "start":
                return value.startswith(self.text)
            case "end":
                return value.endswith(self.text)
            case "anywhere":
                return self.text in value

    @property
    def candidates(self) -> "Condition":
        """Some more than those it holds for, without a wildcard to write."""
        longest = max(_WILDCARD.split(self.text), key=len)
        return Part(self.field, longest) if longest else Among(self.field, [""], negated=True)


@dataclass(frozen=True)
class Without:
    """Neither question nor answer holds this phrase, or a field not this part."""

    phrase: Phrase | Part


@dataclass(frozen=True)
class Every:
    """All of them hold; true when there are none."""

    parts: Sequence["Condition"] = ()


@dataclass(frozen=True)
class Either:
    """At least one of them holds; false when there are none."""

    parts: Sequence["Condition"] = ()


Condition = Among | Compared | Phrase | Part | Without | Every | Either

NOTHING: Final = Among(fields.ID, ())

_WILDCARD: Final = re.compile(r"[%_\\]")


def requested(request: SearchRequest) -> Every:
    """Return what the request's own filters ask for."""
    given = ((one, getattr(request, one.name)) for one in FILTERS.values())
    return Every([_asked(one, value) for one, value in given if value is not None])


def _asked(one: Filter, value: Any) -> Condition:
    name = one.field.name
    match one.check:
        case Check.ANY_OF:
            return Among(name, [indexed(one.field, each) for each in value])
        case Check.FROM:
            return Compared(name, ">=", int(indexed(one.field, value)))
        case Check.BEFORE:
            return Compared(name, "<", int(indexed(one.field, value)))
        case Check.EMPTY:
            return empty(name, negated=not value)


def empty(name: str, *, negated: bool) -> Condition:
    """Return the condition that the field has no value or, `negated`, that it has one."""
    field = BY_NAME[name]
    if not field.optional:
        return Every() if negated else NOTHING
    return Among(name, [indexed(field, None)], negated)


def unwritten(condition: Condition) -> set[Phrase | Part]:
    """Return what has to be replaced by the ids where it holds: of every `Without`, and parts with a wildcard."""
    if isinstance(condition, Without):
        return {condition.phrase}
    if isinstance(condition, Part) and _WILDCARD.search(condition.text):
        return {condition}
    if isinstance(condition, Every | Either):
        return {phrase for part in condition.parts for phrase in unwritten(part)}
    return set()


def expression(condition: Condition) -> str:
    """Return the condition in Milvus's language; empty when it is always true.

    Raises:
        TypeError: there is something `unwritten` left, which has no form of its own.
        ValueError: a value does not belong to its field.
    """
    if isinstance(condition, Among):
        return _among(condition)
    if isinstance(condition, Compared):
        return _compared(condition)
    if isinstance(condition, Phrase):
        return _phrase(condition)
    if isinstance(condition, Part) and not unwritten(condition):
        return _part(condition)
    if isinstance(condition, Every):
        return _joined(" and ", [text for part in condition.parts if (text := expression(part))])
    if isinstance(condition, Either):
        return _either(condition)
    raise TypeError("What must not occur has to be replaced by the ids where it does")


def _either(condition: Either) -> str:
    parts = [expression(part) for part in condition.parts]
    if not parts:
        return expression(NOTHING)
    return "" if "" in parts else _joined(" or ", parts)


def _joined(word: str, parts: Sequence[str]) -> str:
    if len(parts) > MAX_CHAIN:
        middle = len(parts) // 2
        parts = _joined(word, parts[:middle]), _joined(word, parts[middle:])
    return word.join(f"({part})" for part in parts) if len(parts) > 1 else "".join(parts)


def _among(condition: Among) -> str:
    if not condition.values:
        # Milvus refuses an empty list. Ids begin at 1.
        return "" if condition.negated else f"{fields.ID} < 0"
    literals = ", ".join(_literal(condition.field, value) for value in condition.values)
    return f"{condition.field} {'not in' if condition.negated else 'in'} [{literals}]"


def _literal(name: str, value: Value) -> str:
    field = BY_NAME.get(name)
    if field is not None and field.kind in OF_TEXT:
        return _quoted(str(value))
    if field is None or field.kind is not Kind.CHOICE:
        return f"{_number(name, value):d}"
    if value not in list(field.choices):
        raise ValueError(f"{name} has no such value")
    return f'"{value}"'


def _quoted(text: str) -> str:
    if not is_on_one_line(text):
        raise ValueError("No text has control characters")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _compared(condition: Compared) -> str:
    name, value = condition.field, _number(condition.field, condition.value)
    compared = f"{name} {condition.comparison} {value:d}"
    # No value is 0, which all others are greater than.
    return f"({name} > 0) and ({compared})" if name in BY_NAME and BY_NAME[name].optional else compared


def _number(name: str, value: Value) -> int:
    field = BY_NAME.get(name)
    if name != fields.QUESTION_HASH and (field is None or field.kind in (Kind.CHOICE, *OF_TEXT)):
        raise ValueError(f"{name} is no number")
    return int(value)


def _part(condition: Part) -> str:
    if BY_NAME[condition.field].kind not in OF_TEXT or not condition.text:
        raise ValueError("A part is of a text")
    before, after = ("" if condition.place == place else "%" for place in ("start", "end"))
    return f"{condition.field} like {_quoted(before + condition.text + after)}"


def _phrase(condition: Phrase) -> str:
    if not condition.stems or not all(stem.isalnum() for stem in condition.stems):
        raise ValueError("A phrase is made of stems")
    return f'{fields.WORDS} like "% {" ".join(condition.stems)} %"'
