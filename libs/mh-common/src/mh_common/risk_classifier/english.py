"""German, French and Spanish as rough English, word by word, for a model that was taught English alone.

`english/LANGUAGE.tsv` has a word or a phrase of up to three words in a line, folded (`mh_common.risk.words.fold`), and
what it usually means in messages to counselors. Whatever is not in it stays as it is.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final

from mh_common.risk.lexicon import load_lexicon
from mh_common.risk.words import folded_words, risk_sentences

FOLDER: Final = Path(__file__).with_name("english")
ENGLISH: Final = "en"
_LONGEST: Final = 3
"""Words of the longest phrase."""


def language_of(text: str) -> str:
    """Return the language of the lexicon whose small words are the most frequent in a text; in doubt English."""
    words = folded_words(text)
    grammars = load_lexicon().grammars
    return max(
        (ENGLISH, *(name for name in grammars if name != ENGLISH)),
        key=lambda name: sum(word in grammars[name].common for word in words),
    )


def in_english(words: Sequence[str], language: str) -> str:
    """Return folded words of a language with each replaced by what it means, the longest phrases first."""
    meanings = _meanings(language)
    found = []
    at = 0
    while at < len(words):
        for length in range(_LONGEST, 0, -1):
            phrase = " ".join(words[at : at + length])
            if phrase in meanings:
                break
        found.append(meanings.get(phrase, phrase))
        at += length
    return " ".join(found)


def sentences_in_english(text: str) -> list[tuple[int, int, str]]:
    """Return start and end of each sentence that has words, and it as the model reads it; English stays as it is."""
    language = language_of(text)
    parts = ((start, end, folded_words(text, start, end)) for start, end in risk_sentences(text))
    return [
        (start, end, text[start:end] if language == ENGLISH else in_english(words, language))
        for start, end, words in parts
        if words
    ]


@cache
def _meanings(language: str) -> Mapping[str, str]:
    lines = (FOLDER / f"{language}.tsv").read_text("utf-8").splitlines()
    return dict(line.split("\t") for line in lines)
