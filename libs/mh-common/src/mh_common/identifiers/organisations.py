"""Recognises schools, clinics, churches, employers: whoever knows them knows where somebody is to be found."""

import re
from collections.abc import Iterator
from typing import Final

from mh_common.identifiers import vocabulary
from mh_common.identifiers.gazetteer import Known
from mh_common.identifiers.protocol import Identifier, IdentifierKind
from mh_common.identifiers.tokens import CAPITALISED, CAPITALS, LOWER, OTHER, Token

_CONNECTORS: Final = vocabulary.words("of the and for de la del du des y et und fur zum zur der las los le")
_SAINT: Final = re.compile(
    r"(?<!\w)(?:St\.?|Saint|Sankt|Ste\.?|Our Lady of|Holy"
    r"|Sacred)[ ][A-Z][\w\u2019']+(?:['\u2019]s)?(?:[ ][A-Z][\w\u2019']+){0,3}"
)
_LOWER_NOUNS: Final = vocabulary.words(
    """
    school elementary academy university college hospital clinic church temple mosque high bakery restaurant
    """
)
_NEVER_LAST: Final = vocabulary.words(
    """
    group services partners systems solutions law plant times record records news run park green auto base
    court department parish day units station
    """
)
_COMPOUND: Final = re.compile(
    r"(?<!\w)[A-ZÄÖÜ][\wäöüß]{2,30}-(?:Schule|Grundschule|Gymnasium|Realschule|Gesamtschule|Klinik|Klinikum|Krankenhaus|Kirche|Universität|Hochschule|Kita|Heim|Stift)(?!\w)"
)
_NUMBERED: Final = re.compile(
    r"(?<!\w)(?:P\.?S\.?|I\.?S\.?|J\.?H\.?S\.?|M\.?S\.?|H\.?S\.?|Local|Precinct|Lodge)[ ]?#?\d{1,4}(?!\w)"
)
_LEADING_IN_LOWER_CASE: Final = re.compile(
    r"(?<!\w)(?:lycée|collège|école|hôpital|clinique|crèche|foyer|colegio|escuela|instituto|hospital|clínica|iglesia|universidad|parroquia|université)"
    r"(?:[ ](?:de|del|la|las|los|du|des|le|l['\u2019]|d['\u2019]|primaire|maternelle"
    r"|de la)){0,3}[ '\u2019](?:[A-ZÀ-Þ][\w'\u2019-]{1,30}[ ]?){1,4}(?<![ ])"
)
_AT: Final = vocabulary.words("at for with by in bei en chez a @")


def find_organisations(text: str, tokens: list[Token]) -> Iterator[Identifier]:
    """Yield the organisations in the text; they may overlap."""
    for match in _COMPOUND.finditer(text):
        yield Identifier(*match.span(), IdentifierKind.ORGANISATION)
    place = 0
    while place < len(tokens):
        token = tokens[place]
        if token.folded in vocabulary.ORGANISATION_NOUNS and token.written in (CAPITALISED, CAPITALS):
            span = _around_noun(text, tokens, place)
            if span:
                yield _identifier(tokens, *span)
                place = span[1]
                continue
        if token.written == LOWER and token.folded in _LOWER_NOUNS:
            start = _before_noun_in_lower_case(text, tokens, place)
            if start is not None:
                yield _identifier(tokens, start, place + 1)
        if token.folded in vocabulary.ORGANISATION_LABELS and _LABEL_END.fullmatch(_gap(text, tokens, place)):
            span = _employer(text, tokens, place + 1, labelled=True)
            if span:
                yield _identifier(tokens, *span)
        if token.folded in _AT and _is_working(tokens, place):
            span = _employer(text, tokens, place + 1)
            if span:
                yield _identifier(tokens, *span)
        if token.folded in _ATTENDING and token.written == LOWER:
            span = _employer(text, tokens, place + 1)
            if span and tokens[span[0]].written != LOWER:
                yield _identifier(tokens, *span)
        place += 1
    for expression in (_NUMBERED, _LEADING_IN_LOWER_CASE):
        for match in expression.finditer(text):
            yield Identifier(*match.span(), IdentifierKind.ORGANISATION)
    for match in _SAINT.finditer(text):
        last = match[0].rsplit(" ", 1)[-1].casefold()
        if (
            "'s" in match[0]
            or "\u2019s" in match[0]
            or last in vocabulary.ORGANISATION_NOUNS
            or match[0].startswith(("Our", "Holy", "Sacred"))
        ):
            yield Identifier(*match.span(), IdentifierKind.ORGANISATION)


