"""Recognises addresses by their form, in English, German, Spanish and French."""

import re
from collections.abc import Iterator
from typing import Final

from mh_common.identifiers.gazetteer import Gazetteer, Known, fold
from mh_common.identifiers.protocol import Identifier, IdentifierKind
from mh_common.identifiers.windows import Parts

_CAPITAL: Final = r"[A-ZÀ-ÖØ-Þ]"
_NAME: Final = rf"{_CAPITAL}[\w'\u2019.-]{{0,30}}"
_NUMBERED: Final = r"\d{1,3}(?:st|nd|rd|th)"
_NAME_OR_NUMBER: Final = rf"(?:{_NAME}|{_NUMBERED})"

_KINDS: Final = (
    r"(?:Streets?|St|Avenue|Ave?|Roads?|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Way|Place|Pl|Terrace|Ter|Circle|Cir"
    r"|Parkway|Pkwy|Highway|Hwy|Square|Sq|Trail|Trl|Loop|Alley|Aly|Crescent|Cres|Close|Plaza|Plz|Row|Path|Pike|Turnpike"
    r"|Tpke|Commons|Crossing|Xing|Run|Walk|Expressway|Route|Rte|Broadway|Mews|Green|Gardens)"
)
_KINDS_ALONE: Final = (
    r"(?:Street|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Parkway|Pkwy|Highway|Hwy|Turnpike|Expressway)"
)
"""Of streets without a number of a house."""
_KINDS_IN_LOWER_CASE: Final = (
    r"(?:street|st|avenue|ave|road|rd|boulevard|blvd|lane|ln|drive|dr|court|ct|circle|cir|parkway|pkwy|highway|hwy"
    r"|terrace|trail)"
)
_DIRECTION: Final = r"(?:(?:North|South|East|West|Northeast|Northwest|Southeast|Southwest|[NSEW]\.?|[NS][EW]\.?)[ ])"
_DIRECTION_AFTER: Final = (
    r"(?:[ ](?:North|South|East|West|Northeast|Northwest|Southeast|Southwest|[NS]\.?[EW]?\.?|[EW]\.?)\b\.?)"
)
_FLAT: Final = r"(?:(?:Flat|Apt\.?|Apartment|Unit|Suite|Room)[ ][A-Za-z0-9]{1,5},[ ])"
_UNIT: Final = (
    r"(?:,?[ ](?:Apt|Apartment|Unit|Suite|Ste|Room|Rm|Floor|Fl|Bldg|Building|Lot|Trailer|Space|Flat|No|Nr"
    r"|P\.?O\.?[ ]Box"
    r"|\#)\.?[ ]?\#?[ ]?[A-Za-z0-9-]{1,6}\b|,?[ ]?\#[ ]?\w{1,6}|,?[ ]\d{1,3}(?:st|nd|rd|th)[ ](?:Floor|Fl)\b\.?)"
)
_STATE: Final = (
    r"(?:A[LKZR]|C[AOT]|D[CE]|FL|GA|HI|I[DLNA]|K[SY]|LA|M[EDAINSOT]|N[EVHJMYCD]|O[HKR]|PA|RI|S[CD]|T[NX]|UT|V[TA]"
    r"|W[AVIY]|PR|ON|QC|BC|AB)"
)
_CODE: Final = r"\d{5}(?:-\d{4})?"
_TOWN: Final = (
    rf"(?:,?[ \n]{{1,2}}{_NAME}(?:[ ]{_NAME}){{0,3}}(?:,[ ]?|[ ]){_STATE}\b\.?(?:,?[ ]{{1,2}}{_CODE})?"
    rf"|,[ ](?:[a-z]{{2,20}}[ ]){{1,3}}(?i:{_STATE})[ ]\d{{5}}\b)"
)
_HOUSE: Final = r"\#?\d{1,6}[A-Za-z]?(?:[-/]\d{1,4})?(?:[ ]1/2)?"
_NO_NUMBER_BEFORE: Final = r"(?<![\w$€£.,/-])"

