"""Sentiments as people write them."""

import re
import unicodedata
from typing import Final

from mh_common.fields import Sentiment

TAKEN: Final = "positive, negative or neutral; pos, neg, neu, 1 (positive), 0 and -1 (both negative) are taken as well"

_WORDS: Final = {
    "positive": Sentiment.POSITIVE,
    "pos": Sentiment.POSITIVE,
    "1": Sentiment.POSITIVE,
    "negative": Sentiment.NEGATIVE,
    "neg": Sentiment.NEGATIVE,
    "-1": Sentiment.NEGATIVE,
    "neutral": Sentiment.NEUTRAL,
    "neu": Sentiment.NEUTRAL,
}
_WHOLE_NUMBER: Final = re.compile(r"\+?(-?[01])(?:[.,]0*)?")


def parse_sentiment(value: object, zero: Sentiment = Sentiment.NEGATIVE) -> Sentiment:
    """Return the sentiment that a word or a number stands for, in any letter case and with blanks around it.

    1 is positive; 0 and -1 are both negative, since most data sets with numbers know only two labels, 1 and 0. A row
    alone does not tell whether its file has the third label -1, beside which 0 would be neutral: whoever knows that
    says so with `zero`. Readers note when a file has both. Numbers may end in .0, as spreadsheets write them.

    Raises ValueError, with the list of what is taken, for anything else.
    """
    if isinstance(value, str) and value in _WORDS:
        return _WORDS[value]
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        word = unicodedata.normalize("NFKC", str(value)).strip().casefold().replace("\u2212", "-")
        number = _WHOLE_NUMBER.fullmatch(word)
        word = number[1] if number else word
        if word in ("0", "-0"):
            return zero
        if word in _WORDS:
            return _WORDS[word]
    raise ValueError(f"must be {TAKEN}")