_LABEL_END: Final = re.compile(r":[ \t]{0,3}|[ ][-\u2013][ ]")
_ATTENDING: Final = vocabulary.words("attends attended attending joined besucht")


def _identifier(tokens: list[Token], start: int, end: int) -> Identifier:
    return Identifier(tokens[start].start, tokens[end - 1].end, IdentifierKind.ORGANISATION)


def _is_capitalised(token: Token) -> bool:
    return token.written in (CAPITALISED, CAPITALS, OTHER) and token.written != LOWER


def _gap(text: str, tokens: list[Token], place: int) -> str:
    return text[tokens[place].end : tokens[place + 1].start] if place + 1 < len(tokens) else "\n"


def _around_noun(text: str, tokens: list[Token], noun: int) -> tuple[int, int] | None:
    """Return the words of an organisation that has this noun, or None if it is a kind of them, not a certain one."""
    start, end = noun, noun + 1
    while start > 0 and noun - start < 6 and _is_joined(_gap(text, tokens, start - 1), tokens[start - 1]):
        before = tokens[start - 1]
        connector = (
            before.folded in _CONNECTORS
            and before.written == LOWER
            and start >= 2
            and _is_capitalised(tokens[start - 2])
            and before.folded not in ("the", "for")
            and (before.folded != "of" or tokens[start - 2].folded in vocabulary.LEADING_ORGANISATION_NOUNS)
        )
        if not _is_capitalised(before) and not connector:
            break
        if (
            before.known & Known.FUNCTION
            and (before.first or before.written != CAPITALISED or len(before.text) < 4)
            and not connector
            and before.folded not in vocabulary.PARTICLES
            and before.folded not in ("new", "old")
        ):
            break
        if before.folded in vocabulary.RELATIONS and before.first:
            break
        start -= 1
    while start < noun and tokens[start].folded in _CONNECTORS and tokens[start].written == LOWER:
        start += 1
    leading = tokens[noun].folded in vocabulary.LEADING_ORGANISATION_NOUNS
    while (
        end < len(tokens)
        and end - noun < 6
        and _gap(text, tokens, end - 1) in (" ", " & ", ", ", "-", "'s ", "\u2019s ")
        and not (tokens[end - 1].possessive and end - 1 > noun)
    ):
        following = tokens[end]
        gap = _gap(text, tokens, end - 1)
        if gap == ", " and following.folded not in ("inc", "llc", "ltd", "llp", "pllc", "pc"):
            break
        if (
            _is_capitalised(following)
            and (following.folded in vocabulary.ORGANISATION_NOUNS or leading)
            and not following.known & Known.HARMLESS
        ) or (
            following.folded in _CONNECTORS
            and following.written == LOWER
            and _continues_after(text, tokens, end, leading)
        ):
            end += 1
        else:
            break
    while end > noun + 1 and tokens[end - 1].folded in _CONNECTORS and tokens[end - 1].written == LOWER:
        end -= 1
    own = [
        token
        for token in tokens[start:end]
        if token.folded not in vocabulary.GENERIC
        and token.folded not in vocabulary.ORGANISATION_NOUNS
        and not (token.known & Known.FUNCTION and token.folded not in vocabulary.STATES)
    ]
    if not own:
        return None
    weak = tokens[noun].folded in _NEVER_LAST and end == noun + 1
    if weak and all(token.known & (Known.WORD | Known.HARMLESS) and not token.known & Known.PLACE for token in own):
        return None
    if all(token.known & Known.HARMLESS and not token.is_name for token in own) and end == noun + 1:
        return None
    if start == noun and tokens[noun].first and all(token.known & Known.WORD for token in own):
        return None
    return start, end


