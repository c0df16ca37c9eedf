"""Recognises names of persons by lists of names, by what announces them, and by where else in the text they are."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from mh_common.identifiers import vocabulary
from mh_common.identifiers.gazetteer import Gazetteer, Known
from mh_common.identifiers.languages import language_of
from mh_common.identifiers.protocol import Identifier, IdentifierKind
from mh_common.identifiers.tokens import CAPITALISED, CAPITALS, LOWER, Token

_LONGEST_NAME: Final = 6
_INITIALS: Final = re.compile(r"(?<![\w.])[A-Z]\.[ ]?(?:[A-Z]\.[ ]?){1,2}(?<![ ])(?!\w)")
_ABBREVIATIONS: Final = vocabulary.words(
    """
    us uk dc am pm md ba ma bs ms phd rn iv iq po er tv ny nyc ocd do pa si hi ad bc aa na dv rx ie eg ps nb
    usa la pt ot st ta oa op pc cc mi
    """
)
_INITIAL_AND_VERB: Final = re.compile(r"(?<![\w.])(?P<it>[B-HJ-Z]\.?)(?=['\u2019]s\b|[ ](?P<verb>[a-z]+)\b)")
_WEEKDAYS: Final = frozenset(
    day + end
    for day in ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
    for end in ("", "s")
)
_SINGLE_LETTERS: Final = vocabulary.words("i a o e u y")

_CONNECTING: Final = frozenset(
    {
        " ",
        "  ",
        ", ",
        ": ",
        " (",
        " - ",
        " \u2013 ",
        " \u2014 ",
        ' "',
        " \u201c",
        ", \u201c",
        ': "',
        "\t",
        ":",
        ":\t",
        ":  ",
        " '",
        "; ",
        "/",
        " / ",
    }
)
_JOINING: Final = frozenset(
    {" ", "  ", ' "', '" ', " \u201c", "\u201d ", " (", ") ", " '", "' ", "\u00a0", " \u2018", "\u2019 "}
)

_EPITHETS: Final = vocabulary.words("Big Little Lil Lil' Old Baby Crazy Uncle Auntie")
"""Before a name and part of it, as in "Big Mike"."""

SURE, LIKELY, POSSIBLE = 3, 2, 1
"""How surely the word before announces a name: a title or label; a relation such as "mother"; a word such as "with"."""


class _Text:
    """One text while names are looked for."""

    def __init__(self, text: str, tokens: list[Token], taken: Iterable[Identifier], gazetteer: Gazetteer) -> None:
        self.text = text
        self.known_people = gazetteer.known_people
        self.is_slip = gazetteer.is_slip
        self.tokens = tokens
        self.cues = [0] * len(tokens)
        self.languages = _languages(text, tokens)
        self.in_capitals, self.in_title_case = _cases(text, tokens)
        self.taken = _covered(tokens, taken)
        self.part = [False] * len(tokens)
        """Whether the token is part of a name."""

    def gap(self, place: int) -> str:
        """Return what is between a token and the one after it, without a possessive ending."""
        if place + 1 >= len(self.tokens):
            return ""
        return self.text[self.tokens[place].end : self.tokens[place + 1].start]


def find_people(
    text: str, tokens: list[Token], taken: Iterable[Identifier], gazetteer: Gazetteer
) -> Iterator[Identifier]:
    """Yield the names of persons in the text; they may overlap what is taken already, such as organisations."""
    state = _Text(text, tokens, taken, gazetteer)
    _mark_cues(state)
    yield from _initials(text, state)
    place = 0
    found: list[tuple[int, int]] = []
    while place < len(tokens):
        if not state.taken[place] and _is_name(state, place):
            start, end = _extent(state, place)
            for part in range(start, end):
                state.part[part] = True
            found.append((start, end))
            place = end
        else:
            place += 1
    found += _again(state, found)
    for start, end in found:
        yield _span(state, start, end)


def _languages(text: str, tokens: list[Token]) -> list[str | None]:
    """Return the language of each token's line or, where it shows none, of the text."""
    whole = language_of([token.text.lower() for token in tokens[:2000]])
    languages: list[str | None] = []
    line: list[Token] = []

    def end_line() -> None:
        language = language_of([token.text.lower() for token in line]) if len(line) > 4 else None
        languages.extend([language or whole] * len(line))
        line.clear()

    for place, token in enumerate(tokens):
        if place and "\n" in text[tokens[place - 1].end : token.start]:
            end_line()
        line.append(token)
    end_line()
    return languages