_WITH_NUMBERS: Final = (
    # 482 N. Maple Street, Apt 4B, Dayton, OH 45402
    rf"""{_NO_NUMBER_BEFORE}{_FLAT}?{_HOUSE},?[ ]{{1,2}}{_DIRECTION}?(?:(?:of|the|de|la|del|el|los|las)[ ]){{0,2}}
    {_NAME_OR_NUMBER}[ ](?:(?:{_NAME}|of|the|de|la|del)[ ]){{0,3}}(?i:{_KINDS})\b\.?{_DIRECTION_AFTER}?
    {_UNIT}?{_TOWN}?""",
    # As typed in haste; "5 of the way" and "2 people drive" are no streets.
    rf"""{_NO_NUMBER_BEFORE}\d{{1,6}}[ ](?:[nsew]\.?[ ]|(?:north|south|east|west)[ ])?
    (?!(?:of|the|more|times|hours?|minutes?|min|days?|years?|weeks?|months?|miles?|blocks|people|kids)\b)
    (?:[a-z'\u2019]{{2,20}}|{_NUMBERED})(?:[ ][a-z'\u2019]{{3,20}})?[ ]{_KINDS_IN_LOWER_CASE}\b\.?
    (?:,?[ ](?:apt|apartment|unit|suite|\#)\.?[ ]?\#?[ ]?[a-z0-9-]{{1,5}}\b)?""",
    rf"(?<!\w)(?:Mile|Mile[ ]Marker|MM|Exit)[ ]\d{{1,4}},?[ ]{_NAME}[ ](?:Highway|Hwy|Parkway|Turnpike|Freeway|Road)",
    r"(?<!\w)(?:[Hh]ighway|[Rr]oute|HWY|[Hh]wy|[Ii]nterstate|[Cc]ounty[ ][Rr]oad|I)[ -]?\d{1,3}(?!\w)",
    rf"""(?<!\w)(?:P\.?[ ]?O\.?[ ]?|p\.?o\.?[ ]?)[Bb]ox[ ]\#?\d{{1,6}}\b{_TOWN}?|(?<!\w)Postfach[ ][\d ]{{2,8}}\b
    |(?<!\w)Apartado[ ](?:de[ ]Correos[ ])?\d{{1,6}}\b""",
    r"(?<!\w)(?:Rural[ ]Route|R\.?R\.?|Star[ ]Route|HC)[ ]?\#?\d{1,3}(?:,?[ ]Box[ ]\d{1,5})?\b",
    # Hauptstraße 12, 50674 Köln
    rf"""(?<!\w)(?:{_NAME}[ -]){{0,2}}(?:{_CAPITAL}[\wäöüß.-]{{0,30}}
    (?:stra(?:ß|ss)e|str\.|weg|gasse|allee|platz|damm|ufer|ring|steig|chaussee|markt)
    |(?:Stra(?:ß|ss)e|Str\.|Weg|Allee|Platz|Gasse))[ ]?\d{{1,4}}[ ]?[a-z]?\b
    (?:,?[ ](?:[A-Z]{{1,2}}-)?\d{{4,5}}[ ]{_NAME}(?:[ ]{_NAME})?)?""",
    # Am Markt 3
    rf"""(?<!\w)(?:Am|An[ ]de[rn]|Im|In[ ]de[rn]|Auf[ ]de[rm]|Zum|Zur|Unter[ ]den|Hinter[ ]der)[ ]{_NAME}(?:[ ]{_NAME})?
    [ ]\d{{1,4}}[ ]?[a-z]?\b(?:,?[ ]\d{{4,5}}[ ]{_NAME})?""",
    # 50674 Köln
    rf"{_NO_NUMBER_BEFORE}(?:[A-Z]{{1,2}}-)?\d{{4,5}}[ ](?=[A-ZÀ-Þ][a-zà-ÿ])(?P<town>{_NAME})",
    rf"(?<!\w)(?:on|at|to|near|off)[ ](?P<it>{_NUMBERED}[ ](?:and|&)[ ](?:[A-Z]\w+|{_NUMBERED}))\b",
)
_ANYWHERE: Final = (
    rf"(?<!\w){_DIRECTION}?{_NAME_OR_NUMBER}(?:[ ]{_NAME}){{0,2}}[ ]{_KINDS_ALONE}\b\.?",
    rf"(?<!\w){_CAPITAL}[\wäöüß]{{2,25}}(?:stra(?:ß|ss)e|gasse|allee)\b",
    # Calle Mayor 12, 3º B, 28013 Madrid
    rf"""(?<!\w)(?:[Cc]alle|C/|[Aa]venida|Avda?\.?|[Pp]laza|Pza\.?|[Pp]aseo|[Cc]arrera|[Cc]amino|[Rr]onda|[Cc]arretera
    |[Tt]raves[íi]a|[Cc]allej[óo]n|[Cc]olonia|[Uu]rbanizaci[óo]n)[ ]?
    (?:(?:de|del|la|las|los|el|de[ ]la|de[ ]los)[ ]){{0,2}}{_NAME}
    (?:[ ](?:(?:de|del|la|las|los|y)[ ]){{0,2}}{_NAME}){{0,3}}(?:,?[ ](?:n[úu]m\.?|n[°º]\.?
      |\#)?[ ]?\d{{1,4}}[A-Za-z]?\b)?
    (?:,[ ]\d{{1,2}}[ºª°]?[ ]?[A-Z]?\b)?(?:,?[ ]\d{{5}}[ ]{_NAME}(?:[ ]{_NAME})?)?""",
    # 12 bis, rue de la Paix, 75002 Paris
    rf"""(?<!\w)(?:\d{{1,4}}(?:[ ]?(?:bis|ter|quater))?,?[ ])?
    (?:[Rr]ue|[Aa]venue|[Bb]oulevard|[Bb]d|[Pp]lace|[Ii]mpasse|[Aa]ll[ée]e|[Cc]hemin|[Qq]uai|[Rr]oute|[Ss]quare)[ ]
    (?:(?:de|du|des|la|le|les|de[ ]la|aux?)[ ]|d['\u2019]|l['\u2019]|de[ ]l['\u2019]){{0,2}}{_NAME}
    (?:[ ](?:(?:de|du|des|la|et)[ ]){{0,2}}{_NAME}){{0,3}}(?:,?[ ]\d{{5}}[ ]{_NAME}(?:[ ]{_NAME})?)?""",
    rf"""(?<!\w)(?:corner|intersection)[ ]of[ ]
    (?P<it>{_NAME_OR_NUMBER}(?:[ ]{_NAME})?[ ](?:and|&)[ ]{_NAME_OR_NUMBER}(?:[ ]{_NAME})?)""",
)
_FORMS_WITH_NUMBERS: Final = tuple(re.compile(form, re.VERBOSE) for form in _WITH_NUMBERS)
_FORMS_ANYWHERE: Final = tuple(re.compile(form, re.VERBOSE) for form in _ANYWHERE)


def find_streets(text: str, parts: Parts, gazetteer: Gazetteer) -> Iterator[Identifier]:
    """Yield the addresses in the text; they may overlap. `parts` are those around its digits."""
    for forms, places in ((_FORMS_ANYWHERE, [(0, len(text))]), (_FORMS_WITH_NUMBERS, parts)):
        for form in forms:
            for start, end in places:
                for match in form.finditer(text, start, end):
                    groups = match.groupdict()
                    if "town" in groups and not gazetteer.known(fold(groups["town"])) & Known.PLACE:
                        continue
                    yield Identifier(*match.span("it" if "it" in groups else 0), IdentifierKind.PLACE)