def _is_joined(gap: str, before: Token) -> bool:
    return gap in (" ", " & ", "-", "'s ", "\u2019s ", "' ", "\u2019 ", "'", ". ") and (
        gap != ". " or before.folded in ("st", "ste", "mt", "ft", "dr") or len(before.text) == 1
    )


def _continues_after(text: str, tokens: list[Token], place: int, leading: bool) -> bool:
    """Return whether a connector leads to more of the name: "University of Dayton", "Colegio de San José"."""
    following = place + 1
    while (
        following < len(tokens)
        and tokens[following].folded in _CONNECTORS
        and tokens[following].written == LOWER
        and _gap(text, tokens, following - 1) == " "
    ):
        following += 1
    return (
        leading
        and following < len(tokens)
        and _gap(text, tokens, following - 1) == " "
        and _is_capitalised(tokens[following])
        and tokens[place].folded in ("of", "de", "del", "la", "du", "des", "the", "der", "zum", "for", "y", "le")
    )


def _before_noun_in_lower_case(text: str, tokens: list[Token], noun: int) -> int | None:
    """Return where an organisation typed in lower case begins: "lincoln middle school"; None if it has no name."""
    attended = _attended_in_lower_case(text, tokens, noun)
    if attended is not None:
        return attended
    start = noun
    while start > 0 and noun - start < 4 and _gap(text, tokens, start - 1) == " ":
        before = tokens[start - 1]
        if before.written != LOWER:
            break
        if (
            before.folded in vocabulary.GENERIC
            and not before.known & Known.FUNCTION
            and before.folded
            not in (
                "is",
                "was",
                "his",
                "her",
                "in",
                "at",
                "from",
                "by",
                "has",
                "call",
                "calls",
                "called",
                "old",
                "new",
                "big",
                "large",
                "small",
                "after",
                "before",
                "first",
                "to",
            )
        ):
            start -= 1
            continue
        named = before.known & (Known.GIVEN | Known.FAMILY | Known.PLACE) and not before.known & (
            Known.WORD | Known.FUNCTION | Known.HARMLESS
        )
        if named:
            start -= 1
            return start
        break
    return None


def _attended_in_lower_case(text: str, tokens: list[Token], noun: int) -> int | None:
    """Return where a school's name begins after "goes to" or "attends": "west valley high"."""
    for start in range(max(1, noun - 3), noun):
        before = tokens[start - 1].folded
        goes = before == "to" and start > 1 and tokens[start - 2].folded in ("goes", "go", "going", "went")
        words = tokens[start:noun]
        if (goes or before in ("attends", "attend", "attended", "attending")) and all(
            token.written == LOWER and not token.known & (Known.FUNCTION | Known.HARMLESS) for token in words
        ):
            joined = all(_gap(text, tokens, place) == " " for place in range(start - 1, noun))
            own = [token for token in words if token.folded not in vocabulary.GENERIC]
            return start if joined and own and (len(words) > 1 or tokens[noun].folded != "school") else None
    return None


def _is_working(tokens: list[Token], place: int) -> bool:
    """Return whether somebody works, learns or is treated there: "works nights at", "a student at"."""
    before = [token.folded for token in tokens[max(0, place - 4) : place]]
    preposition = tokens[place].folded
    if preposition in ("at", "bei", "chez"):
        return True
    if preposition in ("for", "with", "by", "en", "a"):
        close = before[-2:]
        return any(
            word
            in (
                "works",
                "work",
                "worked",
                "working",
                "employed",
                "hired",
                "fired",
                "drives",
                "drove",
                "contracts",
                "trabaja",
                "trabajo",
                "travaille",
                "estudia",
            )
            for word in close
        )
    return False


