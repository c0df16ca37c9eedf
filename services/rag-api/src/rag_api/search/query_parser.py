"""What people type into a search box: free text with phrases, excluded words and filters in it.

A filter is a name, a sign and a value without blanks between them: `question_sentiment:negative`. Around the signs of
names with an underscore blanks are allowed, as nobody writes those names by chance. What only looks a little like a
filter is text: a capital (`Re: my mother`), a blank after the colon, a time (`10:30`), a URL, a smiley. A lower-case
word with a value right behind a colon is taken for a filter, and an error when nobody knows it: dropping it in silence,
or searching for it, would give hits that the user takes for filtered.

Texts stand in quotes where blanks or commas are in them: `category:"panic attacks",sleep`. `category:*` is any value,
and `-category:*` none.
"""

import re
from dataclasses import dataclass
from typing import Final

from mh_common.errors import DomainError
from mh_common.fields import BY_NAME, FIELDS, NAMES, ConversationField, Kind, text_of
from mh_common.models import MAX_ID, FieldProblem
from mh_common.stemming import words_of

from rag_api.search.filters import (
    Among,
    Compared,
    Comparison,
    Condition,
    Every,
    Phrase,
    Without,
    empty,
)
from rag_api.search.periods import compared, period, within

_TEXTS = "|".join(field.name for field in FIELDS if field.kind is Kind.TEXT)
_LONG_NAMES = "|".join(field.name for field in FIELDS if "_" in field.name and field.kind is not Kind.TEXT)
_START = r"(?<!\S)"
_SIGN = "(?::|<=|>=|=|<|>)"
_TEXT = r'(?:"[^"]*"|[^\s",]+)'
_PIECE: Final = re.compile(
    rf'{_START}(?P<without>-)?"(?P<phrase>[^"]*)"'
    rf"|{_START}(?P<minus>-)?(?P<known>(?i:{_LONG_NAMES}))\s*(?P<sign>{_SIGN})\s*(?P<value>\S*)"
    rf"|{_START}(?P<minus3>-)?(?P<text>{_TEXTS})(?P<sign3>{_SIGN})(?P<value3>{_TEXT}(?:,{_TEXT})*)"
    rf"|{_START}(?P<minus2>-)?(?P<name>[a-z][a-z_]+)(?P<sign2>{_SIGN})(?P<value2>\w\S*)"
    rf"|{_START}-(?P<word>[^\W\d_]\S*)"
)

ANY: Final = "*"
"""As value: whatever it is, if there is one."""

_SIGNS: Final[dict[str, Comparison]] = {"<": "<", "<=": "<=", ">": ">", ">=": ">="}

MAX_CONDITIONS: Final = 50
"""Phrases, excluded words and filters in one query."""


