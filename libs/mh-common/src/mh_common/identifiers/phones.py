"""Recognises telephone and fax numbers."""

import re
from collections.abc import Iterator
from typing import Final

from mh_common.identifiers.labels import count_digits
from mh_common.identifiers.protocol import Identifier, IdentifierKind
from mh_common.identifiers.windows import Parts

_FLAGS: Final = re.VERBOSE | re.IGNORECASE
_EXTENSION: Final = (
    r"(?:,?[ ]?(?:x|ext\.?|extension|\#|durchwahl|poste)[ ]?\d{1,6}\b)?"
    r"(?:[ ]?\((?:fax|cell|home|work|mobile|office|m|h|w|c)\)(?:[ ]\d{1,5}\b)?)?"
)
_DASH: Final = r"[ .\-\u2013\u2011]"
_NO_QUANTITY: Final = (
    r"(?![ ]?(?:mg|mcg|ml|µg|g|kg|units?|iu|cal|kcal|steps|lbs?|usd|dollars?|euros?|people|years?|percent|%)\b)"
)
_BY_FORM: Final = re.compile(
    rf"""(?<![\w+/.\-\u2013])(?:
      (?:\+?1{_DASH}?)?(?:\(\d{{3}}\)[ ]?|\d{{3}}[ ]?[.\-\u2013/ ][ ]?)\d{{3}}[ ]?{_DASH}[ ]?\d{{4}}
    | \(\d{{3}}\)[ ]?\d{{7}}
    | (?:\+|00)[1-9]\d{{0,2}}(?:[ .\-\u2013/]?\(?\d{{1,4}}\)?){{2,6}}
    | \(?0\d{{1,4}}\)?[ ]?[ /\-\u2013][ ]?\d{{3,8}}(?:[ \-\u2013]\d{{1,6}}){{0,3}}
    | 0\d(?:[ .\-]\d{{2}}){{4}}
    | [6789]\d{{2}}(?:[ .\-]\d{{3}}){{2}}
    | [6789]\d{{2}}(?:[ .\-]\d{{2}}){{3}}
    | 0[1-9]\d{{8,9}}
    | 1?[2-9]\d{{2}}[2-9]\d{{6}}
    | \d{{3}}[\-\u2013.\u2011][ ]?\d{{4}}
    ){_NO_QUANTITY}{_EXTENSION}(?![\w@]|[\-\u2013/.]\d)""",
    _FLAGS,
)
_ANNOUNCED: Final = re.compile(
    rf"""(?<!\w)(?:phones?|cell(?:phone)?|mobile|tel(?:ephone|[ée]fono|efon)?|t[ée]l(?:[ée]phone)?|calls?|called|text(?:ed|s)?
      |reach(?:ed|able)?|numbers?|contact|whatsapp|signal|fon|handy(?:nummer)?|m[óo]vil|portable|fax(?:ed)?|pager|landline
      |voicemail|sms|dial|ph|hotline|n[úu]mero|nummer|ruf)(?![^\W\d_])[^\d\n]{{0,28}}?
    (?<!\w)(?P<it>[+(]?\d(?:[ ]?[ ./()\-\u2013]?[ ]?\d){{6,14}}{_EXTENSION})(?!\w|[.:/\-]\d)""",
    _FLAGS,
)
_FAX_BEFORE: Final = re.compile(r"fax[^.;\n\d]{0,24}\Z", _FLAGS)
_FAX_WITHIN: Final = re.compile(r"fax", _FLAGS)
_FAX_AFTER: Final = re.compile(r"[ ]?\(?fax\b", _FLAGS)


def find_phones(text: str, parts: Parts) -> Iterator[Identifier]:
    """Yield the telephone and fax numbers in these parts of the text; they may overlap."""
    for start, end in parts:
        spans = [match.span() for match in _BY_FORM.finditer(text, start, end)]
        spans += [match.span("it") for match in _ANNOUNCED.finditer(text, start, end)]
        for span in spans:
            if 7 <= count_digits(text[slice(*span)]) <= 21:
                yield Identifier(*span, _kind(text, *span))


def _kind(text: str, start: int, end: int) -> IdentifierKind:
    is_fax = (
        _FAX_BEFORE.search(text, max(0, start - 32), start)
        or _FAX_WITHIN.search(text, start, end)
        or _FAX_AFTER.match(text, end)
    )
    return IdentifierKind.FAX if is_fax else IdentifierKind.PHONE