def _cases(text: str, tokens: list[Token]) -> tuple[list[bool], list[bool]]:
    """Return of each token whether its sentence is in capitals, and whether most of its words are capitalised."""
    in_capitals: list[bool] = []
    in_title_case: list[bool] = []
    sentence: list[Token] = []

    def end_sentence() -> None:
        long = [token for token in sentence if len(token.text) > 1]
        longer = [token for token in sentence if len(token.text) > 3]
        capitals = sum(token.written == CAPITALS for token in longer)
        raised = sum(token.written in (CAPITALS, CAPITALISED) for token in long)
        in_capitals.extend([len(longer) > 1 and capitals > 0.7 * len(longer)] * len(sentence))
        in_title_case.extend([len(long) > 3 and raised > 0.6 * len(long)] * len(sentence))
        sentence.clear()

    for place, token in enumerate(tokens):
        if place and token.first and text[tokens[place - 1].end : token.start].strip() not in ("(", "\u201c", '"'):
            end_sentence()
        sentence.append(token)
    end_sentence()
    return in_capitals, in_title_case


def _covered(tokens: list[Token], taken: Iterable[Identifier]) -> list[bool]:
    spans = sorted((one.start, one.end) for one in taken)
    covered, next_span, reach = [], 0, 0
    for token in tokens:
        while next_span < len(spans) and spans[next_span][0] <= token.start:
            reach = max(reach, spans[next_span][1])
            next_span += 1
        covered.append(token.start < reach)
    return covered


# --- What announces a name


def _mark_cues(state: _Text) -> None:
    tokens = state.tokens
    for place, token in enumerate(tokens):
        word, gap = token.folded, state.gap(place)
        if _is_title(state, place):
            _cue(state, place + 1, SURE)
        if word in vocabulary.RELATIONS and not token.possessive and (word != "son" or state.languages[place] != "fr"):
            _cue_after_relation(state, place)
        if gap.lstrip().startswith(":") and "\n" not in gap.strip(" \t\n") and word in vocabulary.LABELS:
            _cue(state, place + 1, SURE)
        if word in vocabulary.INTRODUCTIONS and gap.strip(" :\"\u201c'") == "":
            _cue(state, place + 1, LIKELY if word in ("called", "formerly", "dear", "alias") else SURE)
        if (
            word in vocabulary.GREETINGS
            and "." not in gap
            and (token.first or tokens[place - 1].folded in ("best", "kind", "warm", "thank"))
        ):
            _cue(state, place + 1, LIKELY)
        if word in vocabulary.BEFORE_NAMES and gap == " ":
            _cue(state, place + 1, POSSIBLE)
        if place + 2 < len(tokens):
            following = tokens[place + 1].folded
            if (word, following) in _PHRASES:
                _cue(state, place + 2, SURE if word in ("name", "names", "goes", "call", "known") else LIKELY)
        if word == "w" and gap in ("/", "/ "):
            _cue(state, place + 1, POSSIBLE)
        if word == "i" and state.text[token.end : token.end + 2] in ("'m", "\u2019m"):
            _cue(state, place + 1, LIKELY)
        if word == "im":
            _cue(state, place + 1, LIKELY)


_PHRASES: Final = frozenset(
    tuple(phrase.split())
    for phrase in vocabulary.listed(
        """
    name is, name was, names are, this is, call me, call her, call him, goes by, go by, known as, i am, to as,
    name ist, nombre es, nom est, c est, ich bin, je suis, soy la, cared by, seen by, referred by, signed by,
    accompanied by, written by, prepared by, reviewed by, assaulted by, raised by, abused by, supervised by,
    named after
    """
    )
)
"""Pairs of words before a name."""


def _cue(state: _Text, place: int, strength: int) -> None:
    if place < len(state.tokens):
        state.cues[place] = max(state.cues[place], strength)


def _is_title(state: _Text, place: int) -> bool:
    token = state.tokens[place]
    gap = state.gap(place)
    if token.folded == "m" and token.text == "M":
        return gap == ". " and state.languages[place] == "fr"
    if token.folded not in vocabulary.TITLES or gap not in (" ", ". ", ".", ".  ", "  "):
        return False
    if "." in gap and token.folded not in vocabulary.ABBREVIATED_TITLES:
        return False
    if token.written == LOWER:
        return token.folded in vocabulary.TITLES_IN_LOWER_CASE
    if token.folded == "me" and state.languages[place] != "fr":
        return False
    if (
        token.folded in ("mother", "father", "sister", "brother")
        and token.first
        and state.text[token.start - 1 : token.start] not in ('"', "\u201c", "'", "\u2018")
    ):
        # A relation: "Mother Keisha" or "Mother Presents"
        return False
    return (
        token.folded != "sr"
        or state.languages[place] != "en"
        or (gap == ". " and _is_capitalised(state.tokens[place + 1]))
    )


