"""Recognises dates that are more exact than a year, in English, German, Spanish and French."""

import re
from collections.abc import Iterator
from typing import Final

from mh_common.identifiers.protocol import Identifier, IdentifierKind
from mh_common.identifiers.windows import Parts, around

_MONTH: Final = (
    r"(?:jan(?:uary|uar|vier|v)?|j[äa]nner|feb(?:ruary|ruar|rero)?|f[ée]v(?:rier|r)?|mar(?:ch|zo|s)?|m[äa]rz|mrz|apr(?:il)?"
    r"|abr(?:il)?|avr(?:il)?|mayo?|mai|june?|juni|junio|juin|july?|juli|julio|juil(?:let)?|aug(?:ust)?|ago(?:sto)?|ao[ûu]t"
    r"|sept?(?:ember|iembre|embre)?|setiembre|o[ck]t(?:ober|ubre|obre)?|nov(?:ember|iembre|embre)?|de[cz](?:ember)?"
    r"|dic(?:iembre)?|d[ée]c(?:embre)?|enero|ene)"
)
_DAY: Final = r"(?:3[01]|[12]\d|0?[1-9])"
_ORDINAL: Final = r"(?:st|nd|rd|th|er|[ºª])"
_YEAR: Final = r"(?:(?:1[89]|20|21)\d\d)"
_SHORT_YEAR: Final = r"['\u2019]\d\d"
_WEEKDAY: Final = (
    r"(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day|mon|tues?|wed|thu(?:rs?)?|fri|sat|sun|montag|dienstag|mittwoch"
    r"|donnerstag|freitag|samstag|sonnabend|sonntag|lunes|martes|mi[ée]rcoles|jueves|viernes|s[áa]bado|domingo|lundi|mardi"
    r"|mercredi|jeudi|vendredi|samedi|dimanche)"
)
_NUMBER_IN_WORDS: Final = (
    r"(?:(?:(?:twenty|thirty)[ -])?(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth)|tenth|eleventh"
    r"|twelfth"
    r"|thirteenth|fourteenth|fifteenth|sixteenth|seventeenth|eighteenth|nineteenth|twentieth|thirtieth)"
)
_SEASON: Final = (
    r"(?:spring|summer|fall|autumn|winter|fr[üu]hling|sommer|herbst|primavera|verano|oto[ñn]o|invierno|printemps|[ée]t[ée]"
    r"|automne|hiver)"
)
_FEAST: Final = (
    r"(?:christmas|thanksgiving|easter|new[ ]year['\u2019]?s|halloween|hanukkah|ramadan|labor|memorial|independence"
    r"|mother['\u2019]?s|father['\u2019]?s|valentine['\u2019]?s)(?:[ ](?:day|eve|sunday|monday))?"
)
_PART: Final = r"(?:early|mid|late|end[ ]of|beginning[ ]of|anfang|mitte|ende|finales[ ]de|d[ée]but|fin)"
_AND: Final = r"(?:-|\u2013|\u2014|to|through|thru|until|and|&|or|bis|und|y|et|al|au)"
_NO_DAY: Final = (
    r"(?!\d|[:.,]\d|[ ]?(?:%|mg|mcg|ml|kg|lbs?|times|years?|yrs?|months|weeks|days|hours?|hrs?|minutes?|mins?"
    r"|people|sessions"
    r"|of[ ]\d|out[ ]of|/[ ]?\d|x\b)|(?:am|pm|st|nd|rd|th)?[ ]?(?:floor|grade|step))"
)
_NO_NUMBER_BEFORE: Final = r"(?<![\w/.$€£:-])"
_FLAGS: Final = re.VERBOSE | re.IGNORECASE

