"""Recognises codes by the words before them: "MRN 00482913", "license no. LPC-0031877", "Kontonummer: …".

Every repetition in these expressions has a bound: the time is linear in the text.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from mh_common.identifiers.protocol import Identifier, IdentifierKind
from mh_common.identifiers.windows import Parts

_NUMBER: Final = (
    r"(?:numbers?|num\b\.?|nbr\b\.?|no\b\.?|nos\b\.?|nr\b\.?|n[°º]|#|id\b|code\b|n[úu]mero|num[ée]ro|nummer)"
)
_NUMBER_OF: Final = r"(?:n[úu]mero|num[ée]ro|n[°º]\.?|nr\.?|number) (?:de |du |del |de la |d['\u2019]|der |des |of )?"
_BETWEEN: Final = (
    r"(?i:[ \t]{0,2}(?:[:=#(\[\"'\u201c,\u2013-]|\.{1,3}(?=[ \t])|on file\b|is\b|was\b|ist\b|lautet\b|es\b|est\b"
    r"|under\b"
    r"|ends?(?: (?:in|with))?\b|ending(?: (?:in|with))?\b|reads?\b|listed as\b|with\b|" + _NUMBER + r")){0,4}[ \t]{0,3}"
)
_GROUP: Final = r"(?=[A-Za-z/._*-]{0,16}\d)[A-Za-z0-9*](?:[A-Za-z0-9/._*-]{0,38}[A-Za-z0-9])?"
_MORE: Final = r"(?:[ ](?=[A-Z]{0,3}\d)(?!\d{1,2}/\d|(?:19|20)\d\d\b)[A-Z0-9-]{2,12}\b(?![:%/]))"
_CODE: Final = rf"(?P<it>(?:[A-Z]{{1,8}}[ ](?=[A-Z]{{0,2}}\d))?{_GROUP}{_MORE}{{0,5}})"


@dataclass(frozen=True)
class Labels:
    """Labels of one kind of identifiers, as expressions between bars; `_` stands for a blank.

    `sure` are labels of such numbers alone. `nouns` are ordinary words too: the code must be long, unless "number" or
    the like stands beside the noun.
    """

    kind: IdentifierKind
    sure: str
    nouns: str


_LABELS: Final = (
    Labels(
        IdentifierKind.MEDICAL_RECORD,
        r"""mrn|m\.r\.n\.|mr#|emr#|nhc|ipp|patientennummer|patienten-?nr\.?|fallnummer|fall-nr\.?|krankenaktennummer
        |historia_cl[íi]nica|hospital_n(?:umber|o\.?)|(?:patient|client|pt|chart|klienten|patienten)[_-]?id|unit_number""",
        r"""(?:medical|health|hospital|clinical)_records?|med\.?_rec\.?|charts?|records?|historia|dossier|patienten?akte
        |krankenakte|akte|expediente|encounter|admission|visit|specimen|lab|accession""",
    ),
    Labels(
        IdentifierKind.HEALTH_PLAN,
        r"""(?:member|subscriber|insurance|insured|medicaid|medicare|beneficiary|plan|policy|policyholder|group|grp|payer|hic
        |mbi|health_card|nhs)[_-]?(?:id|number|no\.?|#|nr\.?|n[°º])|mbi|hicn|versicherten-?(?:nummer|nr\.?)
        |versicherungs-?(?:nummer|nr\.?)|kvnr|krankenversichertennummer|tarjeta_sanitaria|p[óo]liza|carte_vitale
        |num[ée]ro_d['\u2019]adh[ée]rent""",
        r"""polic(?:y|ies)|subscriber|beneficiary|member|insurance|medicaid|medicare|cigna|aetna|humana|anthem|tricare|kaiser
        |blue_?cross|bcbs|uhc|unitedhealthcare|prior_auth(?:orization)?|authorization|auth|group|grp|plan|afiliad[oa]|seguro
        |assur[ée]e?|s[ée]curit[ée]_sociale|seguridad_social|mutuelle|versichert[^\W\d_]{0,4}|krankenkasse|aok|barmer|tk
        |dak|claim""",
    ),
    Labels(
        IdentifierKind.ACCOUNT,
        r"""iban|acct|a/c|konto-?(?:nummer|nr\.?)|routing|bic|swift|clabe|cuenta_bancaria|num[ée]ro_de_compte""",
        r"""accounts?|bank|cards?|visa|mastercard|amex|credit_card|debit_card|checking|savings|konto|kreditkarte|cuenta
        |tarjeta|compte|carte_bancaire|paypal|venmo|invoice|billing|rechnung|factura|facture|bill(?:ed)?_to|customer
        |kunden?""",
    ),
    Labels(
        IdentifierKind.LICENSE,
        r"""npi|dea|dl|d\.l\.|lic|(?:driver['\u2019]?s?|drivers['\u2019]?|driving)_licen[sc]e
        |f[üu]hrerschein(?:nummer|-?nr\.?)?|permis(?:_de_conduire)?|licencia(?:_de_conducir)?|carn[ée]_de_conducir
        |n[úu]mero_de_colegiado|approbation(?:snummer)?|rpps|adeli""",
        r"""licen[sc]es?|licen[sc]ed?|licensure|certificates?|certification|registration|lpc|lcsw|lmft|lmhc|lpcc|lmsw|psy|rn
        |md|colegiad[oa]|permit""",
    ),
    Labels(
        IdentifierKind.VEHICLE,
        r"""vin|v\.i\.n\.|(?:license|licence|number)_plates?|kennzeichen|matr[íi]cula
        |immatriculation|plaque(?:_d['\u2019]immatriculation)?|fahrgestellnummer|bastidor|plates?
        |tags?_(?:number|no\.?|#)|reg(?:istration)?_(?:plate|number|no\.?)""",
        r"""tags?|vehicle|car|truck|fahrzeug|coche|voiture""",
    ),
    Labels(
        IdentifierKind.DEVICE,
        r"""s/n|sn|ser\.?_?no\.?|serials?|seriennummer|serien-?nr\.?|n[úu]mero_de_serie|num[ée]ro_de_s[ée]rie|imei|udi|imsi
        |iccid|(?:device|pump|monitor|implant|pacemaker|equipment|ger[äa]te)[_-]?(?:id|identifier|serial|nummer|nr\.?)
        |mac(?:_address)?""",
        r"""devices?|pump|pacemaker|implants?|neurostimulator|stimulator|wheelchair|hearing_aids?|cpap|glucometer|monitor
        |sensor|tracker|defibrillator|lot|tablet|laptop|ger[äa]t|herzschrittmacher|marcapasos|dispositivo|appareil""",
    ),
    Labels(
        IdentifierKind.BIOMETRIC,
        r"""(?:finger|voice|palm|thumb|face|retina|iris|dna|hand|foot)[_-]?(?:prints?|scans?|sample|template|id|image
        |profile)s?(?:_(?:template|file|record|sample|scan|id|hash|code|profile|enrolment|enrollment|ref)){0,2}
        |biometrics?(?:_(?:template|file|record|sample|scan|id|hash|code|profile|token))?|voice_profile
        |facial_(?:template|scan|recognition)|fingerabdruck|stimmabdruck|huella(?:_(?:dactilar|digital))?
        |empreinte(?:_(?:digitale|vocale))?|iris|retina(?:l_scan)?""",
        r"""biometric_login|scans?""",
    ),
    Labels(
        IdentifierKind.PHOTO,
        r"""(?:photo|picture|image|headshot|selfie|foto|imagen|bild)[_-]?(?:id|file|no\.?|number|#|nr\.?)""",
        r"""photos?|photographs?|pictures?|images?|fotos?|bild""",
    ),
    Labels(
        IdentifierKind.OTHER,
        r"""passports?|reisepass(?:nummer|-?nr\.?)?|pasaporte|passeport|personalausweis(?:nummer|-?nr\.?)?
        |ausweis(?:nummer|-?nr\.?)|aktenzeichen|az\.|dni|nie|docket|(?:case|student|employee|staff|inmate|badge|booking|file
        |claim|incident|report|reference|ref|confirmation|order|ticket|tracking|visa|alien|study|subject|participant|event
        |military|service|tax|voter|referral|intake|job|locker|ein|tin)[_-]?(?:id|numbers?|no\.?|#|nr\.?|n[°º]|code)
        |steuer-?(?:id|nummer|nr\.?)|personalnummer|matrikelnummer|tax_id|itin|ein|tin|rx_?#|pa_?#|auth_?#|kundennummer
        |order_of_protection|case_file|(?:police|cps|incident)_report|a-number|green_card|pin(?:_code)?|passcode|password""",
        r"""cases?|files?|dockets?|reports?|badges?|inmate|employee|student|claims?|references?|ref|confirmation|tickets?
        |orders?|warrants?|prescriptions?|rx|ids?|identification|cause|matter|petition|visa|permit|certificate|study
        |participant|caso|fall|vorgang|affaire|serial""",
    ),
)