def _cue_after_relation(state: _Text, place: int) -> None:
    """Mark the word after a relation: "mother Keisha", "mother, Keisha", "mother is Keisha", "mother named Keisha"."""
    gap = state.gap(place)
    if gap not in _CONNECTING:
        return
    following = place + 1
    skipped = 0
    while (
        following < len(state.tokens)
        and skipped < 3
        and state.tokens[following].folded
        in ("is", "named", "called", "whose", "name", "namens", "ist", "heisst", "se", "llama", "est", "s'appelle")
    ):
        if state.gap(following) not in _CONNECTING:
            return
        following += 1
        skipped += 1
    if following < len(state.tokens):
        only_is = skipped == 1 and state.tokens[following - 1].folded in ("is", "ist", "est", "called")
        _cue(
            state,
            following,
            SURE if skipped > 1 else POSSIBLE if only_is and not _is_capitalised(state.tokens[following]) else LIKELY,
        )


# --- What is a name


def _is_capitalised(token: Token) -> bool:
    return token.written in (CAPITALISED, CAPITALS)


def _is_name(state: _Text, place: int) -> bool:
    """Return whether a name begins here, or is here."""
    token = state.tokens[place]
    if len(token.text) == 1:
        return _is_cued_initial(state, place)
    if token.folded in _WEEKDAYS or token.written not in (LOWER, CAPITALISED, CAPITALS):
        return False
    if token.folded in vocabulary.RELATIONS and (token.written == LOWER or state.cues[place] < SURE):
        return False
    if (
        token.known & Known.FUNCTION
        and not _is_in_list(state, place)
        and not (
            token.is_name
            and token.written == CAPITALISED
            and (state.cues[place] >= LIKELY or (token.folded == "will" and _does_something(state, place)))
        )
    ):
        return False
    if token.written == LOWER:
        return _is_name_in_lower_case(state, place)
    return _is_capitalised_name(state, place)


def _is_capitalised_name(state: _Text, place: int) -> bool:
    token, cue, language = state.tokens[place], state.cues[place], state.languages[place]
    known = token.known
    in_capitals = token.written == CAPITALS
    if known & Known.HARMLESS and not _is_in_list(state, place):
        return (
            token.is_name
            and not _is_eponym(state, place)
            and (cue >= LIKELY or _joins_a_name(state, place) or _does_something(state, place))
        )
    if in_capitals and len(token.text) < 4 and not state.in_capitals[place]:
        # An abbreviation, unless a person is announced: "client JP".
        return (cue >= LIKELY and (token.is_name or _is_client(state, place)) and len(token.text) > 1) or (
            token.is_name and not known & Known.WORD and cue == SURE
        )
    if cue == SURE:
        return _is_announced(state, place)
    if _is_eponym(state, place) or (cue < LIKELY and _is_known_person(state, place)):
        return False
    if token.is_name and not known & Known.WORD:
        return _is_strong_name(state, place)
    if token.is_name:
        return _is_weak_name(state, place)
    if known & Known.PLACE and not known & Known.WORD:
        return cue >= LIKELY or _joins_a_name(state, place)
    if known & Known.WORD:
        return (
            cue == LIKELY and not token.first and not state.in_title_case[place] and _is_name_by_relation(state, place)
        )
    return _is_unknown_name(state, place, language, in_capitals)


def _is_announced(state: _Text, place: int) -> bool:
    """Return whether what follows a title or label is a name, in whatever dictionary it is."""
    token = state.tokens[place]
    if token.is_name or not token.known & Known.WORD:
        return True
    before = state.tokens[place - 1]
    if before.folded in vocabulary.TITLES and _is_title(state, place - 1):
        return True
    if ":" in state.gap(place - 1):
        # "Patient: Reports pain" is no name, "Client: Precious Stone" and "Client: Precious\n" are.
        following = state.gap(place)
        return (
            place + 1 == len(state.tokens)
            or "\n" in following
            or (_is_capitalised(state.tokens[place + 1]) and following == " " and bool(state.tokens[place + 1].is_name))
        )
    return True


def _is_strong_name(state: _Text, place: int) -> bool:
    token = state.tokens[place]
    if state.languages[place] == "de" and not token.known & Known.GIVEN and state.cues[place] < LIKELY:
        # Every noun has a capital, and many are family names somewhere.
        return _joins_a_name(state, place)
    if (
        token.first
        and state.languages[place] in ("es", "fr")
        and not token.known & Known.FREQUENT
        and state.cues[place] < LIKELY
    ):
        # Other words of these languages are in no list.
        return _does_something(state, place) or _joins_a_name(state, place)
    return True