_WITH_A_MONTH: Final = re.compile(
    rf"""(?<![\w/])(?:
      \b{_MONTH}\b\.?[ ]{{1,2}}(?:the[ ])?(?P<after>{_DAY}){_ORDINAL}?{_NO_DAY}
        (?:[ ]?{_AND}[ ]?{_DAY}{_ORDINAL}?{_NO_DAY}(?![ ]?{_MONTH}\b))?(?:(?:,|[ ]of)?[ ]{{1,2}}{_YEAR}\b
          |,?[ ]{_SHORT_YEAR}\b)?
    | (?:the[ ])?{_DAY}(?:{_ORDINAL}|\.)?(?:[ ]?{_AND}[ ]?{_DAY}(?:{_ORDINAL}|\.)?)?(?:[ ]{{0,2}}|-|/)(?:of[ ]|de[ ]
      |du[ ])?
        (?P<month>{_MONTH})\b\.?
        (?:(?:,?[ ](?:de[ ]|del[ ]|of[ ])?|-|/)(?P<year>{_YEAR})\b|(?:,?[ ]{_SHORT_YEAR}|-\d\d)\b)?
    | (?:{_PART}[- ])?\b{_MONTH}\b\.?,?[ ]?[-/ ](?:of[ ]|de[ ]|del[ ])?{_YEAR}\b
    | \b{_MONTH}\b[ ]{_SHORT_YEAR}\b
    | {_FEAST}(?:,|[ ]of|[ ]in)?[ ]{_YEAR}\b
    | {_SEASON}(?:[ ]of|[ ]in|[ ]de)?[ ]{_YEAR}\b
    )""",
    _FLAGS,
)
_MONTH_OR_SEASON: Final = re.compile(
    r"""(?:jan|j[äa]n|feb|f[ée]v|mar|m[äa]r|mrz|apr|abr|avr|may|mai|jun|jul|jui|aug|ago|ao[ûu]|sep|set|o[ck]t|nov|de[cz]|dic
    |d[ée]c|ene|spring|summer|fall|autumn|winter|fr[üu]hling|sommer|herbst|prima|verano|oto[ñn]o|invierno|print|[ée]t[ée]
    |automne|hiver|christ|thank|easter|new[ ]year|hallo|hanuk|ramad|labor|memor|indep|mother|father|valent)""",
    _FLAGS,
)
"""Without one of these `_WITH_A_MONTH` matches nothing."""

_IN_WORDS: Final = re.compile(
    rf"""\b{_MONTH}[ ](?:the[ ])?{_NUMBER_IN_WORDS}\b(?:,?[ ]{_YEAR}\b)?
    | (?:the[ ])?{_NUMBER_IN_WORDS}[ ]of[ ]{_MONTH}\b(?:,?[ ]{_YEAR}\b)?
    | (?:on|by|until|since|before|after|{_WEEKDAY}),?[ ](?P<it>the[ ]{_NUMBER_IN_WORDS})(?=[ ]?(?:[.,;!?)]|$|\n))
    | (?:primero|erster|ersten|premier)[ ](?:de[ ])?{_MONTH}\b(?:[ ](?:de[ ])?{_YEAR}\b)?""",
    _FLAGS,
)
_NUMBER_WORD: Final = re.compile(rf"\b(?:{_NUMBER_IN_WORDS}|primero|erste[rn]|premier)\b", _FLAGS)

