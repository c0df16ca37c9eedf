"""What a conversation must be to be found, and the same in Milvus's language.

Milvus's expressions are text, so this is the one place that writes them. Only names of fields, members of enums,
integers and stems (letters and digits) go into them; none of it can end a literal.

Milvus Lite knows no `not`, and a constant comparison ends its process. So conditions are negated at their leaves, each
has a field in it, and what cannot be negated (`Without`) is replaced by ids before it is written.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from mh_common import vector_index as fields
from mh_common.fields import BY_NAME, FILTERS, Check, Filter, Kind, indexed
from mh_common.models import SearchRequest

Comparison = Literal["<", "<=", ">", ">="]
Value = int | str

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
    """The field, a number or a moment in microseconds since 1970, compares so with the value."""

    field: str
    comparison: Comparison
    value: int


@dataclass(frozen=True)
class Phrase:
    """Question or answer holds words with these stems, one behind the other."""

    stems: tuple[str, ...]


@dataclass(frozen=True)
class Without:
    """Neither question nor answer holds this phrase."""

    phrase: Phrase


@dataclass(frozen=True)
class Every:
    """All of them hold; true when there are none."""

    parts: Sequence["Condition"] = ()


@dataclass(frozen=True)
class Either:
    """At least one of them holds; false when there are none."""

    parts: Sequence["Condition"] = ()


Condition = Among | Compared | Phrase | Without | Every | Either

NOTHING: Final = Among(fields.ID, ())


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


def phrases_without(condition: Condition) -> set[Phrase]:
    """Return the phrases of every `Without` in the condition."""
    if isinstance(condition, Without):
        return {condition.phrase}
    if isinstance(condition, Every | Either):
        return {phrase for part in condition.parts for phrase in phrases_without(part)}
    return set()


def expression(condition: Condition) -> str:
    """Return the condition in Milvus's language; empty when it is always true.

    Raises:
        TypeError: there is a `Without` left, which has no form of its own.
        ValueError: a value does not belong to its field.
    """
    if isinstance(condition, Among):
        return _among(condition)
    if isinstance(condition, Compared):
        return f"{_number(condition.field)} {condition.comparison} {condition.value:d}"
    if isinstance(condition, Phrase):
        return _phrase(condition)
    if isinstance(condition, Every):
        return _joined(" and ", [text for part in condition.parts if (text := expression(part))])
    if isinstance(condition, Either):
        return _either(condition)
    raise TypeError("A phrase that must not occur has to be replaced by the ids where it does")


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
    if field is None or field.kind is not Kind.CHOICE:
        _number(name)
        return f"{value:d}"
    if value not in list(field.choices):
        raise ValueError(f"{name} has no such value")
    return f'"{value}"'


def _number(name: str) -> str:
    field = BY_NAME.get(name)
    if name != fields.QUESTION_HASH and (field is None or field.kind is Kind.CHOICE):
        raise ValueError(f"{name} is no number")
    return name


def _phrase(condition: Phrase) -> str:
    if not condition.stems or not all(stem.isalnum() for stem in condition.stems):
        raise ValueError("A phrase is made of stems")
    return f'{fields.WORDS} like "% {" ".join(condition.stems)} %"'