def _is_weak_name(state: _Text, place: int) -> bool:
    """Return whether an ordinary word that is also a name is one here."""
    token, cue = state.tokens[place], state.cues[place]
    if cue >= LIKELY and state.languages[place] != "de":
        return not state.in_title_case[place] or bool(token.known & Known.GIVEN) or token.possessive
    if cue >= LIKELY:
        return bool(token.known & Known.GIVEN)
    if _joins_a_name(state, place) or _is_in_list(state, place) or _is_family(state, place):
        return True
    if state.languages[place] == "de":
        return False
    if token.first:
        return bool(token.known & Known.GIVEN) and _does_something(state, place)
    if (
        state.in_title_case[place]
        or state.in_capitals[place]
        or state.tokens[place - 1].folded in vocabulary.DETERMINERS
    ):
        return False
    return not _has_capitalised_neighbour(state, place)


def _is_unknown_name(state: _Text, place: int, language: str | None, in_capitals: bool) -> bool:
    """Return whether a capitalised word that no list has is a name."""
    token, cue = state.tokens[place], state.cues[place]
    if len(token.text) < 3 or _UNLIKELY.search(token.folded):
        return cue >= LIKELY and len(token.text) > 1
    if cue >= LIKELY:
        return True
    if in_capitals:
        return state.in_capitals[place] and len(token.text) > 3 and language in ("en", None)
    if language == "de":
        return _joins_a_name(state, place) or (token.possessive and not token.first)
    if token.first and language in ("es", "fr"):
        return _does_something(state, place) or _joins_a_name(state, place)
    return True


_UNLIKELY: Final = re.compile(
    r"(?:phobia|phobic|osis|itis|emia|algia|ectomy|opathy|therapy|therapies|pine|azole|oxetine|pram|zepam|zolam|triptyline|idone|olol|pril|statin|sartan|cillin|mycin|azine"
    r"|phrenia|mania|dysphoria|ological|ology|ologist|iatric|iatry|ization|isation|tion|tions|ness|ically|istic|ality|ities|dding|wise|ously|ively)$"
)
"""Endings of terms and medicines that a dictionary may lack."""


def _is_name_by_relation(state: _Text, place: int) -> bool:
    """Return whether an ordinary word with a capital after a relation is a name: "my sister Precious"."""
    before = place - 1
    if before < 0 or state.gap(before) not in (" ", ", ", " (", ' "', " \u201c"):
        return False
    token = state.tokens[place]
    following = state.tokens[place + 1] if place + 1 < len(state.tokens) else None
    return token.written == CAPITALISED and not (
        following and _is_capitalised(following) and state.gap(place) == " " and not following.is_name
    )


def _is_name_in_lower_case(state: _Text, place: int) -> bool:
    token, cue = state.tokens[place], state.cues[place]
    known = token.known
    if len(token.text) < 3 or known & Known.HARMLESS:
        return False
    plain = token.is_name and not known & Known.WORD
    if cue == SURE:
        named = state.tokens[place - 1].folded not in vocabulary.LABELS
        return plain or (bool(known & Known.GIVEN) and named) or (not known and named)
    if cue == LIKELY:
        if not known and (_is_introduced(state, place) or _is_unknown_in_lower_case(state, place)):
            return True
        introduced = state.tokens[place - 1].folded in ("im", "i", "am", "is", "suis", "bin")
        return plain or bool(known & Known.LOWER and not introduced)
    if plain and known & Known.GIVEN:
        if known & Known.FREQUENT and state.languages[place] in ("en", None):
            return True
        return cue == POSSIBLE or _does_something(state, place) or token.possessive or _joins_a_name(state, place)
    if plain:
        return _joins_a_name(state, place)
    if not known and place and len(token.text) > 3:
        before = state.tokens[place - 1].folded
        addressed = (
            before in vocabulary.BEFORE_PERSONS
            or before == "w"
            or (before in ("to", "with") and place > 1 and state.tokens[place - 2].folded in vocabulary.BEFORE_PERSONS)
        )
        doing = _does_something(state, place) and state.tokens[place + 1].folded in vocabulary.SAYING
        return (addressed or doing) and _is_unknown_in_lower_case(state, place)
    told = place > 0 and state.tokens[place - 1].folded in vocabulary.BEFORE_PERSONS
    talked = (
        place > 1
        and state.tokens[place - 1].folded in ("to", "with")
        and state.tokens[place - 2].folded in vocabulary.BEFORE_PERSONS
    )
    return bool((told or talked) and known & Known.LOWER and _ends_phrase(state, place))


