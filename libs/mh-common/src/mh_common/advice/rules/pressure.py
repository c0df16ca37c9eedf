"""Pressure: ultimatums and threats; to frighten, shame, blame or isolate somebody, or to take their hope."""

from typing import Final

from mh_common.advice.patterns import END, FULL_STOP, SELF, any_of
from mh_common.advice.rule import HE, HIM, PATIENT, Rule
from mh_common.models import UnsafeAdvice

_ABUSE: Final = r"(?:abus\w*|violen\w*|beaten|hit|rape[ds]?)\b"

ULTIMATUM: Final = Rule(
    UnsafeAdvice.ULTIMATUM,
    always=any_of(
        rf"\bor else{FULL_STOP}",
        r"\bor (?:you|i|we)(?:'ll| will) (?:call off|end|stop|leave|divorce|kick|never (?:see|speak|talk|"
        r"hear|come|help))\b",
    ),
    says=any_of(
        rf"\bgive {HIM} (?:a|one) (?:deadline|last (?:warning|chance)|choice: )",
        rf"\beither {HE} \w+.{{0,40}} or {HE} (?:moves? out|leaves?|goes?|is out|are out)\b",
        rf"\b(?:give|giving|issue|set) (?:{HIM} )?(?:an?|the|this|one) (?:\w+ )?ultimatums?\b",
        rf"\b(?:threaten|warn|tell) {HIM} (?:that |with )?(?:if .{{3,60}},? )?(?:you|he|she|they|we|(?:his|her|their|"
        r"the) \w+)(?:'ll| will| (?:are|is) going to) (?:be )?(?:leave(?! (?:the|this|that|it) )|divorce|kick|throw|"
        r"walk out|break up|call (?:it quits|it off)|end (?:the )?(?:therapy|treatment|sessions?)|stop (?:seeing|"
        r"treating|helping)|have (?:him|her|them) (?:locked|committed)|locked|punish|abandon|committed|sectioned|lose)",
        rf"\b(?:tell|warn) {HIM} (?:that )?it(?:'s| is) (?:either )?(?:me|you|us) or\b",
        r"\b(?:choose|pick),? (?:it's |it is )?(?:me|us) or\b",
        r"\b(?:this|it) is (?:his|her|their|your|the) last chance\b",
        r"\b(?:stell|setz)\w* .{0,30}\bultimatum\b",
        r"\b(?:dele|dale|darle|póngale|ponle) un ultimátum\b",
        r"\b(?:posez|pose|donnez|donne)(?:[- ]lui)? un ultimatum\b",
    ),
    advises=any_of(
        r"\b(?:(?:kick|throw) (?:him|her|them) out|cut (?:him|her|them) out of your life) (?:now|immediately|today|"
        r"tonight|at once)\b",
        rf"\bthreaten (?:to|{HIM})\b",
        r"\b(?:leave|divorce|dump|kick out|throw out) (?:him|her|them|(?:your|the) (?:husband|wife|partner|boyfriend|"
        r"girlfriend))(?: out)? (?:now|immediately|today|tonight|at once|right away)\b",
    ),
    unless=any_of(
        r"\bultimatums? (?:rarely|seldom|usually|often|tend|don't|doesn't|do not|does not|can backfire|backfire)\b"
    ),
)

