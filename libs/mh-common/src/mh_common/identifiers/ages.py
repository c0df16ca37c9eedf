"""Recognises ages of 90 years and more, which are identifiers by themselves."""

import re
from collections.abc import Iterator
from typing import Final

from mh_common.identifiers.protocol import Identifier, IdentifierKind
from mh_common.identifiers.windows import Parts

_IN_WORDS: Final = (
    r"(?:ninety(?:[ -](?:one|two|three|four|five|six|seven|eight|nine))?"
    r"|(?:a|one)[ -]hundred(?:[ -](?:and[ -])?(?:one|two|three|four|five|six|seven|eight|nine|ten))?)"
)
_ORDINAL_IN_WORDS: Final = (
    r"(?:ninet(?:ieth|y[ -](?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth))|(?:one[ -])?hundredth)"
)
_MAY_BE_IN_WORDS: Final = re.compile(r"ninet|hundred", re.IGNORECASE)


def _ages(number: str, ordinal: str) -> re.Pattern[str]:
    return re.compile(
        rf"""(?:,[ ](?P<g>{number})(?=,[ ]|[.]|\))|\((?P<h>{number})(?:[ ]?[MF])?\)|(?<![\w$€£/.-])(?:
          (?P<a>{number}[ -]?(?:years?|yrs?|y)[ -]?(?:old|of[ ]age|o)\b|{number}[ ]?(?:y/?o|yo|y\.o\.)(?!\w)
            |{number}[ -](?:years?|yrs?)(?![^\W\d_])(?![ ](?:ago|later|before|after|of|in|earlier|and|since|now))
            |{number}[ ]Jahren?(?:[ ]alt)?|{number}-?j[äa]hrige?[nrsm]?|{number}[ ]a[ñn]os(?:[ ]de[ ]edad)?
              |{number}[ ]ans\b)
         |(?:age[ds]?|turn(?:s|ed|ing)?|alter|edad|[âa]ge|cumpli[óo]|cumple|reached|wurde|wird|werden)(?![^\W\d])
            (?:[ ](?:of|is|was|is[ ]now|:))?[ :=]{{1,3}}
            (?P<b>{number})(?![\w%/]|[.,:]\d|[ ]?(?:days|pounds|lbs|kg|minutes|percent|dollars))
         |(?:is|was|she['\u2019]s|he['\u2019]s|i['\u2019]m|am|now|already|almost|nearly|about[ ]to[ ]be)[ ]
            (?:now[ ]|already[ ]|almost[ ]|nearly[ ]|over[ ]|only[ ])?
            (?P<c>{number})(?=[ ]?(?:[.,;!?)]|$|\n|(?:and|but|now|this|next|in|with|or)\b))(?![.,]\d)
         |(?P<d>{ordinal})[ ]birthday
         |(?P<f>{number})(?:[ ]?[-/]?[ ]?(?:M|F|male|female|man|woman))\b
        ))""",
        re.VERBOSE | re.IGNORECASE,
    )


_IN_DIGITS_FORM: Final = _ages(r"(?:9\d|1[01]\d|12[0-5])", r"(?:9\d|1[01]\d)(?:st|nd|rd|th)")
_IN_WORDS_FORM: Final = _ages(_IN_WORDS, _ORDINAL_IN_WORDS)


def find_ages(text: str, parts: Parts) -> Iterator[Identifier]:
    """Yield the ages in the text; `parts` are those around its digits."""
    yield from _matches(_IN_DIGITS_FORM, text, parts)
    if _MAY_BE_IN_WORDS.search(text):
        yield from _matches(_IN_WORDS_FORM, text, [(0, len(text))])


def _matches(expression: re.Pattern[str], text: str, parts: Parts) -> Iterator[Identifier]:
    for start, end in parts:
        for match in expression.finditer(text, start, end):
            group = match.lastgroup
            assert group is not None  # each alternative has one
            yield Identifier(*match.span(group), IdentifierKind.AGE)
