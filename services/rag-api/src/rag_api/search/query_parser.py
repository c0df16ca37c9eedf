"""The query syntax of the search box: free text with phrases, excluded words and filters.

A filter is a field name, an operator and a value without spaces: `question_sentiment:negative`. Spaces around the
operator are allowed after names with an underscore, which nobody types by accident. Text that merely resembles a filter
stays text: a capital (`Re: my mother`), a space after the colon, a time (`10:30`), a URL, a smiley. A lower-case word
followed directly by a colon and a value is a filter, and an error if no such field exists: ignoring it or searching
for it would return hits that the user believes to be filtered.

A phrase in quotation marks must occur, unless it stands in more than MAX_WORDS_BESIDE_PHRASE other words: `My client
says "I'm so OCD" because she likes things neat` quotes somebody and is not a demand for these words.

Values with spaces or commas are quoted: `category:"panic attacks",sleep`. `category:*` matches any value, `-category:*`
none.
"""

import re
from dataclasses import dataclass
from typing import Final

from mh_common.errors import DomainError
from mh_common.field_values import validate_text
from mh_common.fields import BY_NAME, FIELDS, NAMES, ConversationField, Kind
from mh_common.models import MAX_ID, FieldProblem
from mh_common.stemming import words_of

from rag_api.search.filters import (
    And,
    Compare,
    ComparisonOperator,
    Condition,
    In,
    Not,
    Phrase,
    is_empty,
)
from rag_api.search.periods import compare, parse_period, within

# Names whose value may begin with any character: with a quotation mark, or `*`.
_TEXTS = "|".join(
    field.name for field in FIELDS if field.kind is Kind.TEXT or (field.optional and "_" not in field.name)
)
_LONG_NAMES = "|".join(field.name for field in FIELDS if "_" in field.name and field.kind is not Kind.TEXT)
_START = r"(?<!\S)"
_SIGN = "(?::|<=|>=|=|<|>)"
_TEXT = r'(?:"[^"]*"|[^\s",]+)'
_TOKEN: Final = re.compile(
    rf'{_START}(?P<without>-)?"(?P<phrase>[^"]*)"'
    rf"|{_START}(?P<minus>-)?(?P<known>(?i:{_LONG_NAMES}))\s*(?P<sign>{_SIGN})\s*(?P<value>\S*)"
    rf"|{_START}(?P<minus3>-)?(?P<text>{_TEXTS})(?P<sign3>{_SIGN})(?P<value3>{_TEXT}(?:,{_TEXT})*)"
    rf"|{_START}(?P<minus2>-)?(?P<name>[a-z][a-z_]+)(?P<sign2>{_SIGN})(?P<value2>\w\S*)"
    rf"|{_START}-(?P<word>[^\W\d_]\S*)"
)

ANY: Final = "*"
"""The value that matches any value."""

_OPERATORS: Final[dict[str, ComparisonOperator]] = {"<": "<", "<=": "<=", ">": ">", ">=": ">="}

MAX_CONDITIONS: Final = 50
"""Maximum number of phrases, excluded words and filters in one query."""

MAX_WORDS_BESIDE_PHRASE: Final = 5
"""Maximum number of other words in a query whose phrases must occur."""


