"""Recognises places smaller than a state by their names. Streets are in `streets`, postal codes in `numbers`."""

import re
from collections.abc import Iterator
from typing import Final

from mh_common.identifiers import vocabulary
from mh_common.identifiers.gazetteer import Gazetteer, Known
from mh_common.identifiers.protocol import Identifier, IdentifierKind
from mh_common.identifiers.tokens import CAPITALISED, CAPITALS, LOWER, Token

_STATE_CODES: Final = frozenset(code.upper() for code in vocabulary.STATES)
_ENGLISH_CODES: Final = frozenset(
    {"IN", "OR", "ME", "OK", "HI", "OH", "MA", "PA", "AL", "LA", "MS", "MD", "ID", "DE", "CO"}
)
"""States' codes that are words or abbreviations as well."""
_DEGREES: Final = frozenset({"MD", "PA", "MA", "MS", "DO"})
_CODE_AFTER: Final = re.compile(r", ([A-Z]{2})\b")
_POSTAL: Final = re.compile(r",?[ ]{1,2}\d{5}(?:-\d{4})?(?!\w)")


def find_towns(text: str, tokens: list[Token], gazetteer: Gazetteer) -> Iterator[Identifier]:
    """Yield the towns, counties and the like in the text; they may overlap."""
    place = 0
    while place < len(tokens):
        length = _length(text, tokens, place, gazetteer)
        if not length:
            place += 1
            continue
        first = place
        if (
            place
            and tokens[place - 1].text in ("N", "S", "E", "W")
            and text[tokens[place - 1].end : tokens[place].start] in (". ", " ")
        ):
            first -= 1
        yield Identifier(tokens[first].start, _with_state(text, tokens, place + length - 1), IdentifierKind.PLACE)
        place += length


def _length(text: str, tokens: list[Token], place: int, gazetteer: Gazetteer) -> int:
    """Return of how many words the place is that begins here, 0 if none does."""
    token = tokens[place]
    if token.known & Known.FUNCTION and token.folded not in vocabulary.PLACE_NOUNS_BEFORE:
        return 0
    capitalised = _is_capitalised(token)
    before = _phrase_before(text, tokens, place)
    several = _several_words(text, tokens, place, gazetteer)
    if several and (
        capitalised or (before and not all(token.known & Known.FUNCTION for token in tokens[place : place + several]))
    ):
        return max(several, _with_noun(text, tokens, place)) if capitalised else several
    if not capitalised:
        return int(token.written == LOWER and _is_in_lower_case(tokens, place, before))
    by_noun = _with_noun(text, tokens, place)
    if by_noun:
        return by_noun
    if token.known & Known.HARMLESS and token.written == CAPITALISED and _has_code(text, token.end) and not token.first:
        return 1
    run = _run(text, tokens, place)
    if (
        run
        and _state_after(text, tokens, place + run - 1)
        and not token.known & Known.HARMLESS
        and not (token.first and run == 1 and token.known & Known.WORD and not token.known & Known.PLACE)
    ):
        return run
    if token.known & Known.HARMLESS:
        return 0
    if before == "living" and run:
        return run
    if token.known & Known.PLACE and not token.known & Known.WORD:
        abbreviated = token.written == CAPITALS and len(token.text) < 4
        return 1 if before or not (token.is_name or abbreviated) else 0
    certain = before == "living" or tokens[place - 1].folded in ("in", "from", "near", "en", "aus")
    if (
        before
        and (certain or not token.known & Known.WORD)
        and (token.known & Known.PLACE or not token.known)
        and not _is_phrase(text, tokens, place)
    ):
        return max(run, 1) if token.written == CAPITALISED else 0
    return 0


def _is_capitalised(token: Token) -> bool:
    return token.written in (CAPITALISED, CAPITALS)