FRIGHTENING: Final = Rule(
    UnsafeAdvice.FRIGHTENING,
    says=any_of(
        r"\b(?:nobody|no one) will (?:ever )?(?:love|want|believe|help|miss) (?:you|him|her|them)\b(?! (?:any )?"
        r"less\b)",
        r"\bno (?:point|use|sense) in (?:hoping|living|going on)\b",
        rf"\b(?:you|{HE})(?: are|'re| is|'s) (?:fundamentally|basically|deeply|simply|just) (?:dishonest|selfish|lazy|"
        r"weak|broken|flawed|damaged|crazy|unlovable)\b",
        r"\b(?:you|he|she|they) (?:deserved (?:it|that|this) for|deserves? to be (?:hit|beaten|punished|hurt))\b",
        rf"\b(?:you|{HE})(?:'ll| will) always be (?:broken|damaged|alone|sick|ill|unhappy|depressed|an? (?:addict|"
        rf"alcoholic|victim|failure)){FULL_STOP}",
        rf"\b(?:you|{HE}) (?:are|is) the reason (?:why )?(?:you|{HE}) (?:drinks?|hits?|cuts?|left|leaves?|shouts?|"
        r"yells?|hurts?)\b",
        rf"\byou (?:provoked|drove) {HIM}(?: to (?:it|this|that|drink|hit you))?{END}",
        r"\ba good (?:wife|husband|daughter|son|mother|child|woman|girl) (?:forgives|obeys|submits|endures|puts up|"
        r"keeps quiet|never complains|does not complain|doesn't complain)\b",
        rf"\bmake {HIM} (?:see|understand|realise|realize|feel) (?:that )?(?:he|she|they)(?: has| have|'s|'ve)? "
        r"(?:ruin\w*|destroy\w*|is to blame|are to blame|is a burden|are a burden)\b",
        rf"\b(?:convince|persuade|tell|show|remind) {HIM} (?:that )?(?:(?:it|there|life|everything)(?:'s| is) "
        r"(?:hopeless|no (?:hope|point|way out)|pointless)|(?:he|she|they)(?:'s| is|'re| are) (?:hopeless|worthless|"
        r"useless|a burden|a failure|weak|crazy|selfish|unlovable)|(?:nobody|no one) (?:cares|will ever (?:care|love|"
        r"want|help|believe)))",
        r"\b(?:it|this|that)(?:'s| is) (?:(?:partly|all|entirely) )?(?:his|her|their|your) own fault\b",
        r"\b(?:it|this|that)(?:'s| is| was) (?:(?:all|only|partly|entirely|clearly|simply) )+(?:his|her|their|your) "
        r"fault\b",
        r"\b(?:you|he|she|they)(?:'ve|'s| have| has)? brought (?:it|this|that|all of (?:it|this)) (?:all )?(?:on|upon) "
        rf"{SELF}",
        rf"\b(?:you|he|she|they) (?:asked|(?:are|is|was|were) asking) for it{FULL_STOP}",
        r"\b(?:you|he|she|they) (?:got|get|gets) what (?:you|he|she|they) deserved?\b",
        r"\b(?:it|this|that) (?:is|was) (?:your|his|her|their) (?:own )?(?:choice|decision) to (?:participate|stay|"
        rf"remain|be|live|put up)\b.{{0,40}}\b{_ABUSE}",
        r"\b(?:you|he|she|they) (?:choose|chose|chooses|are choosing|is choosing) to (?:be|stay|remain|get) (?:\w+ "
        r"){0,3}(?:abused|hit|beaten|an? victim)\b",
        rf"\b(?:you|he|she|they|{PATIENT})(?:'ll| will) never (?:get (?:any )?better|recover|heal|be (?:normal|happy|"
        rf"well|cured|loved|okay|ok)|find (?:love|anyone|anybody|someone|somebody)(?: (?:else|better))?){FULL_STOP}",
        r"\b(?:there(?:'s| is) no (?:hope|way out)|(?:is|are|'s|'re) (?:beyond (?:hope|help|saving|repair)|a "
        rf"(?:hopeless|lost) (?:case|cause)))(?: (?:left|for (?:you|him|her|them|this|people like \w+)))*{FULL_STOP}",
        r"\bonce an? (?:addict|alcoholic|cheater|abuser|liar|junkie),? always an? ",
        r"\bonce (?:you|he|she|they|someone|somebody) (?:have|has|are|is) (?:\w+ ){0,3}(?:addict\w*|depress\w*|"
        r"disorders?|urges?|tendenc\w+|illness|ill|sick|broken|damaged|trauma\w*|alcoholic|bipolar|anxiety|abused)\b"
        r"(?:(?!\bnot\b|n't).){0,40}\b(?:here to stay|for life|forever)\b",
        r"\byou(?:'re| are) (?:(?:just|simply|only|being|really) )*(?:pathetic|weak|lazy|worthless|stupid|a failure|"
        rf"a coward|a bad (?:mother|father|parent|person|wife|husband)|selfish|disgusting|a burden){FULL_STOP}",
        rf"\b(?:you|he|she|they) should be ashamed\b|\bshame on (?:you|him|her|them){END}",
        r"\bmach\w* (?:sie )?(?:ihm|ihr|ihnen) (?:richtig )?angst\b",
        r"\büberzeug\w* (?:ihn|sie), dass (?:es hoffnungslos|alles sinnlos)",
        r"\b(?:asústel[oa]|hágal[oa] sentir (?:culpable|miedo|vergüenza))\b",
        r"\b(?:faites|fais)-lui (?:peur|honte)\b",
    ),
    advises=any_of(
        rf"\b(?:make|making|keep|keeping) {HIM} (?:feel )?(?:(?:really|very|so) )?(?:scared|afraid|frightened|"
        r"terrified|ashamed|guilty|isolated|here alone|dependent|worthless|hopeless)\b",
        rf"\b(?:scare|frighten|shame|guilt|terrify|shock) {HIM}\b",
        rf"\b(?:tell|show|make|let|remind) {HIM} (?:see |understand |realise |realize |know )?(?:of |that )?how "
        r"(?:selfish|weak|stupid|cowardly|pathetic|cruel)\b",
        rf"\block (?:him|her|{PATIENT}) (?:in|up|out|inside)\b",
        rf"\bconfront {HIM} with (?:what|how|the) (?:\w+ )?(?:death|suicide|selfish\w*|pain)\b",
        rf"\b(?:cut|keep|isolate) {HIM} (?:off |away )?from (?:(?:all|his|her|their|the) )*(?:friends|family|people|"
        r"everyone)\b",
        rf"\b(?:don't|do not|never) (?:let|allow) {HIM} (?:to )?(?:see|meet|talk to|speak to|call|have|leave) "
        r"(?:(?:any|his|her|their|other|the) )*(?:friends|family|people|anyone|anybody|house)\b",
        r"\bstay away from (?:(?:all|other|most|your) )*(?:people|crowds|everyone|everybody|society|friends|"
        r"family)\b(?! (?:who|that|with|at|when|if|for)\b)",
        r"\btrust (?:no ?one|nobody)\b(?! (?:who|that|with)\b)|\btrust (?:\w+ ){0,3}no ?one else\b",
        r"\b(?:don't|do not|never) trust (?:anyone|anybody|people|doctors|therapists|psychiatrists|your (?:family|"
        rf"friends)|(?:his|her|their) (?:family|friends)){FULL_STOP}",
    ),
    unless=any_of(r"\bmyth\b"),
)
