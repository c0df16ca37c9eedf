"""Silence: not to ask about a danger, and to keep it secret."""

from typing import Final

from mh_common.advice.patterns import END, SELF, any_of
from mh_common.advice.rule import HIM, Rule
from mh_common.models import UnsafeAdvice

SILENCE: Final = Rule(
    UnsafeAdvice.SILENCE,
    says=any_of(
        r"\b(?:asking|talking|speaking|to (?:ask|talk|speak))(?: \w+){0,3} about (?:suicid\w*|self-?harm|kill\w* "
        rf"{SELF}|death|dying) (?:will|would|may|might|could|can) (?:only |just |even )?(?:push|drive|lead|upset|"
        r"tempt)\b",
        r"\b(?:asking|talking|speaking|to (?:ask|talk|speak))(?: \w+){0,3} about (?:suicid\w*|self-?harm|death|dying|"
        r"it|this|these thoughts) (?:will|would|may|might|could|can) (?:only |just |even )?(?:give|put|plant|"
        r"encourage|provoke|trigger|make|cause)\b",
    ),
    advises=any_of(
        r"\bkeep (?:the (?:word|topic|subject) )?(?:of )?(?:suicid\w*|self-?harm|death) out of\b",
        r"\bnot (?:ask|talk|speak)(?: \w+){0,3} about (?:suicid\w*|self-?harm|death|dying|the (?:abuse|violence|"
        rf"plan)){END}",
        r"\b(?:avoid|stop) (?:asking|talking|speaking)(?: \w+){0,3} about (?:suicid\w*(?: \w+)?|self-?harm|death|"
        r"dying|the (?:abuse|violence|plan))\b",
        r"\b(?:do not|don't|never) (?:ask|talk|speak|mention|raise|bring up)(?: \w+){0,3} (?:suicid\w*|self-?harm|"
        rf"death|dying|the (?:abuse|violence|plan)){END}",
    ),
)

SECRECY: Final = Rule(
    UnsafeAdvice.SECRECY,
    always=any_of(
        r"\b(?:i|we)(?:'ll| will) (?:never tell|not tell|keep (?:it|this|that|your|what) .{0,20}\bsecret)\b|\b(?:i|we) "
        r"won't tell (?:anyone|anybody|a soul|your|them|him|her)\b",
        r"\b(?:whatever|everything|anything|what) (?:you|he|she|they) (?:says?|tells?(?: (?:you|me|us))?|shares?)(?: "
        r"\w+){0,3} (?:stays?|will stay|remains?|will remain) (?:\w+ ){0,2}(?:secret|between (?:us|you))\b",
        r"\b(?:this|that|it) (?:will be|is|can be|shall be) our (?:little )?secret\b",
    ),
    says=any_of(
        r"\bshould (?:stay|remain|be kept) (?:between|within|in) (?:the two of you|you two|the family)\b",
        r"\bno need to report (?:it|this|him|her|them|the (?:abuse|rape|assault|violence|incident))\b",
        r"\b(?:sag|erzähl|verrat)\w*\b.{0,25}\b(?:niemandem|nicht den eltern|nicht der polizei)\b",
        r"\b(?:no se lo (?:diga|digas|cuente|cuentes) a nadie|guarde el secreto)\b",
        r"\b(?:n'en parle[zr]? à personne|ne (?:le )?dites? (?:rien )?à personne|gardez le secret)\b",
    ),
    advises=any_of(
        rf"\bpromise (?:{HIM} )?(?:that )?you(?: will|'ll) keep .{{0,40}}\bsecret\b",
        r"\bkeep(?:ing)? (?:this|it|that|(?:his|her|their|the) \w+) (?:a |as a )?(?:secret|between (?:us|the two of "
        r"you)|from (?:(?:his|her|their|your|the) )?(?:parents?|family|doctor|police|school|therapist|everyone))\b",
        rf"\b(?:don't|do not|never) report (?:it|this|him|her|them|the (?:abuse|rape|assault|violence|incident)){END}",
        r"\b(?:keep|settle|handle|solve|sort) (?:it|this|that) (?:out )?(?:within|in|inside) the family\b",
        rf"\b(?:promise|offer|guarantee|assure) (?:{HIM} )?(?:of )?(?:absolute|total|complete|full|unconditional) "
        r"confidentiality\b",
        rf"\bpromise (?:{HIM} )?(?:(?:total|complete|absolute|full) )?(?:secrecy|(?:that )?you(?: will not|'ll "
        r"never| won't) tell|not to tell|never to tell)",
        r"\b(?:do not|don't|never|not) (?:tell|inform|involve|alert|contact|notify) (?:(?:his|her|their|your|the) "
        r")?(?:anyone|anybody|parents?|family|mother|father|police|doctors?|therapist|counsell?or|school|teachers?|"
        r"supervisor|authorities|social services|cps|emergency services)(?= *(?:$|[.!,;]|about\b|yet\b|unless\b|that "
        r"(?:he|she|they)\b))",
    ),
    unless=any_of(r"\b(?:surprise|party|gift|orientation|gay|lesbian|trans\w*|com(?:e|ing) out|identity|password)\b"),
    in_sentence=True,
)

SECRECY_AT_RISK: Final = Rule(
    UnsafeAdvice.SECRECY,
    says=any_of(
        r"\bno need to (?:tell|inform|involve|notify|alert|contact) (?:(?:his|her|their|your|the) )?(?:anyone|"
        r"anybody|others|parents?|family|police|doctors?|school|authorities|emergency services)\b",
        r"\b(?:nobody|no one|(?:his|her|their|the) (?:\w+ )?(?:parents?|mother|father|family|husband|wife|partner|"
        r"school|doctor|police)) (?:will|needs? to|ha(?:s|ve) to|do(?:es)?(?:n't| not) (?:need|have) to|must) (?:not "
        r")?(?:ever )?(?:know|find out|hear|learn)\b",
        r"\b(?:stays?|remains?) between (?:you|us)\b",
    ),
    advises=any_of(
        r"\bkeep (?:it|this|that|everything|all of (?:it|this)|what(?: \w+){1,5}) (?:\w+ )?(?:confidential|secret|to "
        r"yourself|private)\b"
    ),
    at_risk=True,
)
