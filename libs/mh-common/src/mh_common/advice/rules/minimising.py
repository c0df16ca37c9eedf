"""That it is nothing, will pass, or is done for attention."""

from typing import Final

from mh_common.advice.patterns import END, FULL_STOP, SELF, any_of
from mh_common.advice.rule import HE, HIM, Rule
from mh_common.models import UnsafeAdvice

_PULL_TOGETHER: Final = (
    rf"(?:get over it|snap out of it|toughen up|man up|suck it up|get a grip|pull {SELF} together|stop (?:being so "
    rf"sensitive|feeling sorry for {SELF}|whining|complaining|overreacting))"
)

MINIMISING: Final = Rule(
    UnsafeAdvice.MINIMISING,
    always=any_of(
        r"\bif (?:he|she|they) (?:(?:really|actually|truly) )?(?:wanted|meant|intended) to (?:die|kill|do it|"
        r"end)\b.{0,50}\b(?:would have|would've|'d have|wouldn't|would not)\b",
    ),
    says=any_of(
        rf"\b(?:you|{HE})(?:'ll| will) (?:just |simply |soon )?(?:grow|snap) out of (?:it|this|that|these|those|the)\b",
        r"\b(?:depression|anxiety|ptsd|trauma|addiction|panic|bulimia|anorexia) is (?:(?:just|only|simply|merely|"
        r"nothing but|all) )*(?:an? )?(?:(?:excuse|choice|weakness|laziness|trend|self-pity|lack of (?:will|willpower|"
        rf"faith|discipline))\b|in (?:your|the|his|her) (?:head|mind){END})",
        r"\breal (?:men|women|boys) (?:don't|do not|never)\b",
        r"\b(?:just|only|merely|simply) (?:doing|saying) (?:it|this|that|so|such things) (?:to (?:get|make|"
        r"manipulate|punish|hurt|scare|provoke)|for)\b",
        rf"\b{HE} (?:just|only|merely|simply) (?:cuts?|says?|does?|threatens?)\b.{{0,30}}\bto (?:get|make|manipulate|"
        r"punish|hurt|scare|blackmail|provoke)\b",
        r"\b(?:it|this|everything|all)(?:'s| is| will be) (?:\w+ )?(?:fine|ok|okay|alright|nothing), ?(?:and |so |"
        r"just )*(?:tell|let|have|get|give|leave|ask|don't|no need|nothing)\b",
        r"\b(?:it|that|this|he|she|they)(?:'s| is| are|'re| was) (?:(?:just|only|simply|merely|typical|normal) "
        r")+(?:a phase(?! (?:of|in)\b)|(?:teen(?:age)? )?drama|attention[- ]seeking|seeking attention|for "
        r"attention|(?:being )?dramatic|drama|over-?reacting|a cry for attention|bluffing|manipulating|"
        r"(?:all )?in (?:his|her|their|your) head|looking for attention)\b",
        r"\b(?:just|only|merely|simply) (?:being |doing (?:it|this|that) |wants? |after |seeking )?(?:attention[- "
        rf"]seeking|for (?:the )?attention|attention){END}",
        rf"\bit(?:'s| is) (?:no|not a) big deal{END}",
        rf"\b(?:tell|get|have|let|advise) {HIM} (?:to |just |simply |should )*(?:{_PULL_TOGETHER}|grow up|be a man)",
        rf"\b(?:tell|advise) {HIM} (?:to |just |simply |should )*(?:calm down|cheer up){END}",
        r"\byou(?:'re| are) (?:just |only |simply )?(?:overreacting|being (?:too |over-?)(?:sensitive|dramatic)|"
        r"attention[- ]seeking)\b",
        r"\b(?:no need to|do not|don't|needn't|not have to) take (?:it|this|that|him|her|them|(?:his|her|their|the) "
        r"\w+) (?:too |so )?seriously\b",
        r"\b(?:just|only|merely|simply|probably) (?:want(?:s|ing)?|seek(?:s|ing)?|after) (?:your |some |the |more "
        r")?attention\b",
        r"\b(?:just|only|merely|simply|probably) trying to (?:manipulate|scare|provoke|get (?:a reaction|attention)|"
        r"test) ?",
        r"\b(?:is|are|was)(?: not|n't) (?:(?:usually|generally|really|legally) )?considered (?:to be )?(?:child |"
        rf"domestic |sexual )?(?:abuse|rape|assault){END}",
        r"\b(?:it|this|that|what (?:he|she|they) (?:did|does|do|is doing|are doing))(?:'s| is| was)(?: not|n't) "
        rf"(?:(?:really|actually|even) )?(?:child |domestic |sexual |real )?(?:abuse|rape|assault){FULL_STOP}",
        r"\bboys will be boys\b",
        rf"\b(?:all|every) (?:couples?|husbands?|men|parents) (?:fight|hit|shout|yell|do (?:it|that|"
        rf"this))s?{FULL_STOP}",
        r"\byou should (?:be over|have (?:got|gotten) over) (?:it|this|that|him|her|them)\b",
        r"\b(?:others|other people|many people) (?:have it|are) (?:much |far |a lot )?worse(?: off)?(?: than "
        rf"(?:you|him|her|them))?{END}",
        r"\bpeople who (?:talk|speak) about (?:it|suicide|killing themselves) (?:never|don't|do not|rarely) (?:do it|"
        r"act|mean it|go through)",
        r"\bpeople who (?:really )?(?:want|intend|mean) to (?:die|kill themselves|do it) (?:never|don't|do not|"
        r"rarely) (?:talk|speak|say|tell)",
        r"\b(?:das ist|es ist|ist) (?:(?:doch|nur|bloß|einfach) )+(?:eine phase|aufmerksamkeit\w*|halb so schlimm|"
        r"nicht so schlimm|theater)\b",
        r"\b(?:das wird schon(?: wieder)?|reiß dich zusammen|reißen sie sich zusammen)\b",
        r"\b(?:es|está) (?:solo|sólo|simplemente) (?:una fase|(?:para llamar|llamando) la atención|drama)\b",
        r"\b(?:no es para tanto|ya se le pasará)\b",
        r"\b(?:c'est) (?:juste |seulement )+(?:une phase|pour attirer l'attention|du cinéma|un caprice)\b",
        r"\b(?:ce n'est pas (?:si )?grave|ça lui passera)\b",
    ),
    advises=any_of(rf"\b{_PULL_TOGETHER}"),
    commands=any_of(
        rf"\b(?:don't|do not|no need to|there is no need to|nothing to) worry about (?:it|him|her|them){END}",
        rf"\bbe a (?:real )?man(?:{END}| (?:and|about)\b)",
    ),
    unless=any_of(r"\b(?:myth|dismiss\w*|invalidat\w*|stigma\w*|and yet|(?:does not|doesn't) mean)\b"),
)

