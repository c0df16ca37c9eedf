"""People whom a text names by their relation to somebody: advice about a husband is of no use where there is none."""

import re
from typing import Final

_PEOPLE: Final = {
    "partner": "husbands? wife wives spouses? partners? boyfriends? girlfriends? fianc[eé]e? marriage married marital "
    "couples?",
    "former partner": "ex(?:es)? ex-husband ex-wife ex-boyfriend ex-girlfriend divorced?",
    "parent": "mothers? fathers? mom mum dad mommy daddy parents? stepmother stepfather stepmom stepdad",
    "child": "sons? daughters? child children kids? toddlers? baby stepson stepdaughter teens? teenagers? adolescents?",
    "sibling": "brothers? sisters? siblings?",
    "relative": "grand(?:mother|father|ma|pa|parents?) aunts? uncles? cousins? nieces? nephews? in-laws \\w+-in-law",
    "friend": "friends? roommates? friendships?",
    "colleague": "boss(?:es)? managers? supervisors? co-?workers? colleagues? employers?",
}
_WORDS: Final = {
    group: re.compile(rf"\b(?:{'|'.join(words.split())})\b", re.IGNORECASE) for group, words in _PEOPLE.items()
}
_SOMEBODYS: Final = {
    group: re.compile(rf"\b(?:your|his|her) (?:\w+ ){{0,2}}?(?:{'|'.join(words.split())})\b", re.IGNORECASE)
    for group, words in _PEOPLE.items()
}


def people_in(text: str) -> frozenset[str]:
    """Return the relations that a text names: `partner`, `parent` and so on."""
    return frozenset(group for group, words in _WORDS.items() if words.search(text))


def somebodys_people_in(text: str) -> frozenset[str]:
    """Return the relations that a text takes somebody to have: "your husband", not "a husband"."""
    return frozenset(group for group, words in _SOMEBODYS.items() if words.search(text))