def _is_introduced(state: _Text, place: int) -> bool:
    """Return whether somebody gives a name that no list has: "i'm steph, 19"."""
    token = state.tokens[place]
    return (
        state.tokens[place - 1].folded in ("i", "im", "am", "is")
        and state.text[token.end : token.end + 1] in (",", ".", "")
        and len(token.text) > 3
    )


def _is_unknown_in_lower_case(state: _Text, place: int) -> bool:
    """Return whether a word that no list has is no slip in an ordinary word."""
    token = state.tokens[place]
    if (
        state.languages[place] not in ("en", None)
        or len(token.text) < 4
        or len(token.text) > 14
        or not token.folded.isalpha()
    ):
        return False
    if place and state.tokens[place - 1].folded in ("is", "am", "im", "i", "was"):
        return False
    return not state.is_slip(token.folded)


def _ends_phrase(state: _Text, place: int) -> bool:
    """Return whether no noun can follow: "talked to grace about it", not "with grace period"."""
    if place + 1 == len(state.tokens):
        return True
    return state.gap(place) != " " or bool(state.tokens[place + 1].known & Known.FUNCTION)


def _is_client(state: _Text, place: int) -> bool:
    return place > 0 and state.tokens[place - 1].folded in vocabulary.CLIENTS | vocabulary.INTRODUCTIONS


def _is_cued_initial(state: _Text, place: int) -> bool:
    token = state.tokens[place]
    return (
        token.text.isupper()
        and state.cues[place] >= LIKELY
        and (token.folded not in _SINGLE_LETTERS or state.text[token.end : token.end + 1] == ".")
        and state.gap(place - 1).strip() in ("", ".", ",", ":", "(")
    )


def _is_eponym(state: _Text, place: int) -> bool:
    """Return whether a thing is called after somebody: "Beck Depression Inventory", "Parkinson's disease"."""
    if state.cues[place] == SURE or place + 1 >= len(state.tokens):
        return False
    for following in range(place + 1, min(place + 3, len(state.tokens))):
        gap = state.gap(following - 1)
        if gap not in (" ", "-", "'s ", "\u2019s ", "' ", "\u2019 ", "\u2013"):
            return False
        if state.tokens[following].folded in vocabulary.EPONYM_NOUNS:
            # "Jayden's depression" is somebody's, "Jung's theory" nobody's.
            return "s" not in gap or not state.tokens[place].known & Known.GIVEN
    return False


def _is_known_person(state: _Text, place: int) -> bool:
    """Return whether it is a name in that of somebody whom everybody knows: "Viktor Frankl"."""
    tokens = state.tokens
    return any(
        first >= 0
        and first + 1 < len(tokens)
        and state.gap(first) == " "
        and (tokens[first].folded, tokens[first + 1].folded) in state.known_people
        for first in (place - 1, place)
    )


def _is_family(state: _Text, place: int) -> bool:
    """Return whether it is the name of a family: "the Pike family"."""
    return (
        place + 1 < len(state.tokens)
        and state.gap(place) == " "
        and state.tokens[place + 1].folded
        in ("family", "household", "residence", "twins", "siblings", "brothers", "sisters", "boys", "girls")
        and bool(state.tokens[place].known & Known.FAMILY)
        and not state.tokens[place].first
    )


def _is_in_list(state: _Text, place: int) -> bool:
    """Return whether the word is one of several names: "Al, Bea and Cam were present"."""
    token = state.tokens[place]
    if token.written != CAPITALISED or not token.known & Known.GIVEN:
        return False
    for other, gaps in (
        (place - 1, (place - 1,)),
        (place + 1, (place,)),
        (place - 2, (place - 2, place - 1)),
        (place + 2, (place, place + 1)),
    ):
        if not 0 <= other < len(state.tokens) or any(
            state.gap(gap) not in (", ", " ", "/", " & ", "; ") for gap in gaps
        ):
            continue
        if len(gaps) == 2 and state.tokens[min(place, other) + 1].folded not in ("and", "und", "y", "et", "or"):
            continue
        if len(gaps) == 1 and state.gap(gaps[0]) == " ":
            continue
        one = state.tokens[other]
        if (
            one.written == CAPITALISED
            and one.known & Known.GIVEN
            and not one.known & Known.HARMLESS
            and (state.part[other] or not one.known & (Known.WORD | Known.FUNCTION))
        ):
            return True
    return False