_IN_DIGITS: Final = re.compile(
    rf"""{_NO_NUMBER_BEFORE}(?:
      (?P<y1>\d{{4}})[-/.](?P<m1>\d{{1,2}})[-/.](?P<d1>\d{{1,2}})
        (?:T\d\d:?\d\d(?::?\d\d(?:\.\d{{1,9}})?)?(?:Z|[+-]\d\d:?\d\d)?)?
    | (?P<a2>\d{{1,2}})[ ]?(?P<s2>[-/.])[ ]?(?P<b2>\d{{1,2}})[ ]?(?P=s2)[ ]?(?P<y2>\d{{4}}|['\u2019]?\d\d)
    | (?P<m3>\d{{1,2}})/(?P<y3>(?:19|20)\d\d)
    )(?![\w/]|[.-]\d|%)""",
    _FLAGS,
)
_DAY_AND_MONTH: Final = re.compile(
    rf"""{_NO_NUMBER_BEFORE}(?P<a>\d{{1,2}})/(?P<b>\d{{1,2}})
    (?:[ ]?{_AND}[ ]?(?P<c>\d{{1,2}})/(?P<d>\d{{1,2}})|[ ]?[-\u2013][ ]?\d{{1,2}}(?!\d|/))?
    (?![\w/%]|[.,-]\d|[ ]?(?:on[ ]a|out[ ]of|for[ ](?:anxiety|depression|pain|mood)|pain|anxiety|depression|mood
      |intensity
      |severity|scale|of|times|sessions?|weeks|days|nights|items?|points?|chance|cups?|tablets?|pills?|inch|in\b|mg|strength
      |reflexes|criteria|symptoms|questions|correct|goals|groups)\b)""",
    _FLAGS,
)
_GERMAN_DAY_AND_MONTH: Final = re.compile(
    r"(?<!\w)(?:am|vom|bis|seit|de[nrm]|ab|zum|und)[ ](?P<it>(?P<a>\d{1,2})\.[ ]?(?P<b>\d{1,2})\.)(?!\d)", _FLAGS
)
_DAY_ALONE: Final = re.compile(
    rf"""(?<!\w)the[ ]{_DAY}(?:st|nd|rd|th)(?=[ ]?(?:[.,;!?)]|$|\n)
      |[ ](?:at|and|he|she|we|they|i|with|because|but|to|from|as|for|when|around|after|before|instead)\b)""",
    _FLAGS,
)
_LABELLED: Final = re.compile(
    r"""(?<!\w)(?:d\.?o\.?b\.?|date[ ]of[ ](?:birth|death|service|admission|discharge|visit|injury|incident)
      |birth[ ]?da(?:te|y)
      |born(?:[ ]on)?|geb\.?|geboren(?:[ ]am)?|geburtsdatum|fecha[ ]de[ ]nacimiento|f\.?[ ]?nac\.?|nacid[oa](?:[ ]el)?
      |n[ée]e?[ ]le|date[ ]de[ ]naissance|ddn)(?!\w)[ ]?[:=(]?[ ]{0,2}
      (?P<it>\d{1,4}[ ./-]{0,2}\d{1,2}[ ./-]{0,2}\d{1,4}|\d{6}|\d{8})(?!\d)""",
    _FLAGS,
)
_BIRTHDAY: Final = re.compile(
    rf"birthday[ ](?:is|was|on|falls[ ]on)[ ](?:on[ ])?(?P<it>(?:the[ ])?{_DAY}(?:st|nd|rd|th)?"
    rf"|\d{{1,2}}[/.]\d{{1,2}})\b",
    _FLAGS,
)
_WEEKDAY_BEFORE: Final = re.compile(rf"\b{_WEEKDAY}\b\.?,?[ ]{{1,2}}(?:the[ ]|den[ ]|el[ ]|le[ ])?\Z", _FLAGS)

_AMBIGUOUS_MONTHS: Final = frozenset({"may", "mar", "march"})
"""Words that follow a number without being a month, in lower case: "10 may have", "5 march"."""
_CLEARLY_A_DAY: Final = re.compile(rf"\d(?:{_ORDINAL}|\.)[ ]|\bof\b|\bde\b|-", _FLAGS)

_DAY_CUE: Final = re.compile(
    rf"""(?:\b(?:on|dated?|since|until|till|by|from|to|through|thru|before|after|appt\.?|appointment|visits?|sessions?|seen|dob
      |last|next|due|admitted|discharged|admit|intake|week[ ]of|starting|beginning|began|started|scheduled
        |rescheduled|f/u
      |follow-?up|born|note|le|el|del|am|vom|bis|seit|den|der|ab|zum|du|au|between|around|effective|lmp|exp|incident|hearing
      |court|dos|doa|updated|reviewed|completed|signed|called|rtc|date|{_WEEKDAY}\.?)|[(\[])[ ]?[:,(]?[ ]{{0,2}}\Z
    |^[ \t>*\u2022-]{{0,6}}\Z""",
    _FLAGS | re.MULTILINE,
)
"""What stands before a day and month rather than before a fraction or a value on a scale."""

