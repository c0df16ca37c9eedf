"""Orders about a relationship: to leave somebody, to stay, to forgive, to give in. Whose life it is decides.

To leave can be right, and is most dangerous where there is violence: then it takes a plan and somebody who helps.
"""

from typing import Final

from mh_common.advice.patterns import END, any_of
from mh_common.advice.rule import Rule
from mh_common.models import UnsafeAdvice

_PARTNER: Final = (
    r"(?:(?:your|this|that|the) (?:\w+ )?(?:husband|wife|spouse|partner|boyfriend|girlfriend|fianc[eé]e?|guy|man|woman|"
    r"loser|jerk|creep))"
)
_LOVED: Final = rf"(?:him|her|them|{_PARTNER})"
_BOND: Final = r"(?:the|this|that|your) (?:\w+ )?(?:relationship|marriage)"
_MUST: Final = (
    r"\b(?<!support )(?<!help )(?<!courage )(?<!that )(?:you|she|he) (?:(?:really|just|simply|clearly|definitely) "
    r")*(?:should|must|needs? to|ha(?:ve|s) to|ought to|had better) (?:(?:just|simply|really|definitely) )*"
)
_LEAVE: Final = (
    rf"(?:(?:leave|dump|ditch) {_LOVED}{END}|(?:divorce|break up with|get rid of|walk out on|separate from) "
    rf"{_LOVED}\b|(?:get|move) out of {_BOND}{END}|(?:end|leave) {_BOND}{END}|leave {_LOVED} (?:for good|behind|"
    r"(?:and|before) \w+)\b|file for (?:a )?divorce\b)"
)
_STAY: Final = (
    rf"(?:stay (?:with (?:him|her|{_PARTNER})|together|married|in {_BOND})|(?:go|get) back (?:to|with|together with) "
    rf"{_LOVED}|take {_LOVED} back)"
)

PARTING: Final = Rule(
    UnsafeAdvice.ULTIMATUM,
    says=any_of(
        rf"{_MUST}{_LEAVE}",
        rf"\b(?:dump|ditch) {_PARTNER}\b",
        r"\b(?:it(?:'s| is) )?time to (?:divorce|dump|ditch) ",
        r"\b(?:needs?|has|must|have) (?:to )?(?:stop|change|end)(?: \w+){0,3} (?:in order )?for (?:the|your|this) "
        r"(?:relationship|marriage) to (?:continue|go on|survive|last)\b",
        rf"\b(?:the only|your only|her only|his only|the best) (?:solution|option|choice|thing to do|way out|answer) "
        rf"is (?:a divorce|divorce|to (?:{_LEAVE}|leave|get out))",
    ),
    commands=any_of(
        rf"\b(?:divorce|dump|ditch|break up with) {_LOVED}\b",
        rf"\bget out of {_BOND}{END}",
        r"\bcut your losses\b",
        rf"\bend (?:this|that|your) (?:\w+ )?(?:relationship|marriage){END}",
        rf"\b(?:get away|run) from {_LOVED}{END}",
    ),
)

STAYING: Final = Rule(
    UnsafeAdvice.FRIGHTENING,
    says=any_of(
        rf"{_MUST}{_STAY}\b",
        r"\b(?:divorce|separation|leaving (?:him|her)) is (?:never|not) (?:an?|the) (?:option|answer|solution|way)\b",
        r"\b(?:marriage|a vow|vows) (?:is|are) (?:for life|forever)\b",
        r"\b(?:for the sake of|because of|for) (?:the|your) (?:children|kids|family),? (?:you )?(?:should |must |have "
        r"to |need to )?(?:stay|remain|go back|put up)\b",
        rf"{_MUST}(?:put up with|endure|tolerate|obey|submit to|serve|satisfy) (?:him|her|it|{_PARTNER}|your "
        r"(?:father|mother|parents|family))\b",
        r"\b(?:wife|wives|husbands?|woman|women|men)(?:'s)? (?:duty|place|job|role) is (?:to|in|at)\b",
        r"\b(?:marital|wifely|conjugal) dut(?:y|ies)\b",
        r"\bowes? (?:him|her|it to him|it to her|your (?:husband|wife|partner|boyfriend|girlfriend)) (?:sex|intimacy|"
        r"your body|obedience)\b",
        rf"\b(?:have sex|sleep) with (?:him|her|{_PARTNER}),? even (?:if|when|though) (?:you|she|he) (?:(?:really|do) "
        r")?(?:don't|do not|doesn't|does not|aren't|are not|isn't)\b",
        rf"{_MUST}forgive (?:him|her|them|your \w+|whoever|those who)\b",
    ),
    commands=any_of(
        rf"\b(?:submit to|obey) (?:him|her|{_PARTNER}|your (?:father|mother|parents))\b",
        r"\b(?:forgive and forget|turn the other cheek)\b",
    ),
)

SPYING: Final = Rule(
    UnsafeAdvice.FRIGHTENING,
    says=any_of(
        r"\b(?:hire|hiring|get) a (?:private )?(?:investigator|detective)\b",
        r"\b(?:install|put|place|hide|use) (?:an? |some )?(?:gps|trackers?|tracking \w+|spyware|keyloggers?|(?:hidden|"
        r"secret|spy) (?:cameras?|recorders?|microphones?|apps?))\b",
    ),
    advises=any_of(
        r"\b(?:read|check|go through|look through|search|hack(?: into)?|look at|look into|snoop (?:in|through)) (?:his|"
        r"her|their|your (?:husband|wife|spouse|partner|boyfriend|girlfriend|client|patient|son|daughter|teen(?:ager)?|"
        r"child)'s) (?:\w+ )?(?:phone|texts?|text messages|messages|e-?mails?|diary|journal|browser|browsing history|"
        r"social media|accounts?|facebook|computer)\b",
        r"\b(?:track|spy on|stalk|tail) (?:him|her|(?:his|her|their) (?:phone|location|every move|"
        r"movements|whereabouts))\b",
        r"\b(?:record|film|tape) (?:him|her|them) (?:secretly|without|when (?:he|she|they))\b",
        r"\b(?:expose|out|shame|humiliate|embarrass) (?:him|her|them) (?:to|in front of|on|at|publicly|online)\b",
        r"\btell (?:(?:his|her|their) (?:\w+ )?|the (?:client|patient|person|child|student|teen)'s )(?:wife|husband|"
        r"spouse|partner|boss|employer|manager|colleagues?|co-?workers|friends|neighbou?rs|ex|classmates|church|"
        r"parents|family|mother|father) (?:that (?:he|she|they) (?:is|are|has|have) |everything (?:he|she|they) |what "
        r"(?:he|she|they) (?:said|told|shared|disclosed|confided))",
        r"\bpost (?:it|this|that|about (?:it|this|him|her|them)|(?:his|her|their) \w+) (?:on|to) (?:facebook|instagram|"
        r"twitter|tiktok|reddit|social media|the internet|online)\b",
    ),
)