def _does_something(state: _Text, place: int) -> bool:
    """Return whether what follows is done by persons: "Grace reports", "Grace's mother"."""
    token = state.tokens[place]
    if place + 1 >= len(state.tokens):
        return False
    following = state.tokens[place + 1]
    if token.possessive:
        return following.folded in vocabulary.RELATIONS or token.first
    if state.gap(place) != " ":
        return False
    if token.known & Known.HARMLESS and place and state.tokens[place - 1].folded in vocabulary.BEFORE_MONTHS:
        return False
    if (
        following.written == LOWER
        and token.known & Known.WORD
        and token.known & Known.GIVEN
        and token.folded not in vocabulary.ABSTRACT
    ):
        verb = following.folded
        if verb in (
            "is",
            "was",
            "has",
            "had",
            "will",
            "would",
            "did",
            "does",
            "took",
            "made",
            "got",
            "rose",
            "went",
            "came",
            "gave",
            "felt",
        ):
            return token.folded != "may"
        if following.known & Known.WORD and len(verb) > 3 and verb.endswith(("ed", "es", "ts", "ks", "ls", "ys", "ns")):
            return True
    ordinary = token.known & Known.WORD or (
        token.known & Known.HARMLESS and token.folded not in vocabulary.STATES_AND_NAMES
    )
    verbs = vocabulary.REPORTING if ordinary else vocabulary.AFTER_NAMES
    return following.folded in verbs and following.written == LOWER


def _joins_a_name(state: _Text, place: int) -> bool:
    """Return whether the word is beside a sure name: "Grace Lopez", "Maria Park", "J. Park"."""
    harmless = state.tokens[place].known & Known.HARMLESS
    for other in (place - 1, place + 1):
        if not 0 <= other < len(state.tokens) or state.gap(min(place, other)) not in (" ", ". "):
            continue
        token = state.tokens[other]
        # "Anne Hamilton" and "April Novak", but not "Hey Jenny" or "African Jenny"
        if harmless and (
            other > place and not (state.tokens[place].known & Known.GIVEN and token.known & Known.FAMILY)
        ):
            continue
        if len(token.text) == 1 and token.text.isupper() and other < place:
            return state.gap(other) == ". " and token.folded != "i"
        if token.known & (Known.HARMLESS | Known.FUNCTION) or token.written != state.tokens[place].written:
            continue
        if (
            state.gap(min(place, other)) != " "
            or (other < place and token.possessive)
            or (other > place and state.tokens[place].possessive)
        ):
            continue
        if other < place and state.part[other]:
            return True
        if token.is_name and not token.known & Known.WORD:
            return True
        given, family = (token, state.tokens[place]) if other < place else (state.tokens[place], token)
        if (
            given.known & Known.GIVEN
            and family.known & Known.FAMILY
            and given.written == CAPITALISED
            and not state.in_title_case[place]
        ):
            return True
    return False


def _has_capitalised_neighbour(state: _Text, place: int) -> bool:
    """Return whether the word is part of a phrase in capitals, such as "Hope House" or "Young Adult Group"."""
    for other in (place - 1, place + 1):
        if not 0 <= other < len(state.tokens) or state.gap(min(place, other)) != " ":
            continue
        token = state.tokens[other]
        if (
            _is_capitalised(token)
            and (not token.first or not token.known & Known.FUNCTION)
            and token.known & Known.WORD
            and not token.is_name
            and token.folded not in vocabulary.RELATIONS
            and len(token.text) > 1
        ):
            return True
        if (
            _is_capitalised(token)
            and other > place
            and token.known & (Known.WORD | Known.HARMLESS)
            and len(token.text) > 1
        ):
            return True
    return False


# --- How far a name reaches


def _extent(state: _Text, place: int) -> tuple[int, int]:
    start, end = place, place + 1
    while end < len(state.tokens) and end - start < _LONGEST_NAME and not state.taken[end]:
        step = _continues(state, end)
        if not step:
            break
        end += step
    while (
        start > 0
        and not state.part[start - 1]
        and not state.taken[start - 1]
        and end - start < _LONGEST_NAME
        and _leads(state, start - 1)
    ):
        start -= 1
    while start > 0 and _is_title(state, start - 1) and _belongs(state, start - 1):
        start -= 1
        if (
            start > 1
            and state.tokens[start - 1].folded in ("and", "und", "y", "et")
            and state.tokens[start - 2].folded in vocabulary.ABBREVIATED_TITLES
        ):
            # "Mr. and Mrs. Haverford"
            start -= 2
    if start > 0 and state.gap(start - 1) == " " and state.tokens[start - 1].text in _EPITHETS:
        start -= 1
    return start, end