class QuerySyntaxError(DomainError):
    """The typed query cannot be understood; the message says what to change."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.members = {"errors": [FieldProblem(field="query", message=message)]}


@dataclass(frozen=True)
class TypedQuery:
    """The text to search for, without filters and excluded words, and what must hold besides."""

    text: str
    condition: Every


def parse(query: str) -> TypedQuery:
    """Take a typed query apart.

    Raises:
        QuerySyntaxError: a filter is unknown or its value is not understood, or nothing is left to search for.
    """
    conditions: list[Condition] = []

    def taken(match: re.Match[str]) -> str:
        condition, text = _piece(match)
        conditions.extend(condition)
        return text

    text = " ".join(_PIECE.sub(taken, query).split()) if _PIECE.search(query) else query
    if len(conditions) > MAX_CONDITIONS:
        raise QuerySyntaxError(f"A query can hold {MAX_CONDITIONS} phrases, excluded words and filters at most.")
    if conditions and not any(True for _ in words_of(text)):
        raise QuerySyntaxError(
            "Say in words what to search for, besides the filters and excluded words; to list conversations without a "
            "search, use GET /api/v1/conversations."
        )
    return TypedQuery(text, Every(conditions))


def _piece(match: re.Match[str]) -> tuple[list[Condition], str]:
    """Return what a piece of the query asks for, and what of it remains text."""
    found = match.groupdict()
    if found["phrase"] is not None:
        return _phrase(found["phrase"], excluded=bool(found["without"]))
    if found["word"] is not None:
        return _phrase(found["word"], excluded=True)
    name = (found["known"] or found["text"] or found["name"]).lower()
    sign = found["sign"] or found["sign2"] or found["sign3"]
    value = found["value"] or found["value2"] or found["value3"] or ""
    negated = any(found[minus] for minus in ("minus", "minus2", "minus3"))
    if name not in BY_NAME:
        raise QuerySyntaxError(
            f"There is no filter {name}. Known are {', '.join(NAMES)}. To search for the words themselves, put a "
            "blank after the sign, or send plain_query."
        )
    return [_filter(BY_NAME[name], sign, value, negated=negated)], " "


def _phrase(text: str, *, excluded: bool) -> tuple[list[Condition], str]:
    stems = tuple(word.stem for word in words_of(text))
    if not stems:
        return [], " "
    phrase = Phrase(stems)
    return ([Without(phrase)], " ") if excluded else ([phrase], f" {text} ")


def _filter(field: ConversationField, sign: str, value: str, *, negated: bool) -> Condition:
    if field.optional and value == ANY and sign in (":", "="):
        return empty(field.name, negated=not negated)
    match field.kind:
        case Kind.TEXT | Kind.URL:
            return _text(field, sign, value, negated=negated)
        case Kind.DAY:
            return _moment(field, sign, value, negated=negated)
        case Kind.MOMENT:
            return _moment(field, sign, value, negated=negated)
        case Kind.CHOICE:
            return _choice(field, sign, value, negated=negated)
        case Kind.ID:
            return _key(field, sign, value, negated=negated)


def _text(field: ConversationField, sign: str, value: str, *, negated: bool) -> Condition:
    if sign not in (":", "="):
        raise QuerySyntaxError(f"{field.name} takes a colon: {field.typed}")
    # Commas are common in addresses.
    apart = re.findall(_TEXT, value) if field.kind is Kind.TEXT or value.startswith('"') else [value]
    try:
        values = [text_of(field, one.strip('"')) for one in apart]
    except ValueError as error:
        raise QuerySyntaxError(f"{field.name} {error}.") from None
    return Among(field.name, values, negated)


def _choice(field: ConversationField, sign: str, value: str, *, negated: bool) -> Condition:
    if sign not in (":", "="):
        raise QuerySyntaxError(f"{field.name} takes a colon: {field.name}:negative")
    return Among(field.name, [_chosen(field, one.lower()) for one in value.split(",")], negated)


def _chosen(field: ConversationField, value: str) -> str:
    if value not in list(field.choices):
        known = ", ".join(field.choices)
        raise QuerySyntaxError(f"{field.name} is one of {known}, or several of them with commas and no blanks.")
    return value


def _key(field: ConversationField, sign: str, value: str, *, negated: bool) -> Condition:
    if sign in (":", "="):
        return Among(field.name, [_id(one) for one in value.split(",")], negated)
    _refuse_minus(f"{field.name}{sign}", negated)
    return Compared(field.name, _SIGNS[sign], _id(value))


def _id(value: str) -> int:
    # Not int() alone, which takes digits of every script, signs and underscores.
    if not re.fullmatch("[0-9]{1,19}", value) or int(value) > MAX_ID:
        raise QuerySyntaxError("id is a number, or several with commas and no blanks: id:1,2,3")
    return int(value)


def _moment(field: ConversationField, sign: str, value: str, *, negated: bool) -> Condition:
    name = field.name
    _refuse_minus(name, negated)
    span = period(value, field.kind)
    if span is None:
        examples = f"{name}>=2026, {name}:2026-03, {name}<=2026-03-01"
        if field.kind is Kind.DAY:
            raise QuerySyntaxError(f"{name} is a year, a month or a day: {examples}")
        raise QuerySyntaxError(
            f"{name} is a year, a month, a day or a time with its zone: {examples}, {name}<2026-03-01T12:00:00Z"
        )
    if sign in (":", "="):
        return within(name, span)
    return compared(name, _SIGNS[sign], span)


def _refuse_minus(what: str, negated: bool) -> None:
    if negated:
        raise QuerySyntaxError(f"{what} cannot be excluded with a minus; turn its sign around instead.")