def _phrase_before(text: str, tokens: list[Token], place: int) -> str:
    """Return "living" if the words before say that somebody lives or is there, "in" for another preposition, or ""."""
    if not place or text[tokens[place - 1].end : tokens[place].start] not in (" ", "  "):
        return ""
    last = tokens[place - 1].folded
    if last in _LIVING:
        words = tuple(token.folded for token in tokens[max(0, place - 3) : place])
        for phrase in _LIVING[last]:
            if words[-len(phrase) :] == phrase and (len(phrase) > 1 or last in ("near", "outside", "from", "aus")):
                return "living"
    if last in vocabulary.PLACE_PREPOSITIONS:
        if place > 1 and tokens[place - 2].known & Known.PLACE and last in ("in", "to", "from"):
            return "in"
        return "in"
    return ""


def _living_by_last_word() -> dict[str, tuple[tuple[str, ...], ...]]:
    by_last: dict[str, list[tuple[str, ...]]] = {}
    for phrase in vocabulary.LIVING:
        by_last.setdefault(phrase[-1], []).append(phrase)
    return {last: tuple(phrases) for last, phrases in by_last.items()}


_LIVING: Final = _living_by_last_word()


def _several_words(text: str, tokens: list[Token], place: int, gazetteer: Gazetteer) -> int:
    """Return the length of the longest place of several words in the gazetteer that begins here."""
    for rest in gazetteer.places.get(tokens[place].folded, ()):
        length = 1 + len(rest)
        following = tokens[place + 1 : place + length]
        if len(following) < len(rest) or any(token.folded != word for token, word in zip(following, rest, strict=True)):
            continue
        if all(
            text[one.end : two.start] in (" ", ". ", "-") for one, two in zip(tokens[place:], following, strict=False)
        ) and all(
            (token.written == LOWER) == (tokens[place].written == LOWER) or token.folded in vocabulary.PARTICLES
            for token in following
        ):
            return length
    return 0


def _run(text: str, tokens: list[Token], place: int) -> int:
    """Return how many capitalised words that may be the name of a place stand here."""
    length = 0
    while place + length < len(tokens) and length < 4:
        token = tokens[place + length]
        if (
            not _is_capitalised(token)
            or (token.written == CAPITALS and length == 0 and len(token.text) < 4)
            or (length and token.folded in vocabulary.STATES and token.written == CAPITALS and len(token.text) == 2)
        ):
            break
        if token.known & Known.HARMLESS or (token.known & Known.FUNCTION and token.folded not in vocabulary.PARTICLES):
            break
        if length and (
            text[tokens[place + length - 1].end : token.start] not in (" ", ". ")
            or tokens[place + length - 1].possessive
        ):
            break
        if (
            text[tokens[place + length - 1].end : token.start] == ". "
            and length
            and tokens[place + length - 1].folded not in ("st", "mt", "ft")
        ):
            break
        length += 1
    return length


def _is_phrase(text: str, tokens: list[Token], place: int) -> bool:
    """Return whether a phrase in capitals goes on with an ordinary word: "in Dialectical Behavior Therapy"."""
    if place + 1 >= len(tokens) or text[tokens[place].end : tokens[place + 1].start] != " ":
        return False
    following = tokens[place + 1]
    return _is_capitalised(following) and bool(following.known & Known.WORD) and not following.known & Known.PLACE


def _with_noun(text: str, tokens: list[Token], place: int) -> int:
    """Return the length of a place that a noun makes one: "Harlan County", "Lake Wilmer", "San Ysidro"."""
    token = tokens[place]
    if not _is_capitalised(token) or (token.written == CAPITALS and len(token.text) < 3):
        return 0
    following, longest = 1, 0
    while place + following < len(tokens) and following < 4:
        gap = text[tokens[place + following - 1].end : tokens[place + following].start]
        one = tokens[place + following]
        if gap not in (" ", ". ") or not _is_capitalised(one) or tokens[place + following - 1].possessive:
            break
        if one.folded in vocabulary.PLACE_NOUNS_AFTER and gap == " ":
            own = [
                two
                for two in tokens[place : place + following]
                if two.folded not in vocabulary.GENERIC_BEFORE_PLACE_NOUNS and not two.known & Known.FUNCTION
            ]
            if own and not (
                token.first and following == 1 and token.known & Known.WORD and one.folded not in ("county", "township")
            ):
                longest = following + 1
        following += 1
    if longest:
        return longest
    if token.folded in vocabulary.PLACE_NOUNS_BEFORE and place + 1 < len(tokens):
        one = tokens[place + 1]
        gap = text[token.end : one.start]
        direction = token.folded in (
            "north",
            "south",
            "east",
            "west",
            "new",
            "old",
            "upper",
            "lower",
            "downtown",
            "port",
            "point",
            "camp",
            "la",
            "el",
            "los",
            "bad",
        )
        if (
            gap in (" ", ". ")
            and _is_capitalised(one)
            and not one.known & (Known.FUNCTION | Known.HARMLESS)
            and len(one.text) > 2
            and (one.known & Known.PLACE or not direction)
        ):
            return 2 if one.known & (Known.PLACE | Known.GIVEN | Known.FAMILY) or not one.known else 0
    return 0


