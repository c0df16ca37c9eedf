"""Diagnoses of people whom the writer never met."""

from typing import Final

from mh_common.advice.patterns import any_of
from mh_common.advice.rule import HE, Rule
from mh_common.models import UnsafeAdvice

_DISORDER: Final = (
    r"(?:bipolar|borderline|bpd|schizophreni\w+|schizoaffective|psychosis|psychotic|ptsd|post-?traumatic stress|"
    r"(?:major|clinical) depression|an? (?:\w+ )?(?:personality|anxiety|eating|panic|mood|bipolar|depressive) "
    r"disorder|ocd|obsessive[- ]compulsive disorder|adhd|autism|autistic|asperger\w*|anorexia|bulimia|narcissistic|"
    r"an? (?:(?!recovering|former|sober)\w+ )?(?:narcissist|sociopath|psychopath|addict|alcoholic)|clinically "
    r"depressed)\b(?! (?:symptom|tendenc|trait|thought|talking|speaking|lying))"
)
NAMES_A_DISORDER: Final = any_of(rf"\b{_DISORDER}", r"\bdepress(?:ed|ion|ive)\b")

DIAGNOSIS: Final = Rule(
    UnsafeAdvice.DIAGNOSIS,
    says=any_of(
        rf"\b(?:you|{HE}) (?:(?:clearly|obviously|definitely|certainly|undoubtedly|really|most likely|probably|"
        r"surely) )*(?:ha(?:ve|s)|suffers?(?: from)?|(?:are|is)(?: suffering from| an? (?:typical|classic|"
        rf"textbook))?) (?:(?:clearly|obviously|definitely|certainly|probably) )*(?:a case of )?{_DISORDER}",
        r"\b(?:this|it|that) (?:is|must be) (?:(?:clearly|obviously|definitely|certainly|undoubtedly) )*(?:an? (?:case|"
        rf"form|type|kind) of )?{_DISORDER}",
        r"\bthe name (?:for|of) (?:the|your|this|that|his|her|their) (?:condition|disorder|illness|disease) is\b",
        r"\b(?:your|his|her|their) (?:condition|disorder|illness|disease|problem|challenge|issue) is (?:called|known "
        r"as)\b(?! (?:into|for|out|off)\b)",
        rf"\b(?:sounds?|seems|looks) (?:to me )?(?:a lot |very much )?like (?:(?:you|{HE}) (?:are |is )?(?:have|has|"
        rf"having|suffer(?:s|ing)? from) )?(?:(?:some|an?|pretty|very|classic|typical|severe) )*(?:{_DISORDER}|"
        r"depression\b|(?:\w+ )?(?:depressive|anxiety|personality|eating) disorder)",
        rf"\b(?:you|{HE}) (?:are|is) suffering from (?:\w+ )?depression\b",
        rf"\b(?:classic|typical|clear|textbook|obvious) (?:case|example|sign)s? of {_DISORDER}",
        r"\bmy diagnosis (?:is|would be)\b(?! not\b)",
        r"\b(?:sie|er|du) (?:hat|hast|haben|leidet an|ist|sind|bist) (?:eindeutig|offensichtlich|sicher|definitiv) "
        r"(?:eine? )?(?:borderline|bipolar|schizophren|depression|psychose|ptbs|narzisst)",
        r"\b(?:usted|él|ella|su \w+) (?:claramente|obviamente|sin duda|seguramente) (?:tiene|padece|es) (?:un |una "
        r")?(?:trastorno|bipolar|esquizofrenia|depresión|narcisista)",
        r"\b(?:vous|il|elle) (?:avez|a|êtes|est|souffrez de|souffre de) (?:clairement|manifestement|certainement) "
        r"(?:une? )?(?:trouble|bipolaire|schizophrén|dépression|borderline|narcissique)",
    ),
    unless=any_of(
        r"\b(?:diagnos(?:ed|tic|es|is of|is was)|maybe|perhaps|may|might|could|possibl\w+|wonder\w*|because|since|"
        r"although|though|given that|doesn't mean|does not mean)\b",
        r"\?\W*$",
    ),
)
