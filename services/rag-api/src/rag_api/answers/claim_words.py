"""What the words of a sentence say that similarity does not see: numbers, negations and names.

Vectors of a sentence and of its opposite are nearly the same, and so are those of "ten minutes" and "forty minutes".
These rules are of words, in English, with the plainest words of German, Spanish and French. They miss much.
"""

import itertools
import re
from collections.abc import Iterable
from typing import Final

from mh_common.languages import language_of
from mh_common.stemming import stem_of, words_of

from rag_api.search.vocabulary import ROLE_STEMS, STOP_STEMS

_TOKEN: Final = re.compile(r"\d+(?:[.,:]\d+)*|[^\W\d_]+")
_UNITS: Final = frozenset(
    map(stem_of, ["second", "minute", "hour", "day", "night", "week", "month", "year", "session"])
)
_SMALL: Final = {
    number: frozenset(words.split())
    for number, words in {
        "2": "two twice both pair couple half zwei zweimal dos deux",
        "3": "three third drei tres trois",
        "4": "four quarter vier cuatro quatre",
        "5": "five fünf cinco cinq",
        "6": "six sechs seis",
        "7": "seven sieben siete sept",
        "8": "eight acht ocho huit",
        "9": "nine neun nueve neuf",
        "10": "ten zehn diez dix",
        "11": "eleven elf once onze",
        "12": "twelve dozen zwölf doce douze",
        "13": "thirteen",
        "14": "fourteen fortnight",
        "15": "fifteen fünfzehn quince quinze",
        "16": "sixteen",
        "17": "seventeen",
        "18": "eighteen",
        "19": "nineteen",
        "20": "twenty zwanzig veinte vingt",
        "30": "thirty dreißig treinta trente",
        "40": "forty vierzig cuarenta quarante",
        "50": "fifty fünfzig cincuenta cinquante",
        "60": "sixty sechzig sesenta soixante",
        "70": "seventy",
        "80": "eighty",
        "90": "ninety",
        "100": "hundred hundert cien cent",
        "1000": "thousand tausend mil mille",
    }.items()
}
_NUMBER_OF: Final = {word: number for number, words in _SMALL.items() for word in words}
# In a text they may be the number that a sentence claims, but they claim none: "both parents", "at once", "a couple".
_AMBIGUOUS: Final = frozenset(
    ["both", "pair", "couple", "half", "quarter", "once", "elf", "mil", "cent", "sept", "third"]
)

_NEGATIONS: Final = re.compile(
    r"\b(?:not|no|never|nobody|none|nothing|neither|nor|without|cannot|hardly|nowhere)\b|"
    r"\b(?:rather than|instead of)\b|n['\u2019]t\b|"
    r"\b(?:nicht|kein\w*|nie|niemals|ohne|nunca|jam[aá]s|sin|jamais|sans|aucun\w*|pas)\b",
    re.IGNORECASE,
)
# "not only … but also", "no matter", "whether or not" deny nothing.
_IDLE_NEGATIONS: Final = re.compile(
    r"\bnot (?:only|just|merely|necessarily)\b|\bno (?:matter|doubt|longer|more)\b|\b(?:or|if|why) not\b|"
    r"\bno\. ?\d|\bnicht nur\b|\bno s[oó]lo\b|\bpas seulement\b",
    re.IGNORECASE,
)

_CLAUSE_END: Final = re.compile(
    r"[,;:.!?()\u201c\u201d\"]|\b(?:and|but|because|so|who|where|which|when|while|although|that|if|until)\b|"
    r"\b(?:und|aber|weil|wenn|dass|y|pero|porque|cuando|que|et|mais|parce que|quand)\b",
    re.IGNORECASE,
)

_SENTENCE_START: Final = re.compile(r"(?:^|[.!?:\u201c\"'\u2018(\u2013\u2014-])\W*$")
_CAPITAL: Final = re.compile(r"[^\W\d_][\w\u2019'-]+")


def content_stems(text: str) -> frozenset[str]:
    """Return the stems of the words that say what a text is about: none of the small words, nor of client and role."""
    return frozenset(word.stem for word in words_of(text)) - STOP_STEMS - ROLE_STEMS


def numbers_of(text: str) -> frozenset[str]:
    """Return the numbers in a text from two on, digits and words alike ("one" is a pronoun too often): "20".

    Also each number with the units of time among the three words after it: "20 minut".
    """
    words = _TOKEN.findall(text.casefold())
    found = set()
    for place, word in enumerate(words):
        if (number := _number(word)) is not None:
            found.add(number)
            found |= {f"{number} {unit}" for unit in map(stem_of, words[place + 1 : place + 4]) if unit in _UNITS}
    return frozenset(found)


def claimed_numbers(sentence: str) -> frozenset[str]:
    """Return the numbers that a sentence claims, in the form of `numbers_of`, without words that are often none.

    A number right before a unit of time is claimed with it: "20 minut".
    """
    words = [word for word in _TOKEN.findall(sentence.casefold()) if word not in _AMBIGUOUS]
    found = set()
    for word, following in itertools.zip_longest(words, words[1:], fillvalue=""):
        if (number := _number(word)) is not None:
            unit = stem_of(following) if following else ""
            found.add(f"{number} {unit}" if unit in _UNITS else number)
    return frozenset(found)


def _number(word: str) -> str | None:
    if word[0].isdigit():
        number = word.replace(",", "") if re.fullmatch(r"\d{1,3}(?:,\d{3})+", word) else word
        return None if number in {"0", "1"} else number
    return _NUMBER_OF.get(word)


def is_negated(text: str) -> bool:
    """Return whether an odd number of negations stands in a text."""
    return len(_NEGATIONS.findall(_IDLE_NEGATIONS.sub("", text))) % 2 == 1


def denies_otherwise(sentence: str, text: str) -> bool:
    """Return whether a clause of the sentence denies what the text says, or says what it denies.

    Each clause is held against that of the text which has the most of its words, at least half of them.
    """
    others = [(stems, is_negated(clause)) for clause in _CLAUSE_END.split(text) if (stems := content_stems(clause))]
    for clause in _CLAUSE_END.split(sentence):
        stems = content_stems(clause)
        shared = [len(stems & of_other) for of_other, _ in others]
        most = max(shared, default=0)
        if not stems or 2 * most < len(stems):
            continue
        alike = [negated for (_, negated), count in zip(others, shared, strict=True) if count == most]
        if is_negated(clause) not in alike:
            return True
    return False


def names_of(sentence: str) -> frozenset[str]:
    """Return the stems of the words that look like names: capitalised within a sentence, in any language but German."""
    found: set[str] = set()
    if language_of(sentence) == "de":
        return frozenset(found)
    for match in _CAPITAL.finditer(sentence):
        word = match[0]
        if word[0].isupper() and not _SENTENCE_START.search(sentence[: match.start()]):
            found.add(stem_of(re.sub(r"['\u2019]\w+$", "", word)))
    return frozenset(found)


def stems_of(texts: Iterable[str]) -> frozenset[str]:
    """Return the stems of all words in these texts."""
    return frozenset(word.stem for text in texts for word in words_of(text))