def _is_in_lower_case(tokens: list[Token], place: int, before: str) -> bool:
    token = tokens[place]
    if before == "living" and token.known & Known.PLACE and token.known & Known.WORD and len(token.text) > 3:
        following = tokens[place + 1] if place + 1 < len(tokens) else None
        here = tokens[place - 1].folded == "in" and tokens[place - 2].folded in _RESIDING
        return (
            here
            and token.folded not in _STATES_OF_MIND
            and (following is None or bool(following.known & Known.FUNCTION))
        )
    if not before or token.known & (Known.WORD | Known.HARMLESS | Known.FUNCTION):
        return False
    if token.known & Known.PLACE:
        return before == "living" or tokens[place - 1].folded in ("in", "near", "en", "from", "aus")
    return (
        before == "living"
        and not token.known
        and len(token.text) > 4
        and tokens[place - 1].folded == "in"
        and tokens[place - 2].folded in ("live", "lives", "living", "lived", "born", "up", "raised", "resides")
    )


_RESIDING: Final = vocabulary.words("live lives living lived born up raised resides")
_STATES_OF_MIND: Final = vocabulary.words(
    """
    fear hope harmony peace poverty denial misery pain shame guilt limbo isolation darkness silence comfort
    luxury reality paradise hiding constant faith love unity liberty freedom
    """
)
"""In which one lives, although there are towns of these names."""


def _has_code(text: str, end: int) -> bool:
    """Return whether a state's code follows, such as ", TX": then even "Peru" is a town."""
    match = _CODE_AFTER.match(text, end)
    return match is not None and match[1] in _STATE_CODES - _ENGLISH_CODES


def _state_after(text: str, tokens: list[Token], place: int) -> int:
    """Return the number of words of the state or country after a town, as in ", OH" and ", New York"."""
    if place + 1 >= len(tokens):
        return 0
    gap, state = text[tokens[place].end : tokens[place + 1].start], tokens[place + 1]
    if gap not in (", ", ",", " "):
        return 0
    if state.text in _DEGREES and tokens[place].is_name and place and _is_capitalised(tokens[place - 1]):
        # "A. Rosario, MD"
        return 0
    if state.text in _STATE_CODES:
        return int(
            gap != " "
            or state.text
            not in ("IN", "OR", "ME", "OK", "HI", "OH", "MA", "PA", "AL", "LA", "MS", "MD", "ID", "DE", "CO")
        )
    if gap == " " or not _is_capitalised(state):
        return 0
    if state.folded in vocabulary.STATE_NAMES:
        return 1
    if (
        place + 2 < len(tokens)
        and _is_capitalised(tokens[place + 2])
        and (state.folded, tokens[place + 2].folded) in _STATES_OF_TWO_WORDS
    ):
        return 2
    return 0


_STATES_OF_TWO_WORDS: Final = frozenset(
    tuple(state.split())
    for state in vocabulary.listed(
        """
    new york, new jersey, new mexico, new hampshire, north carolina, south carolina, north dakota, south dakota,
    west virginia, rhode island, puerto rico, el salvador, costa rica, british columbia
    """
    )
)


def _with_state(text: str, tokens: list[Token], place: int) -> int:
    """Return the end of the place with its state and postal code, if they follow."""
    words = _state_after(text, tokens, place)
    end = tokens[place + words].end
    postal = _POSTAL.match(text, end) if words else None
    return postal.end() if postal else end