def _employer(text: str, tokens: list[Token], place: int, *, labelled: bool = False) -> tuple[int, int] | None:
    """Return the words of the organisation that begins here, or None."""
    if place >= len(tokens) or (_gap(text, tokens, place - 1) != " " and not labelled):
        return None
    if tokens[place].folded in vocabulary.RELATIONS:
        return None
    if tokens[place].folded in ("the", "a", "an", "el", "la", "le", "der", "dem", "our", "my"):
        place += 1
        if place >= len(tokens) or _gap(text, tokens, place - 1) != " ":
            return None
    end = place
    while end < len(tokens) and end - place < 6:
        token = tokens[end]
        gap = _gap(text, tokens, end - 1)
        if end > place and (
            gap not in (" ", " & ", "-", "'s ", "\u2019s ", "' ")
            or (tokens[end - 1].possessive and not _is_capitalised(token))
        ):
            break
        connector = (
            token.folded in _CONNECTORS
            and token.written == LOWER
            and end > place
            and end + 1 < len(tokens)
            and _is_capitalised(tokens[end + 1])
            and token.folded in ("of", "and", "de", "the", "la", "del", "du")
        )
        if not connector and not _is_capitalised(token):
            break
        if token.known & Known.FUNCTION and not connector and not token.known & (Known.WORD | Known.PLACE):
            break
        end += 1
    if end == place:
        return None if labelled else _employer_in_lower_case(text, tokens, place)
    if (
        end + 1 < len(tokens)
        and tokens[end].folded in ("on", "off", "near")
        and _gap(text, tokens, end - 1) == _gap(text, tokens, end) == " "
        and _is_capitalised(tokens[end + 1])
        and not tokens[end + 1].known & (Known.HARMLESS | Known.FUNCTION)
    ):
        # "Walgreens on Elm"
        end += 2
    words = tokens[place:end]
    if all(token.known & Known.HARMLESS and not _is_employer_despite(tokens, place) for token in words):
        return None
    if all(token.folded in vocabulary.GENERIC or token.known & Known.FUNCTION for token in words):
        return None
    if len(words) == 1 and words[0].written == CAPITALS and len(words[0].text) < 4 and not words[0].is_name:
        return None
    return place, end


def _employer_in_lower_case(text: str, tokens: list[Token], place: int) -> tuple[int, int] | None:
    """Return the words of an organisation typed in haste: "works at walmart", "a shift at jiffy lube"."""
    if tokens[place - 1].folded not in ("at", "for", "bei", "chez", "en"):
        return None
    if place < 2 or not any(token.folded in _EMPLOYED for token in tokens[max(0, place - 4) : place - 1]):
        return None
    end = place
    while end < len(tokens) and end - place < 3 and (end == place or _gap(text, tokens, end - 1) in (" ", " & ")):
        token = tokens[end]
        if token.written != LOWER or token.known & Known.FUNCTION or token.folded in vocabulary.NO_EMPLOYERS:
            break
        # "works at understanding", "works for common goals"
        if token.known & Known.WORD and (token.folded.endswith("ing") or tokens[place - 1].folded != "at"):
            break
        end += 1
    own = [
        token for token in tokens[place:end] if token.folded not in vocabulary.GENERIC | vocabulary.ORGANISATION_NOUNS
    ]
    return (place, end) if own else None


_EMPLOYED: Final = vocabulary.words(
    "works worked job shift nights days employed manager cashier server barista waitress cook driver nurse"
)


def _is_employer_despite(tokens: list[Token], place: int) -> bool:
    """Return whether somebody works there, so that even a firm that everybody knows tells who it is."""
    before = [token.folded for token in tokens[max(0, place - 9) : place]]
    return any(
        word
        in (
            "works",
            "work",
            "worked",
            "working",
            "employed",
            "job",
            "shift",
            "manager",
            "cashier",
            "arbeitet",
            "trabaja",
            "travaille",
            "hired",
            "fired",
        )
        for word in before
    )
