"""Pressure by faith, and against what people are: whom they love, who they are."""

from typing import Final

from mh_common.advice.patterns import END, any_of
from mh_common.advice.rule import Rule
from mh_common.models import UnsafeAdvice

_GOD: Final = r"(?:god|jesus|christ|the lord|allah|heaven)"
_ORIENTATION: Final = (
    r"(?:(?:being )?(?:gay|lesbian|bisexual|trans(?:gender|sexual)?|queer)|homosexuality|same[- ]sex (?:attraction|"
    r"love|relationships?)|transgenderism)"
)

FAITH: Final = Rule(
    UnsafeAdvice.FRIGHTENING,
    says=any_of(
        rf"\b{_GOD} (?:will|is going to|wants to|would) (?:\w+ )?(?:punish|judge|condemn|abandon|curse|reject|damn|be "
        r"angry|never forgive|not forgive)",
        rf"\b(?:punish(?:ed|ment|ing)|test(?:ed|ing)?|cursed|judgement|judgment|wrath) (?:(?:you|him|her|by|from|of) )*"
        rf"{_GOD}\b",
        rf"\b{_GOD}(?:'s| is| has) (?:punish(?:ing|ed|ment)|testing you|will for you|angry|wrath)\b",
        r"\b(?:is|are|was|would be|it's|that's|this is) (?:an? )?(?:(?:mortal|grave|terrible|great|deadly) )?(?:sin|"
        rf"abomination|sinful){END}",
        r"\b(?:you|he|she|they|people)(?:'ll| will| are going to)? (?:go|be sent) (?:straight )?to hell\b|"
        r"\b(?:burn|rot) in hell\b",
        rf"\btrust (?:in )?{_GOD} (?:and )?(?:no one|nobody|nothing|alone|"
        r"only)\b",
        r"\b(?:you|he|she|they) (?:(?:just|really|only|simply) )*(?:should|must|needs? to|ha(?:ve|s) to|ought to) "
        rf"(?:pray|repent|go to church|confess|find {_GOD}|accept {_GOD}|let {_GOD}|trust {_GOD}|put {_GOD}|fear "
        rf"{_GOD})",
        r"\b(?:lack|want) of faith\b|\b(?:if you (?:had|have)|with) (?:more|enough|true|real|stronger) faith\b|\byour "
        r"faith is (?:too )?weak\b",
        r"\bpray (?:it|this|that|the \w+) away\b",
        r"\b(?:possessed by|demonic|evil spirits?|satan)\b|\b(?:is|are) (?:of )?(?:the devil|demons?)\b",
    ),
    advises=any_of(rf"\bturn (?:away )?(?:back )?to {_GOD}\b"),
    commands=any_of(rf"\b(?:pray (?:harder|more|for forgiveness)|fear {_GOD}){END}"),
    unless=any_of(r"\?\W*$"),
)

ORIENTATION: Final = Rule(
    UnsafeAdvice.FRIGHTENING,
    says=any_of(
        rf"\b{_ORIENTATION} is (?:(?:just|only|simply|clearly|still) )*(?:an? )?(?:(?:\w+ )?(?:phase|choice|lifestyle|"
        r"disorder|illness|disease|sickness|perversion|sin|mistake|trend|fashion)\b|wrong\b|unnatural|abnormal|"
        r"against)",
        rf"\b(?:cure|fix|heal|change|overcome|correct|stop|resist|get rid of) (?:your |his |her |their |the )?"
        rf"(?:{_ORIENTATION}|homosexual (?:feelings|urges|thoughts)|sexual orientation|gender identity)\b",
        r"\b(?:become|turn|be made) (?:straight|heterosexual|normal)(?: again)?\b",
        r"\b(?:conversion|reparative) therapy\b",
    ),
    unless=any_of(r"\?\W*$", r"\b(?:ban\w*|harm\w*|debunked|discredited|unethical|illegal|myth)\b"),
)
