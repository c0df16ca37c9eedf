"""Recognises numbers, codes and addresses of the net by their form and their check digits.

Every repetition in these expressions has a bound, or can match in one way only: the time is linear in the text.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final

from mh_common.identifiers import checksums, vocabulary
from mh_common.identifiers.labels import count_digits, is_long_code
from mh_common.identifiers.protocol import Identifier, IdentifierKind
from mh_common.identifiers.windows import Parts


@dataclass(frozen=True)
class _Form:
    """An expression for identifiers of one kind: its group `it`, or all of it; `check` takes that text."""

    kind: IdentifierKind
    expression: re.Pattern[str]
    check: Callable[[str], bool] | None = None
    needs: str = ""
    """Without this in the text it need not be tried."""

    def find(self, text: str, parts: Parts) -> Iterator[Identifier]:
        if self.needs not in text:
            return
        group = "it" if "it" in self.expression.groupindex else 0
        for start, end in parts:
            for match in self.expression.finditer(text, start, end):
                if self.check is None or self.check(match[group]):
                    yield Identifier(*match.span(group), self.kind)


def _form(kind: str, expression: str, check: Callable[[str], bool] | None = None, needs: str = "") -> _Form:
    return _Form(IdentifierKind(kind), re.compile(expression, re.VERBOSE), check, needs)


def find_numbers(text: str, parts: Parts) -> Iterator[Identifier]:
    """Yield what is recognised by its form; the spans may overlap. `parts` are those around the digits of the text."""
    for form in _ANYWHERE:
        yield from form.find(text, [(0, len(text))])
    for form in _WITH_DIGITS:
        yield from form.find(text, parts)


def _is_ipv4(code: str) -> bool:
    try:
        IPv4Address(code)
    except AddressValueError:
        return False
    return True


def _is_ipv6(code: str) -> bool:
    try:
        IPv6Address(code)
    except AddressValueError:
        return False
    return sum(character.isalnum() for character in code) >= 3


def _is_imei(code: str) -> bool:
    return checksums.is_luhn(checksums.compact(code))


def _is_plate(code: str) -> bool:
    return count_digits(code) >= 1 and len(checksums.compact(code)) >= 4


def _is_handle(code: str) -> bool:
    """Return whether it is no ordinary word."""
    return any(character.isdigit() or character in "_#" for character in code) or "." in code[1:-1]


def _is_said_handle(code: str) -> bool:
    return code.casefold() not in _NO_HANDLES


_NO_HANDLES: Final = vocabulary.words(
    """
    not the her his now full down public private also where how what that like just really too still a
    """
)


def _is_unlabelled_code(code: str) -> bool:
    """Return whether a code looks like the number of something, although nothing before it says so."""
    if _HARMLESS_CODE.fullmatch(code):
        return False
    digits = count_digits(code)
    if not any(character.isalpha() for character in code):
        return digits >= 6
    return digits >= 3 and len(code) >= 6 and not any(letter.islower() for letter in code)


_HARMLESS_CODE: Final = re.compile(
    r"""(?:19|20)\d\d[-/](?:19|20)?\d\d | \d{1,4}[-/]\d{1,4} | \d+[-/.,]\d{1,2} | \d{1,3}(?:[-/.]\d{1,3}){1,2}
    | \d{1,3}(?:\.\d{3})+ | \d+\.\d+
    | \d{1,5}(?:MG|MCG|ML|G|KG|LBS?|HZ|KHZ|X|H|HRS?|MIN|AM|PM|K|%)
    | [A-TV-Z]\d\d(?:\.\w{1,4})?(?:-[A-TV-Z]\d\d(?:\.\w{1,4})?)? | ICD[-0-9A-Z]{1,8} | DSM[-0-9A-Z]{1,8}
    | COVID-?(?:19|2019) | [A-Z]{2,8}-\d{1,2}(?:-[A-Z]{1,3})?""",
    re.VERBOSE,
)
"""Ranges of years, values, doses, codes of diagnoses, names of tests."""

_NO_WORD_BEFORE: Final = r"(?<![\w-])"
_NO_WORD_AFTER: Final = r"(?![\w-])"
_IN_URL: Final = r"[^\s<>\"\u201c\u201d]"
_END_OF_URL: Final = r"(?<![.,;:!?)\]'\u2019*])"
_TOP_LEVEL: Final = (
    r"(?:com|org|net|edu|gov|mil|info|biz|health|online|site|blog|church|clinic|app|dev|io|de|fr|es|uk|ca|au|at|ch|eu|mx"
    r"|nz|nl)"
)
_STATES: Final = (
    r"(?:A[LKZR]|C[AOT]|D[CE]|FL|GA|HI|I[DLNA]|K[SY]|LA|M[EDAINSOT]|N[EVHJMYCD]|O[HKR]|PA|RI|S[CD]|T[NX]|UT|V[TA]|W[AVIY]|PR"
    r"|Alabama|Alaska|Arizona|Arkansas|California|Colorado|Connecticut|Delaware|Florida|Georgia|Hawaii|Idaho|Illinois|Indiana"
    r"|Iowa|Kansas|Kentucky|Louisiana|Maine|Maryland|Massachusetts|Michigan|Minnesota|Mississippi|Missouri|Montana|Nebraska"
    r"|Nevada|New[ ](?:Hampshire|Jersey|Mexico|York)|(?:North|South)[ ](?:Carolina|Dakota)|Ohio|Oklahoma|Oregon"
    r"|Pennsylvania"
    r"|Rhode[ ]Island|Tennessee|Texas|Utah|Vermont|(?:West[ ])?Virginia|Washington|Wisconsin|Wyoming)"
)
_SERVICES: Final = (
    r"(?:discord|snapchat|instagram|tiktok|twitter|twitch|skype|venmo|cash[ ]?app|telegram|reddit|facebook|roblox"
    r"|steam|xbox"
    r"|signal)(?:[ ](?:id|name|handle|account|user|username|tag))?"
)
_USER_NAMES: Final = (
    r"(?:user[ ]?names?|handles?|screen[ ]?names?|gamer[ ]?tag|log[ -]?in(?:[ ](?:id|name))?|user(?:[ ]id)?"
    r"|account[ ]name"
    rf"|nick(?:name)?|psn|kik|snap|insta|ig|{_SERVICES}|benutzername|usuario|identifiant|pseudo)"
)
_MBI_LETTER: Final = "[AC-HJKMNP-RT-Y]"
_MBI_ANY: Final = "[AC-HJKMNP-RT-Y0-9]"

_ANYWHERE: Final = (
    _form("email", r"(?<![\w.+%-])[\w.+%'-]{1,80}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}", needs="@"),
    _form(
        "email",
        r"""(?i:(?<![\w.+-])[\w.+-]{1,64}\s?(?:\(at\)|\[at\]|\{at\}|<at>)\s?[\w-]{1,63}
        (?:\s?(?:\(dot\)|\[dot\]|\{dot\}|\.|\bdot\b)\s?[\w-]{2,63}){1,4}
        |(?<![\w.+-])[\w.+-]{1,64}(?:\s(?:dot|underscore)\s[\w+-]{1,64}){0,3}\sat\s[\w-]{1,63}(?:\sdot\s[a-z]{2,12}){1,3}\b)""",
    ),
    _form("url", rf"(?i:https?://|www\.){_IN_URL}{{1,2000}}{_END_OF_URL}"),
    _form(
        "url",
        rf"""(?<![\w@.-])(?:[A-Za-z0-9][A-Za-z0-9-]{{0,62}}\.){{1,4}}
        (?:{_TOP_LEVEL}(?![\w-]|\.\w)(?:/{_IN_URL}{{0,500}}{_END_OF_URL})?
        |(?:me|us|co|tv|ly|ai|to|gg|be|am)/{_IN_URL}{{1,500}}{_END_OF_URL})""",
        needs=".",
    ),
    _form("ip_address", r"(?<![\w:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:])", _is_ipv6, ":"),
    _form("other", r"(?<![\w@/.])@[A-Za-z_][\w.-]{1,30}(?<![.-])", needs="@"),
    _form("other", r"(?<![\w/])u/[A-Za-z0-9_-]{3,20}\b", needs="u/"),
    _form(
        "other",
        rf"""(?<!\w)(?i:{_USER_NAMES})[ \t]{{0,2}}(?i:is|was|ist|es|est|=|:|-|\(|on[ ]\w{{2,12}}[ ](?:is
          |:))?[ \t]{{0,2}}
        [\"'\u201c@]?(?P<it>(?=[\w.\#-]{{0,30}}[\d_.\#])[A-Za-z][\w.\#-]{{2,30}}(?<![.-]))""",
        _is_handle,
    ),
    _form(
        "other",
        r"""(?<!\w)(?i:user[ ]?name|handle|screen[ ]?name|gamer[ ]?tag|log[ -]?in(?:[ ]name)?|snap(?:chat)?
          |insta(?:gram)?|ig
        |discord|tiktok|benutzername|usuario|identifiant|password|passcode)[ \t]{0,2}(?i:is|ist|es|est|=|:)[ \t]{0,2}
        [\"'\u201c@]?(?P<it>[\w.\#$!-]{3,30}(?<![.!]))""",
        _is_said_handle,
    ),
    _form(
        "photo",
        r"""(?<![\w/.-])[\w()-]{1,80}(?:\.[\w-]{1,40}){0,3}
        \.(?i:jpe?g|png|gif|heic|heif|tiff?|bmp|webp|raw|dcm|mp4|mov|avi)(?!\w)""",
        needs=".",
    ),
    _form("other", r"(?<![\w$€£.,/-])\#[ ]?(?P<it>(?=[A-Z-]{0,6}\d)[A-Z0-9][A-Z0-9-]{3,24})\b", is_long_code, "#"),
)
_WITH_DIGITS: Final = (
    _form("ip_address", r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w]|\.\d)", _is_ipv4, "."),
    _form("device", r"(?<![\w:-])(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}(?![\w:-])"),
    _form("device", rf"{_NO_WORD_BEFORE}\d{{2}}[ -]?\d{{6}}[ -]?\d{{6}}[ -]?\d{_NO_WORD_AFTER}", _is_imei),
    _form("social_security", rf"{_NO_WORD_BEFORE}\d{{3}}[- \u2013.]\d{{2}}[- \u2013.]\d{{4}}{_NO_WORD_AFTER}"),
    _form("social_security", r"(?<![\w-])[xX*\#\u2022]{3}[- \u2013]?[xX*\#\u2022]{2}[- \u2013]?\d{4}(?![\w-])"),
    _form(
        "social_security",
        r"""(?<!\w)(?i:ssn?|s\.s\.n?\.?|social(?:[ ]security)?(?:[ ](?:number|no\.?|\#))?|soc(?:ial)?[ ]sec|nss|nir
          |nino?|svnr
        |sozialversicherungs-?(?:nummer|nr\.?)|(?:n[úu]mero[ ]de[ ](?:la[ ])?)?seguridad[ ]social
        |(?:num[ée]ro[ ]de[ ])?s[ée]curit[ée][ ]sociale|national[ ]insurance(?:[ ]number)?)(?![^\W\d_])[^\d\n.;]{0,32}
        (?P<it>(?:[xX*\#]{2,5}[- ]?){0,2}\d(?:[ -]?[A-Z]?[ -]?\d){3,14}(?:[ ]?[A-Z]\b)?)(?!\w)""",
    ),
    _form(
        "social_security",
        r"""(?<!\w)(?i:last[ ](?:four|4)(?:[ ]digits)?|ending[ ]in|ends[ ]in|letzten[ ]vier(?:[ ]ziffern)?
        |[úu]ltimos[ ]cuatro(?:[ ]d[íi]gitos)?|quatre[ ]derniers(?:[ ]chiffres)?)(?![^\W\d_])[^\d\n;]{0,40}?
        (?<!\d)(?P<it>\d{4})(?!\w|[-/:]\d)""",
    ),
    # A French number of social security, a British and a German one.
    _form("social_security", r"(?<!\w)[12][ ]?\d\d[ ]?[01]\d[ ]?\d[\dAB][ ]?\d{3}[ ]?\d{3}(?:[ ]?\d\d)?(?!\w)"),
    _form("social_security", r"(?<!\w)[A-CEGHJ-PR-TW-Z]{2}[ ]?\d\d[ ]?\d\d[ ]?\d\d[ ]?[A-D](?!\w)"),
    _form("social_security", r"(?<!\w)\d\d[ ]?[0-3]\d[01]\d\d\d[ ]?[A-Z][ ]?\d\d[ ]?\d(?!\w)"),
    _form(
        "health_plan",
        rf"""{_NO_WORD_BEFORE}[1-9]{_MBI_LETTER}{_MBI_ANY}\d[- ]?{_MBI_LETTER}{_MBI_ANY}\d[- ]?{_MBI_LETTER}{{2}}\d\d
        {_NO_WORD_AFTER}""",
    ),
    _form("account", r"(?<!\w)[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{1,4}){3,8}(?!\w)", checksums.is_iban),
    _form("account", rf"{_NO_WORD_BEFORE}\d(?:[ -]?\d){{12,18}}{_NO_WORD_AFTER}", checksums.is_card),
    _form("account", r"(?<!\w)(?:[xX*\#\u2022]{4}[- ]?){1,4}\d{4}(?!\w)"),
    _form("license", rf"{_NO_WORD_BEFORE}[12]\d{{9}}{_NO_WORD_AFTER}", checksums.is_npi),
    _form("license", rf"{_NO_WORD_BEFORE}[A-Za-z][A-Za-z9]\d{{7}}{_NO_WORD_AFTER}", checksums.is_dea),
    _form(
        "license",
        r"""(?<!\w)(?:LPC|LCSW|LMFT|LMHC|LPCC|LMSW|LCPC|LISW|PSY|RN|MD|LP|LAC|CADC
          |BCBA)[ ]?[-\#][ ]?(?:[A-Z]{1,3}[- ]?)?
        \d[\d-]{2,12}\b""",
    ),
    _form("vehicle", r"(?<!\w)[A-HJ-NPR-Za-hj-npr-z0-9]{17}(?!\w)", checksums.is_vin),
    _form("vehicle", rf"{_NO_WORD_BEFORE}[A-Z]{{2}}-\d{{3}}-[A-Z]{{2}}{_NO_WORD_AFTER}"),
    _form(
        "vehicle",
        r"""(?<!\w)(?i:plates?|kennzeichen|matr[íi]cula|immatriculation|plaque|tags?|license[ ]plate|reg(?:istration)?)
        (?![^\W\d_])[ \t]{0,2}(?i:number|no\.?|\#|is|ist|es|est|reads?)?[ \t]{0,2}[:=\#(\"'\u201c-]?[ \t]{0,2}
        (?P<it>(?=[A-ZÄÖÜ0-9 ·-]{0,10}\d)[A-ZÄÖÜ0-9]{1,8}(?:[ ·-][A-Z0-9]{1,7}){0,2})\b""",
        _is_plate,
    ),
    _form("other", r"(?<!\w)[XYZ]?\d{7,8}[ -]?[A-Z](?!\w)", checksums.is_spanish_id),
    # A German docket: 5 F 221/24
    _form("other", r"(?<!\w)\d{1,4}[ ][A-Z][A-Za-z]{0,3}[ ]\d{1,6}/\d{2,4}(?!\w)"),
    _form(
        "photo",
        r"(?<!\w)(?:IMG|DSC|DSCN|DSCF|PXL|VID|MVI|DCIM|PHOTO|SCAN|WP|GOPR|MOV)[-_ ]?\d{3,}(?:[_-]\w{1,40}){0,4}",
    ),
    _form(
        "place",
        r"""(?<!\w)(?i:zip(?:[ -]?codes?)?|postal[ ]code|post[ ]?code|plz|postleitzahl|code[ ]postal
          |c[óo]digo[ ]postal|c\.p\.)
        (?![^\W\d_])[ \t]{0,2}(?i:is|of|ist|es|est)?[ \t]{0,2}[:=\#(-]?[ \t]{0,2}
        (?P<it>\d{3,5}(?:-\d{4})?(?:\*\*)?|[A-Z]{1,2}\d[A-Z\d]?[ ]?\d[A-Z]{2}|[A-Z]\d[A-Z][ ]?\d[A-Z]\d)\b""",
    ),
    _form("place", rf"(?<![\w$€£.,-])\d{{5}}-\d{{4}}{_NO_WORD_AFTER}"),
    _form("place", rf"(?<!\w){_STATES}\.?,?[ ]{{1,2}}\d{{5}}(?:-\d{{4}})?(?!\w)"),
    # Of Britain and of Canada
    _form(
        "place",
        r"""(?<!\w)(?:[A-PR-UWYZ]\d{1,2}|[A-PR-UWYZ][A-HK-Y]\d{1,2}|[A-PR-UWYZ]{1,2}\d[A-HJKPSTUW])[ ]
        \d[ABD-HJLNP-UW-Z]{2}(?!\w)""",
    ),
    _form("place", r"(?<!\w)[ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z][ -]?\d[ABCEGHJ-NPRSTV-Z]\d(?!\w)"),
    _form(
        "other",
        r"""(?<![\w$€£\#./@:+-])(?=[A-Za-z_/-]{0,12}\d)[A-Za-z0-9]{1,24}(?:[-/_.][A-Za-z0-9]{1,24}){0,6}
        (?![\w@:%]|[-/.]\w|[ ]?(?:mg|mcg|ml|g|kg|units?|steps|dollars|usd|%)\b)""",
        _is_unlabelled_code,
    ),
)
