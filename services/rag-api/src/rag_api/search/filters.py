"""Filter conditions, and their translation into Milvus's boolean expressions.

Milvus expressions are text, and this is the only module that builds them. Field names, enum members, integers and stems
(letters, digits and marks) are inserted as they are: none of them can terminate a literal. In other texts quotes and
backslashes are escaped; texts with control characters are rejected, as no field contains any.

Milvus Lite has no `not`, and a constant comparison crashes it. So conditions are negated at the leaves, every leaf
refers to a field, and what cannot be negated in place (`Not`) is replaced by the matching ids first. The same goes for
substrings that contain a wildcard, because Milvus Lite and Milvus servers escape wildcards differently.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from mh_common import vector_index as fields
from mh_common.field_values import is_single_line, to_index_value
from mh_common.fields import BY_NAME, FILTERS, TEXT_KINDS, Filter, Kind, Operator
from mh_common.models import SearchRequest

ComparisonOperator = Literal["<", "<=", ">", ">="]
FieldValue = int | str
Position = Literal["anywhere", "start", "end"]

MAX_CHAIN_LENGTH: Final = 8
"""Maximum number of expressions chained by one operator. Each adds a level to Milvus's parse tree (limit: about 50)."""


@dataclass(frozen=True)
class In:
    """The field has one of the values or, if `negated`, none of them.

    Without values it matches nothing or, if `negated`, everything. The values are as stored in the index, see
    `mh_common.field_values.to_index_value`.
    """

    field: str
    values: Sequence[FieldValue]
    negated: bool = False


@dataclass(frozen=True)
class Compare:
    """The field, a number as stored in the index, has a value for which the comparison holds."""

    field: str
    operator: ComparisonOperator
    value: int


@dataclass(frozen=True)
class Phrase:
    """The question or the answer contains words with these stems, next to each other and in this order."""

    stems: tuple[str, ...]


@dataclass(frozen=True)
class Substring:
    """The text field contains, starts with or ends with this text; case-sensitive."""

    field: str
    text: str
    position: Position = "anywhere"

    def matches(self, value: str) -> bool:
        """Return whether a value of the field matches."""
        match self.position:
            case "start":
                return value.startswith(self.text)
            case "end":
                return value.endswith(self.text)
            case "anywhere":
                return self.text in value

    @property
    def superset(self) -> "Condition":
        """A condition without wildcards that matches at least everything that this one matches."""
        longest = max(_WILDCARD.split(self.text), key=len)
        return Substring(self.field, longest) if longest else In(self.field, [""], negated=True)


@dataclass(frozen=True)
class Not:
    """The negation of a phrase or substring condition."""

    operand: Phrase | Substring


@dataclass(frozen=True)
class And:
    """All conditions hold; true when there are none."""

    operands: Sequence["Condition"] = ()


@dataclass(frozen=True)
class Or:
    """At least one condition holds; false when there are none."""

    operands: Sequence["Condition"] = ()


Condition = In | Compare | Phrase | Substring | Not | And | Or

MATCH_NOTHING: Final = In(fields.ID, ())
MATCH_ALL: Final = And()
"""Every conversation."""

_WILDCARD: Final = re.compile(r"[%_\\]")
_NOT_IN_STEMS: Final = re.compile(r"""[\s!-/:-@\[-`{-~]""")


def condition_from_request(request: SearchRequest) -> And:
    """Return the condition for the filter fields of a search request."""
    given = ((one, getattr(request, one.name)) for one in FILTERS.values())
    return And([_filter_condition(one, value) for one, value in given if value is not None])


def _filter_condition(one: Filter, value: Any) -> Condition:
    name = one.field.name
    match one.operator:
        case Operator.ANY_OF:
            return In(name, [to_index_value(one.field, each) for each in value])
        case Operator.GTE:
            return Compare(name, ">=", int(to_index_value(one.field, value)))
        case Operator.LT:
            return Compare(name, "<", int(to_index_value(one.field, value)))
        case Operator.IS_EMPTY:
            return is_empty(name, negated=not value)


def is_empty(name: str, *, negated: bool) -> Condition:
    """Return the condition that the field has no value or, if `negated`, that it has one."""
    field = BY_NAME[name]
    if not field.optional:
        return MATCH_ALL if negated else MATCH_NOTHING
    return In(name, [to_index_value(field, None)], negated)


