"""Blame, and verdicts on people: that it is their doing, that they never change, what somebody absent does or feels."""

from typing import Final

from mh_common.advice.patterns import END, FULL_STOP, SELF, any_of
from mh_common.advice.rule import HE, Rule
from mh_common.models import UnsafeAdvice

_HURT: Final = (
    r"(?:hit|hits|hitting|hurt|hurts|beat|beats|beaten|slap(?:s|ped)?|punch(?:es|ed)?|kick(?:s|ed)?|chok(?:es?|ed)|"
    r"rape[sd]?|assault(?:s|ed)?|attack(?:s|ed)?|abus(?:es?|ed)|yell(?:s|ed)?|shout(?:s|ed)?|cheat(?:s|ed)?)"
)
_SUCH_PEOPLE: Final = (
    r"(?:narcissists?|addicts?|alcoholics?|abusers?|cheaters?|liars?|psychopaths?|sociopaths?|borderlines|"
    r"(?:all |most )?(?:men|women)|people (?:like (?:him|her|them|you|that|this)|with (?:\w+ ){1,3}(?:disorder|"
    r"addiction)s?)|someone like (?:him|her|you|that))"
)

BLAME: Final = Rule(
    UnsafeAdvice.FRIGHTENING,
    always=any_of(
        rf"\bif you (?:had|hadn't|had not|did|didn't|did not|would|wouldn't|were|weren't|stopped|just)\b.{{0,60}}\b"
        rf"(?:he|she|they) (?:would not|wouldn't|would never) (?:have )?{_HURT}\b",
        r"\byou (?:didn't|did not|don't|do not) have the (?:strength|courage|guts|will(?:power)?|backbone) to "
        r"(?:leave|say|stop|stand)\b",
    ),
    says=any_of(
        rf"\byou (?:must have |probably |surely |clearly )?(?:made|make|caused|cause|provoked?|pushed|drove|drive|"
        rf"forced?) (?:him|her|them) (?:to )?(?:{_HURT}|be violent|lose (?:his|her|their) temper|snap)\b",
        rf"\b(?:you|he|she|they) (?:(?:only )?ha(?:ve|s)|should have) (?:only |nobody but |no one but )?{SELF} to "
        rf"blame\b|\b(?:you|he|she|they) only ha(?:ve|s) {SELF} to blame\b",
        r"\byou(?:'re| are) (?:also |equally |partly |just as )?(?:to blame|responsible|guilty|at fault) (?:too|as "
        r"well|(?:for|in) (?:this|it|the (?:abuse|violence)|what (?:happened|(?:he|she) (?:did|does|says|said))|"
        r"(?:his|her) (?:abuse|violence|anger|drinking|affair|infidelity|behaviou?r)|being))\b",
        r"\byou made (?:your|this) bed\b",
        r"\b(?:accept|take) full responsibility\b.{0,60}\bno (?:excuses|explanation)|\b(?:it was|it's) all (?:my|your) "
        r"fault\b",
        r"\byou (?:let|allowed?|allow) (?:him|her|them|this|it|yourself) (?:to )?(?:be )?(?:abuse|abused|hit|hurt|rape|"
        r"raped|beat|beaten|happen|treat|walk)\b",
        r"\b(?:you|he|she) (?:(?:did|do|does|keep|keeps|once again|again|always|still) )+attract(?:s|ed|ing)? (?:(?:a|"
        r"an|the|these|such|this|only|abusive|toxic|violent) )+(?:man|men|woman|women|partners?|abusers?|types?)\b",
        r"\b(?:why|what) did you (?:not )?(?:do|wear|drink|say|go|let)\b.{0,30}\b(?:provoke|cause|deserve|make (?:him|"
        r"her|them))\b",
        r"\b(?:suicide|killing yourself|taking your (?:own )?life|self-harm|cutting) is (?:(?:just|only|simply|always|"
        r"very|so|really|a) )*(?:selfish|cowardly|weak|stupid|sin|coward\w*|easy way out|act of)\b",
        r"\b(?:selfish|cowardly|weak) (?:of you |of him |of her )?to (?:kill|end|take|die|cut|hurt|harm|commit)\b",
    ),
)

VERDICTS: Final = Rule(
    UnsafeAdvice.FRIGHTENING,
    says=any_of(
        rf"\b{_SUCH_PEOPLE} (?:(?:almost|really|simply|just) )*(?:never|can't|cannot|can not|won't|will never|don't "
        r"ever) (?:ever |really |truly )?(?:change|recover|heal|get better|love|stop|get well|be (?:trusted|cured|"
        r"helped|faithful|honest))\b",
        rf"\b{_SUCH_PEOPLE} (?:always|are all|all|are always|believe (?:that )?they(?:'re| are)|only) (?:cheat|lie|"
        r"manipulate|relapse|leave|want (?:one thing|sex)|the same|entitled|care about)",
        rf"\b{HE}(?:'ll| will) (?:always|never) (?:(?:ever|really|truly) )?(?:change|stop|cheat|lie|hurt you|love you|"
        rf"leave (?:his|her) (?:wife|husband)|respect you|be faithful|do it again){END}",
        rf"\b{HE} (?:(?:clearly|obviously|definitely|certainly|surely|probably|most likely|likely|really) )*(?:does "
        rf"not|doesn't|never|don't|do not|did not|didn't) (?:(?:really|truly|actually|ever) )*love you{END}",
        rf"\b{HE}(?:'s| is| are|'re) (?:(?:clearly|obviously|definitely|certainly|surely|probably|most likely|likely|"
        r"undoubtedly) )+(?:cheating|having an affair|lying|using you|gay|unfaithful|involved with|seeing someone|"
        r"playing you|manipulating)\b",
        rf"\btrust your (?:intuition|gut|instincts?)(?: feeling)? that {HE} (?:is|are|has) (?:cheating|lying|involved|"
        r"seeing|having|hiding|unfaithful|gay)\b",
        rf"\b(?:your|this) (?:marriage|relationship) (?:is|was) (?:(?:already|clearly|basically|just|pretty much) )*"
        rf"(?:dead|doomed|hopeless|beyond \w+|(?:a )?(?:sham|joke|lost cause)){END}",
        r"\b(?:relationships?|marriages?) (?:\w+ ){0,4}(?:never|are doomed to|are bound to) (?:work|last|survive|"
        r"fail|succeed)\b",
        r"\bwhen one (?:gets|becomes|is|stays) \w+,? the (?:relationship|marriage) (?:ends?|fails?|is over)\b",
        r"\byou(?:'ll| will) (?:end up|die|stay|remain) (?:all )?alone\b(?! with)|\byou(?:'ll| will) regret (?:it|"
        r"this) (?:forever|all your life|for the rest)",
        r"\b(?:paranoid|crazy|insane|mentally ill|depressed|bipolar|borderline|narcissistic) people (?:don't|do not|"
        r"never|can't|cannot|always|are (?:dangerous|violent|all))",
        rf"\b(?<!that )(?:you|{HE})(?:'re| are|'s| is) (?:just |simply |clearly |obviously |being )*(?:damaged goods|"
        r"used goods|(?:a )?(?:drama queen|psycho|slut|whore|nutcase|monster|loser|lunatic)|crazy|insane|nuts|toxic|"
        rf"evil){FULL_STOP}",
        rf"\bwhat(?:'s| is) wrong with you{END}",
    ),
)