def _continues(state: _Text, place: int) -> int:
    """Return how many words from here on continue the name before; 0 if none does."""
    token, before = state.tokens[place], state.tokens[place - 1]
    gap = state.gap(place - 1)
    if before.possessive or "\n" in gap:
        return 0
    if gap in (", ", " ") and _is_capitalised(token) and token.folded in vocabulary.SUFFIXES - {"senior", "junior"}:
        return 1
    if gap == ", ":
        return _is_given_after_comma(state, place)
    after_initial = gap == ". " and len(before.text) == 1
    if gap not in _JOINING and not after_initial and not (gap == "." and len(before.text) == 1):
        return 0
    if token.folded in vocabulary.PARTICLES and token.written == LOWER and before.written != LOWER:
        return _particles(state, place)
    if len(token.text) == 1:
        return int(
            _is_initial(state, place)
            or (
                before.written == token.written == LOWER
                and state.text[token.end : token.end + 1] == "."
                and token.folded not in ("i", "a")
            )
        )
    if token.folded in _WEEKDAYS or (token.written == LOWER) != (before.written == LOWER):
        return int(token.written == LOWER and _continues_in_lower_case(state, place))
    if token.written == LOWER:
        return int(_continues_in_lower_case(state, place))
    if not _is_capitalised(token):
        return 0
    if token.known & Known.FUNCTION and not token.is_name:
        # "Siobhán Ní Bhriain"
        more = (
            place + 1 < len(state.tokens) and state.gap(place) == " " and state.tokens[place + 1].written == CAPITALISED
        )
        return int(
            more
            and gap == " "
            and not state.tokens[place + 1].known & (Known.WORD | Known.FUNCTION | Known.HARMLESS)
            and not token.known & Known.WORD
        )
    if token.known & Known.HARMLESS:
        return int(
            token.is_name
            and not token.known & Known.PLACE
            and state.tokens[place - 1].is_name
            and token.folded not in vocabulary.STATE_NAMES
        )
    if token.is_name or not token.known & (Known.WORD | Known.PLACE):
        if token.written == CAPITALS and len(token.text) < 4 and not state.in_capitals[place] and not token.is_name:
            return 0
        return int(not (token.known & Known.WORD and token.folded in vocabulary.EPONYM_NOUNS))
    if token.known & Known.PLACE and not token.known & Known.WORD:
        return 1
    # "Keisha Flowers": a word as a family name, if nothing in capitals goes on after it.
    follows = place + 1 < len(state.tokens) and state.gap(place) == " " and _is_capitalised(state.tokens[place + 1])
    return int(
        not follows
        and not state.in_title_case[place]
        and not state.in_capitals[place]
        and bool(before.known & Known.GIVEN)
        and state.languages[place] != "de"
        and token.folded not in vocabulary.ORGANISATION_NOUNS
        and token.folded not in vocabulary.GENERIC
    )


def _is_given_after_comma(state: _Text, place: int) -> int:
    """Return 1 if this is the given name in "Lopez, Maria" or "Lopez, M."."""
    token, before = state.tokens[place], state.tokens[place - 1]
    initial = len(token.text) == 1 and token.text.isupper() and state.text[token.end : token.end + 1] == "."
    given = _is_capitalised(token) and token.known & Known.GIVEN and not token.known & Known.HARMLESS
    unknown_family = not before.known & (Known.WORD | Known.HARMLESS | Known.FUNCTION)
    if not (initial or given) or not (before.known & Known.FAMILY or unknown_family):
        return 0
    alone = place < 2 or before.first or ":" in state.gap(place - 2) or before.written == CAPITALS or initial
    following = state.tokens[place + 1] if place + 1 < len(state.tokens) else None
    more = bool(following and state.gap(place) == ", " and _is_capitalised(following) and following.is_name)
    return int(alone and not more)


def _continues_in_lower_case(state: _Text, place: int) -> bool:
    token, before = state.tokens[place], state.tokens[place - 1]
    if before.written == LOWER and state.gap(place - 1) == " " and token.written == LOWER:
        return token.is_name and not token.known & (Known.WORD | Known.FUNCTION | Known.HARMLESS)
    return (
        token.written == LOWER
        and bool(token.known & Known.FAMILY)
        and not token.known & (Known.WORD | Known.FUNCTION | Known.HARMLESS | Known.PLACE)
    )


def _is_initial(state: _Text, place: int) -> bool:
    token = state.tokens[place]
    if not token.text.isupper():
        return False
    dotted = state.text[token.end : token.end + 1] == "."
    return dotted or (token.folded not in ("i", "a") and state.gap(place) in (" ", ""))