class QuerySyntaxError(DomainError):
    """The query has a syntax error; the message says what to change."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.members = {"errors": [FieldProblem(field="query", message=message)]}


@dataclass(frozen=True)
class ParsedQuery:
    """The text to search for, and the condition of its phrases, excluded words and filters."""

    text: str
    condition: And


def parse_query(query: str) -> ParsedQuery:
    """Parse a query as typed into the search box.

    Raises:
        QuerySyntaxError: a filter or its value is invalid, or no text is left to search for.
    """
    conditions: list[Condition] = []
    beside = sum(1 for _ in words_of(_TOKEN.sub(" ", query)))
    quotes = beside > MAX_WORDS_BESIDE_PHRASE

    def replace_token(match: re.Match[str]) -> str:
        condition, text = _parse_token(match, quotes=quotes)
        conditions.extend(condition)
        return text

    text = " ".join(_TOKEN.sub(replace_token, query).split()) if _TOKEN.search(query) else query
    if len(conditions) > MAX_CONDITIONS:
        raise QuerySyntaxError(f"A query can have at most {MAX_CONDITIONS} phrases, excluded words and filters.")
    if conditions and not any(True for _ in words_of(text)):
        raise QuerySyntaxError(
            "Add search terms; the query has only filters and excluded words. To list conversations without searching, "
            "use GET /api/v1/conversations."
        )
    return ParsedQuery(text, And(conditions))


def _parse_token(match: re.Match[str], *, quotes: bool) -> tuple[list[Condition], str]:
    """Return the conditions of a matched token, and the text that remains to be searched for.

    If `quotes`, a phrase in quotation marks is text like any other.
    """
    found = match.groupdict()
    if found["phrase"] is not None and quotes and not found["without"]:
        return [], match[0]
    if found["phrase"] is not None:
        return _phrase_condition(found["phrase"], excluded=bool(found["without"]))
    if found["word"] is not None:
        return _phrase_condition(found["word"], excluded=True)
    name = (found["known"] or found["text"] or found["name"]).lower()
    operator = found["sign"] or found["sign2"] or found["sign3"]
    value = found["value"] or found["value2"] or found["value3"] or ""
    negated = any(found[minus] for minus in ("minus", "minus2", "minus3"))
    if name not in BY_NAME:
        raise QuerySyntaxError(
            f"There is no filter named {name}. The filters are {', '.join(NAMES)}. To search for the words themselves, "
            "put a space after the operator, or send plain_query."
        )
    return [_filter_condition(BY_NAME[name], operator, value, negated=negated)], " "


def _phrase_condition(text: str, *, excluded: bool) -> tuple[list[Condition], str]:
    stems = tuple(word.stem for word in words_of(text))
    if not stems:
        return [], " "
    phrase = Phrase(stems)
    return ([Not(phrase)], " ") if excluded else ([phrase], f" {text} ")


def _filter_condition(field: ConversationField, operator: str, value: str, *, negated: bool) -> Condition:
    if field.optional and value == ANY and operator in (":", "="):
        return is_empty(field.name, negated=not negated)
    match field.kind:
        case Kind.TEXT | Kind.URL:
            return _text_condition(field, operator, value, negated=negated)
        case Kind.DATE:
            return _time_condition(field, operator, value, negated=negated)
        case Kind.TIMESTAMP:
            return _time_condition(field, operator, value, negated=negated)
        case Kind.CHOICE:
            return _choice_condition(field, operator, value, negated=negated)
        case Kind.ID:
            return _id_condition(field, operator, value, negated=negated)


def _text_condition(field: ConversationField, operator: str, value: str, *, negated: bool) -> Condition:
    if operator not in (":", "="):
        raise QuerySyntaxError(f"{field.name} must be followed by a colon: {field.example}")
    # Commas are common in URLs.
    apart = re.findall(_TEXT, value) if field.kind is Kind.TEXT or value.startswith('"') else [value]
    try:
        values = [validate_text(field, one.strip('"')) for one in apart]
    except ValueError as error:
        raise QuerySyntaxError(f"{field.name} {error}.") from None
    return In(field.name, values, negated)


def _choice_condition(field: ConversationField, operator: str, value: str, *, negated: bool) -> Condition:
    if operator not in (":", "="):
        raise QuerySyntaxError(f"{field.name} must be followed by a colon: {field.example}")
    return In(field.name, [_validate_choice(field, one.lower()) for one in value.split(",")], negated)


def _validate_choice(field: ConversationField, value: str) -> str:
    if value not in list(field.choices):
        known = ", ".join(field.choices)
        raise QuerySyntaxError(
            f"{field.name} must be one of {known}, or several of them separated by commas without spaces."
        )
    return value


def _id_condition(field: ConversationField, operator: str, value: str, *, negated: bool) -> Condition:
    if operator in (":", "="):
        return In(field.name, [_parse_id(one) for one in value.split(",")], negated)
    _reject_minus(f"{field.name}{operator}", negated)
    return Compare(field.name, _OPERATORS[operator], _parse_id(value))


def _parse_id(value: str) -> int:
    # int() alone would also accept digits of any script, signs and underscores.
    if not re.fullmatch("[0-9]{1,19}", value) or int(value) > MAX_ID:
        raise QuerySyntaxError("id must be a number, or several separated by commas without spaces: id:1,2,3")
    return int(value)


def _time_condition(field: ConversationField, operator: str, value: str, *, negated: bool) -> Condition:
    name = field.name
    _reject_minus(name, negated)
    span = parse_period(value, field.kind)
    if span is None:
        examples = f"{name}>=2026, {name}:2026-03, {name}<=2026-03-01"
        if field.kind is Kind.DATE:
            raise QuerySyntaxError(f"{name} must be a year, a month or a day: {examples}")
        raise QuerySyntaxError(
            f"{name} must be a year, a month, a day or a time with a time zone: {examples}, {name}<2026-03-01T12:00:00Z"
        )
    if operator in (":", "="):
        return within(name, span)
    return compare(name, _OPERATORS[operator], span)


def _reject_minus(what: str, negated: bool) -> None:
    if negated:
        raise QuerySyntaxError(f"{what} cannot be negated with a minus; use the opposite operator instead.")