_SCALE_BEFORE: Final = re.compile(
    r"""\b(?:pain|mood|anxiety|depression|distress|suds?|rat(?:es?|ed|ing)|scal(?:e|ed|ing)|scored?|severity|intensity|energy
    |sleep|stress|anger|urges?|cravings?|level|average|stimmung|schmerz\w*|dolor|douleur|humeur|[áa]nimo)\b""",
    _FLAGS,
)


def find_dates(text: str, parts: Parts) -> Iterator[Identifier]:
    """Yield the dates in the text; they may overlap. `parts` are those around its digits."""
    for start, end in _spans(text, parts):
        weekday = _WEEKDAY_BEFORE.search(text, max(0, start - 18), start)
        yield Identifier(weekday.start() if weekday else start, end, IdentifierKind.DATE)


def _spans(text: str, parts: Parts) -> Iterator[tuple[int, int]]:
    for start, end in around(_MONTH_OR_SEASON, text, 30, 50):
        for match in _WITH_A_MONTH.finditer(text, start, end):
            if not _is_no_month(match, text):
                # The full stop of "Feb." is none of the date's, that of a sentence even less.
                yield match.start(), match.end() - match[0].endswith(".")
    for word in _NUMBER_WORD.finditer(text):
        for match in _IN_WORDS.finditer(text, max(0, word.start() - 30), min(len(text), word.end() + 30)):
            yield match.span("it") if match["it"] else match.span()
    for start, end in parts:
        for match in _IN_DIGITS.finditer(text, start, end):
            if _is_date(match):
                yield match.span()
        for match in _DAY_AND_MONTH.finditer(text, start, end):
            if _are_day_and_month(int(match["a"]), int(match["b"])) and not _is_fraction(match, text):
                yield match.span()
        for match in _GERMAN_DAY_AND_MONTH.finditer(text, start, end):
            if _are_day_and_month(int(match["a"]), int(match["b"])):
                yield match.span("it")
        for match in _DAY_ALONE.finditer(text, start, end):
            yield match.span()
        for expression in (_LABELLED, _BIRTHDAY):
            for match in expression.finditer(text, start, end):
                yield match.span("it")


def _is_no_month(match: re.Match[str], text: str) -> bool:
    """Return whether a verb follows a number rather than a month a day: "10 may have"."""
    if match["month"] not in _AMBIGUOUS_MONTHS or match["year"] or _CLEARLY_A_DAY.search(match[0]):
        return False
    return _WEEKDAY_BEFORE.search(text, max(0, match.start() - 18), match.start()) is None


def _is_date(match: re.Match[str]) -> bool:
    if match["y1"]:
        return 1850 <= int(match["y1"]) <= 2150 and 1 <= int(match["m1"]) <= 12 and 1 <= int(match["d1"]) <= 31
    if match["y3"]:
        return 1 <= int(match["m3"]) <= 12
    return _are_day_and_month(int(match["a2"]), int(match["b2"]))


def _are_day_and_month(one: int, other: int) -> bool:
    low, high = sorted((one, other))
    return 1 <= low <= 12 and high <= 31


def _is_fraction(match: re.Match[str], text: str) -> bool:
    """Return whether it is a value on a scale or a part, such as a pain of 7/10, 3/4 or 24/7."""
    one, other = int(match["a"]), int(match["b"])
    if (one, other) == (24, 7):
        return True
    padded = match["a"].startswith("0") or match["b"].startswith("0")
    if other > 10 or other in (6, 7, 8, 9) or padded or match["c"]:
        return False
    if _SCALE_BEFORE.search(text, max(0, match.start() - 30), match.start()):
        return True
    return _DAY_CUE.search(text, max(0, match.start() - 24), match.start()) is None