def _particles(state: _Text, place: int) -> int:
    """Return the number of particles and the word after them, if they are part of a name: "de la Cruz"."""
    for length in range(1, 4):
        following = place + length
        if following >= len(state.tokens) or state.gap(following - 1) not in (" ", "-", "'", "\u2019"):
            return 0
        token = state.tokens[following]
        if _is_capitalised(token) and not token.known & Known.FUNCTION:
            first = state.tokens[place].folded
            if first in ("y", "e", "a", "la", "le", "les", "las", "los") and not token.known & Known.FAMILY:
                return 0
            if token.known & (Known.HARMLESS | Known.PLACE) and not token.known & Known.FAMILY:
                return 0
            return length + 1
        if token.folded not in vocabulary.PARTICLES:
            return 0
    return 0


def _leads(state: _Text, place: int) -> bool:
    """Return whether the word before a name belongs to it: "Grace Lopez", "J. Lopez", "Anh Nguyen"."""
    token, following = state.tokens[place], state.tokens[place + 1]
    gap = state.gap(place)
    if token.possessive or "\n" in gap:
        return False
    if len(token.text) == 1:
        return (
            token.text.isupper()
            and (gap == ". " or (gap == " " and token.folded not in ("i", "a")))
            and following.written != LOWER
        )
    if gap != " " or token.known & Known.HARMLESS or not _is_capitalised(token) or following.written == LOWER:
        return False
    if token.known & Known.FUNCTION:
        # "Her husband Will Harmon", but not "Then Will Harmon"
        return bool(token.known & Known.GIVEN and not token.first and token.written == CAPITALISED)
    if token.first and token.known & Known.WORD:
        return bool(token.known & Known.GIVEN)
    if token.folded in vocabulary.RELATIONS or token.folded in vocabulary.TITLES:
        return False
    return token.is_name


def _belongs(state: _Text, place: int) -> bool:
    """Return whether a title is hidden with the name: in "Mr. Chen", "Uncle Ray", "uncle ray", not in "uncle Ray"."""
    token = state.tokens[place]
    return (
        token.written != LOWER
        or token.folded in vocabulary.ABBREVIATED_TITLES
        or state.tokens[place + 1].written == LOWER
    )


def _span(state: _Text, start: int, end: int) -> Identifier:
    tokens, text = state.tokens, state.text
    first, last = tokens[start].start, tokens[end - 1].end
    single = len(tokens[end - 1].text) == 1
    if (
        text[last : last + 1] == "."
        and (single or tokens[end - 1].folded in ("jr", "sr"))
        and text[last + 1 : last + 2] in (" ", ",", ";", ")", "")
    ):
        last += 1
    # A closing quotation mark or bracket of a nickname is inside, one around the name is not.
    return Identifier(first, last, IdentifierKind.PERSON)


def _initials(text: str, state: _Text) -> Iterator[Identifier]:
    """Yield initials that stand for persons: "J. P.", "M.L. reports", "K. says"."""
    for match in _INITIALS.finditer(text):
        letters = "".join(filter(str.isalpha, match[0])).lower()
        if letters not in _ABBREVIATIONS:
            yield Identifier(*match.span(), IdentifierKind.PERSON)
    for match in _INITIAL_AND_VERB.finditer(text):
        if match["verb"] in vocabulary.REPORTING or (match["verb"] is None and len(match["it"]) == 1):
            yield Identifier(*match.span("it"), IdentifierKind.PERSON)


# --- The same name elsewhere


def _again(state: _Text, found: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return where else in the text words of the names found are: also in lower case, in capitals or with 's."""
    names: dict[str, bool] = {}
    for start, end in found:
        for place in range(start, end):
            token = state.tokens[place]
            if (
                len(token.text) < 3
                or token.folded in vocabulary.PARTICLES
                or token.folded in vocabulary.TITLES
                or token.folded in vocabulary.SUFFIXES
            ):
                continue
            sure = any(one.is_name for one in state.tokens[start:end]) or max(state.cues[start:end]) >= LIKELY
            names[token.folded] = names.get(token.folded, False) or sure
    again: list[tuple[int, int]] = []
    for place, token in enumerate(state.tokens):
        if state.part[place] or state.taken[place] or token.folded not in names:
            continue
        ordinary = token.known & (Known.WORD | Known.HARMLESS | Known.FUNCTION)
        if token.written == LOWER and (ordinary or not names[token.folded]):
            continue
        if (
            token.first
            and ordinary
            and not (_does_something(state, place) or token.possessive or token.known & Known.GIVEN)
        ):
            continue
        if ordinary and _is_eponym(state, place):
            continue
        again.append((place, place + 1))
        state.part[place] = True
    return again