@dataclass(frozen=True)
class _Form:
    kind: IdentifierKind
    expression: re.Pattern[str]
    check: Callable[[str], bool]


def count_digits(code: str) -> int:
    """Return the number of digits in a code."""
    return sum(character.isdigit() for character in code)


def is_long_code(code: str) -> bool:
    """Return whether a code is too long for an ordinary number."""
    return count_digits(code) >= 4 or (count_digits(code) >= 3 and any(letter.isupper() for letter in code))


def _is_code(code: str) -> bool:
    return len(code) >= 3 or code.isdigit()


def find_labelled(text: str, parts: Parts) -> Iterator[Identifier]:
    """Yield the codes in these parts of the text that stand after their labels; they may overlap."""
    for start, end in parts:
        for word in _WORD_START.finditer(text, start, end):
            for form in _FORMS.get(word[0].lower(), ()):
                match = form.expression.match(text, word.start())
                if match and form.check(match["it"]):
                    yield Identifier(*match.span("it"), form.kind)


def _alternatives(expression: str) -> Iterator[str]:
    """Yield the alternatives at the top of an expression; each begins with a letter.

    Words of a text are compared with those alternatives only that begin with the same letter.
    """
    start = depth = 0
    for place, character in enumerate(f"{expression}|"):
        depth += (character in "([") - (character in ")]")
        if character == "|" and not depth:
            yield from _expanded(expression[start:place])
            start = place + 1