def unresolved_leaves(condition: Condition) -> set[Phrase | Substring]:
    """Return what must be replaced by matching ids first: the operands of `Not`, and substrings with wildcards."""
    if isinstance(condition, Not):
        return {condition.operand}
    if isinstance(condition, Substring) and _WILDCARD.search(condition.text):
        return {condition}
    if isinstance(condition, And | Or):
        return {operand for part in condition.operands for operand in unresolved_leaves(part)}
    return set()


def to_milvus_expression(condition: Condition) -> str:
    """Return the condition as a Milvus expression; empty when it is always true.

    Raises:
        TypeError: there are `unresolved_leaves`, which have no expression of their own.
        ValueError: a value is not valid for its field.
    """
    if isinstance(condition, In):
        return _in_expression(condition)
    if isinstance(condition, Compare):
        return _compare_expression(condition)
    if isinstance(condition, Phrase):
        return _phrase_expression(condition)
    if isinstance(condition, Substring) and not unresolved_leaves(condition):
        return _substring_expression(condition)
    if isinstance(condition, And):
        return _join(" and ", [text for part in condition.operands if (text := to_milvus_expression(part))])
    if isinstance(condition, Or):
        return _or_expression(condition)
    raise TypeError("Unresolved conditions must be replaced by matching ids first")


def _or_expression(condition: Or) -> str:
    operands = [to_milvus_expression(part) for part in condition.operands]
    if not operands:
        return to_milvus_expression(MATCH_NOTHING)
    return "" if "" in operands else _join(" or ", operands)


def _join(word: str, operands: Sequence[str]) -> str:
    if len(operands) > MAX_CHAIN_LENGTH:
        middle = len(operands) // 2
        operands = _join(word, operands[:middle]), _join(word, operands[middle:])
    return word.join(f"({part})" for part in operands) if len(operands) > 1 else "".join(operands)


def _in_expression(condition: In) -> str:
    if not condition.values:
        # Milvus rejects an empty list. Ids start at 1.
        return "" if condition.negated else f"{fields.ID} < 0"
    literals = ", ".join(_to_literal(condition.field, value) for value in condition.values)
    return f"{condition.field} {'not in' if condition.negated else 'in'} [{literals}]"


def _to_literal(name: str, value: FieldValue) -> str:
    field = BY_NAME.get(name)
    if field is not None and field.kind in TEXT_KINDS:
        return _quote(str(value))
    if field is None or field.kind is not Kind.CHOICE:
        return f"{_to_integer(name, value):d}"
    if value not in list(field.choices) and not (field.optional and value == to_index_value(field, None)):
        raise ValueError(f"{name} does not have this value")
    return f'"{value}"'


def _quote(text: str) -> str:
    if not is_single_line(text):
        raise ValueError("Texts cannot contain control characters")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _compare_expression(condition: Compare) -> str:
    name, value = condition.field, _to_integer(condition.field, condition.value)
    compared = f"{name} {condition.operator} {value:d}"
    # A missing value is stored as 0; all real values are greater.
    return f"({name} > 0) and ({compared})" if name in BY_NAME and BY_NAME[name].optional else compared


def _to_integer(name: str, value: FieldValue) -> int:
    field = BY_NAME.get(name)
    if name != fields.QUESTION_HASH and (field is None or field.kind in (Kind.CHOICE, *TEXT_KINDS)):
        raise ValueError(f"{name} is not a number")
    return int(value)


def _substring_expression(condition: Substring) -> str:
    if BY_NAME[condition.field].kind not in TEXT_KINDS or not condition.text:
        raise ValueError("Substring conditions need a text field and a non-empty text")
    before, after = ("" if condition.position == position else "%" for position in ("start", "end"))
    return f"{condition.field} like {_quote(before + condition.text + after)}"


def _is_stem(text: str) -> bool:
    # Not by Unicode's categories: Python's may be older than those of mh_common.stemming.
    return bool(text) and is_single_line(text) and not _NOT_IN_STEMS.search(text)


def _phrase_expression(condition: Phrase) -> str:
    if not condition.stems or not all(map(_is_stem, condition.stems)):
        raise ValueError("A phrase consists of stems")
    return f'{fields.WORDS} like "% {" ".join(condition.stems)} %"'