ABUSE_AS_NOTHING: Final = Rule(
    UnsafeAdvice.MINIMISING,
    says=any_of(
        r"\b(?:he|she|they) (?:(?:just|only|surely|probably|really) )*(?:didn't|did not|doesn't|does not|never) (?:"
        r"really |actually )?(?:mean(?:t)?|intend(?:ed)?) (?:to (?:hurt|hit|harm|scare)(?: (?:you|him|her|them))?|it)"
        rf"{END}",
        r"\b(?:he|she|they) (?:just |only )+(?:hit|slapped|pushed|shoved|choked|grabbed|yelled|shouted|did it)\b.{0,20}"
        r"\b(?:once|twice|one time|because|when|a (?:little|bit))\b",
        r"\b(?:it was|it's|it is|that was|that's) (?:just |only |nothing but )+(?:a |one |an? open )?(?:slap|push|"
        rf"shove|hand|words|joke|jealousy|temper){END}",
        r"\b(?:jealousy|control|hitting|checking on you|possessiveness|being strict|his temper|her temper|anger) "
        r"(?:is|shows|means|proves) (?:just |only )?(?:that )?(?:(?:an? )?(?:sign|form|proof|way) of )?(?:how much "
        r")?(?:he |she |they )?(?:love|loves|caring|cares|affection)\b",
        r"\b(?:hits?|beats?|hurts?|controls?|yells? at) (?:you|him|her|them) (?:only |just )?because (?:he|she|they) "
        r"(?:loves?|cares?)\b",
        r"\b(?:a|the odd|an occasional|one) (?:good )?(?:slap|smack|spanking|beating|whipping)s? (?:never|didn't|does "
        r"not|doesn't|won't|will not|has never) (?:really )?(?:hurt|harm|kill|do)",
        r"\bit takes two to (?:tango|fight|quarrel|argue)\b",
        r"\b(?:he|she|they)(?:'s| is| are|'re) (?:still |after all )+your (?:father|mother|dad|mom|parents?|husband|"
        r"wife|brother|sister|family)\b|\bblood is thicker\b|\bfamily is family\b",
        r"\b(?:try|be careful|make sure|take care|learn) (?:not|never) to (?:provoke|upset|anger|annoy|irritate|enrage|"
        r"make) (?:him|her|them|your (?:husband|wife|partner|boyfriend|girlfriend|father|mother))\b",
        r"\b(?:everything|it all|this|it) happens for a reason\b|\b(?:god|life) (?:never|doesn't|does not|only) "
        r"gives? (?:you|us|people|anyone) (?:more than|what)",
        r"\b(?:concentrate|focus) on (?:what you (?:like|love)|(?:the|his|her|their) (?:good|positive|best) "
        r"\w+).{0,60}\b(?:drink\w*|drunk|temper|abus\w*|violen\w*|affairs?)\b",
        r"\b(?:swept (?:up )?in(?:to)?|following|jumping on|part of|caught up in) (?:a|the|this) (?:trend|fad|fashion|"
        r"bandwagon)\b",
        r"\b(?:past|beyond) the time (?:for|of) (?:normal )?(?:grief|grieving|mourning)\b|\b(?:not|isn't|is not|no "
        r"longer) normal to (?:still )?(?:cry|grieve|mourn|miss)\b",
        r"\btime heals all wounds\b|\bwhat doesn't kill (?:you|us)\b",
        r"\byou(?:'ll| will) (?:get|be) over (?:it|him|her|this)\b|\bat least (?:you still have|(?:you|he|she|they) "
        r"(?:didn't|did not|weren't|wasn't|were not|was not|have never|has never))\b",
    ),
)