def _expanded(alternative: str) -> Iterator[str]:
    """Yield "ac" and "bc" for "(?:a|b)c"."""
    if not alternative.startswith("(?:"):
        yield alternative
        return
    depth = 0
    for place, character in enumerate(alternative):
        depth += (character in "([") - (character in ")]")
        if not depth:
            yield from (first + alternative[place + 1 :] for first in _alternatives(alternative[3:place]))
            return


def _forms() -> dict[str, tuple[_Form, ...]]:
    """Return the forms by the letter that the label begins with."""
    forms: dict[str, list[_Form]] = {}
    for labels in _LABELS:
        sure, nouns = ("".join(part.split()).replace("_", " ") for part in (labels.sure, labels.nouns))
        with_number = rf"{_NUMBER_OF}(?:{nouns})|(?:{nouns})[ \t-]{{0,2}}{_NUMBER}"
        for expression, check in ((f"{sure}|{with_number}", _is_code), (nouns, is_long_code)):
            by_letter: dict[str, list[str]] = {}
            for label in _alternatives(expression):
                by_letter.setdefault(label[0], []).append(label)
            for letter, some in by_letter.items():
                compiled = re.compile(rf"(?i:{'|'.join(some)})(?![^\W\d]){_BETWEEN}{_CODE}")
                forms.setdefault(letter, []).append(_Form(labels.kind, compiled, check))
    return {letter: tuple(some) for letter, some in forms.items()}


_FORMS: Final = _forms()
_WORD_START: Final = re.compile(r"(?<!\w)[^\W\d_]")