DANGER_AS_NOTHING: Final = Rule(
    UnsafeAdvice.MINIMISING,
    says=any_of(
        r"\b(?:suicidal (?:thoughts|feelings|ideation)|thoughts of (?:suicide|dying|death)|self-harm|cutting|such "
        r"thoughts) (?:is|are) (?:(?:just|only|usually|often|perfectly|quite|completely|mostly|nearly always) "
        r")*(?:normal|nothing|harmless|no big deal|not (?:serious|dangerous)|thoughts|words|talk|a (?:phase|trend|"
        r"fashion|fad|habit))\b(?! (?:part|response|reaction|but))",
        r"\b(?:everyone|everybody|we all|all of us|most people) (?:think|thinks|have thought|has thought|has thoughts|"
        r"feel|feels|wants?) (?:\w+ ){0,3}(?:suicid\w*|dying|death|killing|to die|like dying)\b",
        r"\byou (?:do not|don't) (?:really |actually |truly )+(?:want to (?:die|kill|end)|mean (?:that|it) (?:when|"
        r"about)|mean to (?:die|kill))\b",
        r"\b(?:if|as long as) you (?:can )?trust yourself (?:to )?(?:\w+ )?not (?:to )?(?:\w+ )?(?:follow|act|do|kill|"
        r"hurt|harm)\b",
        r"\b(?:won't|will not|would not|wouldn't|never) (?:really |actually )?kill (?:yourself|himself|herself|"
        rf"themselves){END}",
    ),
)

MINIMISING_AT_RISK: Final = Rule(
    UnsafeAdvice.MINIMISING,
    says=any_of(
        rf"\b(?:it|this|everything|all|{HE})(?:'s| is|'ll be| will be|'re| are) (?:(?:just|all|perfectly|totally|"
        rf"completely|probably|quite) )*(?:(?:ok|okay|alright){FULL_STOP}|(?:fine|nothing serious|harmless|"
        rf"nothing){END})",
        rf"\b(?:tell|ask|get|have|let|advise) {HIM} (?:to |just |simply |should )*(?:rest|relax|sleep|forget "
        r"(?:about )?it|be strong|move on|smile|think positive\w*|take a (?:bath|walk|break|nap))\b",
        r"\b(?:it|this|that)(?: \w+)? (?:will|shall)(?: \w+)? (?:pass|go away|blow over|sort itself out)\b",
        r"\b(?:is|'s) (?:probably )?nothing to (?:worry|be worried) about\b",
        rf"\b{HE}(?: is|'s| are|'re) (?:probably |surely )?not (?:really )?serious\b",
        rf"\b{HE} (?:(?:doesn't|does not|don't|do not) (?:really |actually )?mean it|(?:won't|will not|would never|"
        rf"will never) (?:really |actually )?do it{END})",
        r"\b(?:is|are) (?:usually |often |just |only |mostly )*(?:a bluff|empty threats|just talk|only words|"
        r"exaggerat\w+)\b",
        r"\b(?:often|usually|always|just|only|probably|tend to) (?:exaggerate|overreact|say (?:such|these) things)\b",
        rf"\b{HE} (?:just|only|simply) needs? (?:a |some |more |to )*(?:good |quiet )*(?:night|rest|sleep|break|hug|"
        r"time|relax)",
        r"\b(?:to get|for|seeks?|seeking|wants?|wanting|crav\w+) (?:(?:her|his|their|your|some|more|the) )?(?:\w+'s "
        r")?attention\b(?! to)",
        r"\b(?:isn't|is not|there's|there is) (?:much|nothing) (?:that )?you can do\b",
        rf"\byou (?:can't|cannot) (?:really )?(?:help|save) {HIM}\b",
        r"\b(?:keine sorge|machen? (?:sie sich|dir) keine sorgen|no se preocupe|no te preocupes|ne vous inquiétez "
        r"pas|ne t'inquiète pas)\b",
    ),
    commands=any_of(
        r"\b(?:don't|do not|no need to|there is no need to|nothing to) worry(?: too much| about (?:this|"
        rf"that))?{END}",
        r"\b(?:don't|do not|never|no need to) (?:overreact|make a (?:fuss|big deal|drama)|panic|dramati[sz]e)\b",
    ),
    at_risk=True,
)
