"""The rules of unsafe advice: the words of each kind.

In English, with the plainest of them in German, Spanish and French. They are meant to be right when they speak, so they
miss much.
"""

from typing import Final

from mh_common.advice.patterns import SELF, any_of
from mh_common.advice.rule import HE, HIM, PATIENT, Rule
from mh_common.models import UnsafeAdvice

_END: Final = r"(?= *(?:$|[.!;,)\"\u2013\u2014]))"
_FULL_STOP: Final = r"(?= *(?:$|[.!;]))"

_DRUG: Final = (
    r"(?:medications?|meds?|medicines?|pills?(?! (?:box|bottle|reminder|organi[sz]er))|tablets?|anti-?depressants?|"
    r"anti-?psychotics?|mood stabili[sz]ers?|ssris?|benzos?|benzodiazepines?|lithium|prozac|zoloft|lexapro|celexa|"
    r"paxil|effexor|cymbalta|wellbutrin|xanax|klonopin|ativan|valium|seroquel|abilify|risperdal|zyprexa|clozapine|"
    r"lamictal|adderall|ritalin|concerta|sertraline|fluoxetine|citalopram|escitalopram|venlafaxine|quetiapine|"
    r"olanzapine|risperidone|prescriptions?)"
)
# A dose of sunlight is no dose.
_DOSE: Final = rf"dos(?:e|age)s?(?! of (?!(?:the|your|his|her|their|this|that|these|any|it|them)\b|{_DRUG}))"
_DRUGS: Final = rf"(?:{_DRUG}|{_DOSE})\b"
_MEDICINE: Final = (
    r"(?:medications?|meds|medicines?|anti-?depressants?|anti-?psychotics?|mood stabili[sz]ers?|ssris?)\b"
)
_OF_WHOM: Final = r"(?:(?:to take|your|his|her|their|the|all|any|those|these|this|that|of) ){0,3}(?:\w+ )?"
_DISORDER: Final = (
    r"(?:bipolar|borderline|bpd|schizophreni\w+|schizoaffective|psychosis|psychotic|ptsd|post-?traumatic stress|"
    r"(?:major|clinical) depression|an? (?:\w+ )?(?:personality|anxiety|eating|panic|mood|bipolar|depressive) "
    r"disorder|ocd|obsessive[- ]compulsive disorder|adhd|autism|autistic|asperger\w*|anorexia|bulimia|narcissistic|"
    r"an? (?:(?!recovering|former|sober)\w+ )?(?:narcissist|sociopath|psychopath|addict|alcoholic)|clinically "
    r"depressed)\b(?! (?:symptom|tendenc|trait|thought|talking|speaking|lying))"
)
NAMES_A_DISORDER: Final = any_of(rf"\b{_DISORDER}", r"\bdepress(?:ed|ion|ive)\b")
_DANGER: Final = (
    rf"\b(?:suicid\w*|kill\w*|self-?harm\w*|cutting|(?:hurt|harm)(?:s|ing)? (?:{SELF}|\w+one|others)|overdos\w*|"
    r"pills|threat(?:s|en\w*)?|danger\w*|abus\w*|beat(?:s|ing|en)?|chok\w+|strangl\w+|weapons?|guns?|voices|crisis|"
    r"emergenc\w+)\b"
)
_ABUSE: Final = r"(?:abus\w*|violen\w*|beaten|hit|rape[ds]?)\b"
_NOT: Final = r"(?:don't|do not|never|(?:there is |there's )?no need to|needn't|not necessary to)"
_PULL_TOGETHER: Final = (
    rf"(?:get over it|snap out of it|toughen up|man up|suck it up|get a grip|pull {SELF} together|stop (?:being so "
    rf"sensitive|feeling sorry for {SELF}|whining|complaining|overreacting))"
)

_MEDICATION: Final = Rule(
    UnsafeAdvice.MEDICATION,
    says=any_of(
        r"\b(?:most|many) (?:people|patients|women|men) (?:manage|do (?:fine|well)|get by|cope|recover) without "
        rf"{_OF_WHOM}{_DRUGS}",
        rf"\b(?:{_DRUGS}|(?:psychiatric|those|these) drugs) (?:is|are) (?:(?:just|only|nothing but|pure) )*(?:poison|"
        r"a crutch|a scam|for (?:the )?weak)\b",
        rf"\b(?:you|{HE}) (?:really )?(?:don't|do not|doesn't|does not) need (?:to (?:take|be on) "
        rf")?{_OF_WHOM}{_DRUGS}{_END}",
        r"\btak(?:e|ing) (?:drugs|pills|meds|medications?) (?:only |just )?to (?:hide|mask|numb|cover|not feel)\b",
        r"\b(?:no (?:harm|risk|problem|danger)|nothing wrong) (?:in|with) (?:stopping|quitting|skipping|reducing|"
        rf"lowering|coming off|going off|refusing) {_OF_WHOM}{_DRUGS}",
        rf"\brefus(?:e|ing) {_OF_WHOM}(?:{_DRUGS}|treatment) is (?:your|his|her|their|a|everyone's) (?:\w+ )?right\b",
        rf"\b(?:right|free|allowed|entitled) to (?:refuse|decline|reject) {_OF_WHOM}{_DRUGS}",
        rf"\b{_DRUGS} (?:is|are|does|do|will|would)(?: \w+){{0,2}} more harm than good\b",
        r"\b(?:don't|do not|never) (?:let (?:\w+ ){1,3})?(?:(?:get|be) )?talk(?:ed)? (?:(?:you|him|her|them|\w+sel(?:f|"
        rf"ves)) )?into (?:taking )?{_OF_WHOM}{_DRUGS}",
        r"\b(?:psychiatrists?|doctors?) (?:(?:just|only|simply|all) )*(?:earn (?:their|a) living|(?:earn|make) "
        rf"(?:\w+ )?money|push|profit|(?:get|are) paid)\b.{{0,60}}\b{_DRUGS}",
        r"\b(?:don't|do not|never) (?:take|start|accept|use|agree to) (?:(?:any|the|psychiatric|those|these|his|her|"
        rf"your|their) )*{_MEDICINE}{_FULL_STOP}",
        r"\b(?:pray\w*|faith|herb\w*|vitamins?|supplements?|yoga|meditation|exercise|cbd|cannabis|"
        r"homeopath\w*)\b.{0,40}\b(?:instead of|rather than|in place of|replaces?|better than) (?:\w+ "
        rf"){{0,2}}{_DRUGS}",
        r"\b(?:setz|lass)\w*\b(?:(?!nicht).){0,40}\b(?:medikament\w*|tabletten|"
        r"antidepressiva)\b(?:(?!nicht).){0,20}\b(?:ab|weg)\b",
        r"\b(?:soll|kann|könn|darf)\w*\b(?:(?!nicht).){0,30}\b(?:medikament\w*|tabletten|"
        r"antidepressiva)\b(?:(?!nicht).){0,20}\b(?:absetzen|weglassen|verweigern)\b",
        r"\b(?:deja|deje|dejar|suspenda|suspende|abandona|abandone)\b(?: de tomar)? (?:\w+ ){0,2}(?:medicación|"
        r"medicamentos?|pastillas|antidepresivos?)\b",
        r"\b(?:arrêtez?|cessez?|stoppez?|suspende?z?)\b(?: de prendre)? (?:\w+ ){0,2}(?:médicaments?|comprimés|"
        r"antidépresseurs?|traitement)\b",
    ),
    advises=any_of(
        rf"\bcut(?:s|ting)? {_OF_WHOM}{_DRUGS} (?:in half|by half|in two)\b",
        r"\b(?:stop(?:s|ping)?|quit(?:s|ting)?|discontinu(?:es?|ing)|com(?:es?|ing) off|go(?:es|ing)? off|get(?:s|"
        r"ting)? off|skip(?:s|ping)?|throw(?:s|ing)? (?:away|out)|flush(?:es|ing)?|cut(?:s|ting)? (?:back|down)(?: "
        r"on)?|halv(?:es?|ing)|doubl(?:es?|ing)|lower(?:s|ing)?|rais(?:es?|ing)|increas(?:es?|ing)|reduc(?:es?|ing)|"
        r"taper(?:s|ing)?(?: off)?|refus(?:es?|ing)|declin(?:es?|ing)|drop(?:s|ping)?|paus(?:es?|ing)|tak(?:es?|ing) "
        rf"a break from|do(?:es|ing)? without) (?:of )?(?:taking |using )?{_OF_WHOM}{_DRUGS}",
        rf"\b(?:takes?|gives? {HIM}) (?:(?:two|three|four|\d+) )?(?:more|extra|another|an? (?:additional|extra|"
        rf"second)|a few|double)(?: of)? {_OF_WHOM}{_DRUGS}",
        r"\btakes? (?:\w+ ){0,4}(?:mother|father|husband|wife|partner|friend|sister|brother|roommate|neighbou?r|"
        rf"somebody|someone)(?: else)?'s (?:\w+ )?{_DRUGS}",
    ),
    commands=any_of(
        rf"\b(?:(?:the|these|those|your|psychiatric) )*{_DRUGS} (?:won't|will not|can't|cannot|don't|do not|doesn't|"
        r"does not|(?:(?:will|can|could) )?never) (?:(?:really|ever|actually) )?(?:help|cure|solve|fix|heal|"
        r"change)(?: (?:you|him|her|them|anyone|anybody|anything|people|(?:(?:the|your|any) "
        rf")?problems?))?{_FULL_STOP}",
    ),
    # "Talk to your doctor about stopping": the decision is left to where it belongs.
    unless=any_of(
        r"\b(?:talk|speak|ask|consult|check|discuss|call|contact|see|work|meet|decid|agree)\w*\b.{0,60}\b(?:doctors?|"
        r"physicians?|psychiatrists?|prescribers?|pharmacists?|gp|nurse|provider|clinician|team)\b",
        r"\b(?:under|with) (?:\w+ ){0,2}(?:guidance|supervision|advice|help|approval|doctor|physician|psychiatrist|"
        r"prescriber|care)\b",
        r"\b(?:doctors?|physicians?|psychiatrists?|prescribers?) (?:may|might|can|could) (?:suggest|recommend|advise|"
        r"decide|agree|help)\b",
        r"\bmedical(?:ly)? (?:help|advice|guidance|supervis\w+)\b",
        # What is left over is taken back there.
        r"\b(?:expired|unused|left-?over|old) (?:\w+ )?(?:pills|medications?|medicines?|tablets|meds)\b|\bpharmacy\b",
        r"\b(?:rücksprache|absprache|arzt|ärztin|ärztlich\w*|médico|médica|psiquiatra|médecin|psychiatre)\b",
    ),
    in_sentence=True,
)

_DIAGNOSIS: Final = Rule(
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

_MINIMISING: Final = Rule(
    UnsafeAdvice.MINIMISING,
    always=any_of(
        r"\bif (?:he|she|they) (?:(?:really|actually|truly) )?(?:wanted|meant|intended) to (?:die|kill|do it|"
        r"end)\b.{0,50}\b(?:would have|would've|'d have|wouldn't|would not)\b",
    ),
    says=any_of(
        rf"\b(?:you|{HE})(?:'ll| will) (?:just |simply |soon )?(?:grow|snap) out of (?:it|this|that|these|those|the)\b",
        r"\b(?:depression|anxiety|ptsd|trauma|addiction|panic|bulimia|anorexia) is (?:(?:just|only|simply|merely|"
        r"nothing but|all) )*(?:an? )?(?:(?:excuse|choice|weakness|laziness|trend|self-pity|lack of (?:will|willpower|"
        rf"faith|discipline))\b|in (?:your|the|his|her) (?:head|mind){_END})",
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
        rf"]seeking|for (?:the )?attention|attention){_END}",
        rf"\bit(?:'s| is) (?:no|not a) big deal{_END}",
        rf"\b(?:tell|get|have|let|advise) {HIM} (?:to |just |simply |should )*(?:{_PULL_TOGETHER}|grow up|be a man)",
        rf"\b(?:tell|advise) {HIM} (?:to |just |simply |should )*(?:calm down|cheer up){_END}",
        r"\byou(?:'re| are) (?:just |only |simply )?(?:overreacting|being (?:too |over-?)(?:sensitive|dramatic)|"
        r"attention[- ]seeking)\b",
        r"\b(?:no need to|do not|don't|needn't|not have to) take (?:it|this|that|him|her|them|(?:his|her|their|the) "
        r"\w+) (?:too |so )?seriously\b",
        r"\b(?:just|only|merely|simply|probably) (?:want(?:s|ing)?|seek(?:s|ing)?|after) (?:your |some |the |more "
        r")?attention\b",
        r"\b(?:just|only|merely|simply|probably) trying to (?:manipulate|scare|provoke|get (?:a reaction|attention)|"
        r"test) ?",
        r"\b(?:is|are|was)(?: not|n't) (?:(?:usually|generally|really|legally) )?considered (?:to be )?(?:child |"
        rf"domestic |sexual )?(?:abuse|rape|assault){_END}",
        r"\b(?:it|this|that|what (?:he|she|they) (?:did|does|do|is doing|are doing))(?:'s| is| was)(?: not|n't) "
        rf"(?:(?:really|actually|even) )?(?:child |domestic |sexual |real )?(?:abuse|rape|assault){_FULL_STOP}",
        r"\bboys will be boys\b",
        rf"\b(?:all|every) (?:couples?|husbands?|men|parents) (?:fight|hit|shout|yell|do (?:it|that|"
        rf"this))s?{_FULL_STOP}",
        r"\byou should (?:be over|have (?:got|gotten) over) (?:it|this|that|him|her|them)\b",
        r"\b(?:others|other people|many people) (?:have it|are) (?:much |far |a lot )?worse(?: off)?(?: than "
        rf"(?:you|him|her|them))?{_END}",
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
        rf"\b(?:don't|do not|no need to|there is no need to|nothing to) worry about (?:it|him|her|them){_END}",
        rf"\bbe a (?:real )?man(?:{_END}| (?:and|about)\b)",
    ),
    unless=any_of(r"\b(?:myth|dismiss\w*|invalidat\w*|stigma\w*|and yet|(?:does not|doesn't) mean)\b"),
)

_MINIMISING_AT_RISK: Final = Rule(
    UnsafeAdvice.MINIMISING,
    says=any_of(
        rf"\b(?:it|this|everything|all|{HE})(?:'s| is|'ll be| will be|'re| are) (?:(?:just|all|perfectly|totally|"
        rf"completely|probably|quite) )*(?:(?:ok|okay|alright){_FULL_STOP}|(?:fine|nothing serious|harmless|"
        rf"nothing){_END})",
        rf"\b(?:tell|ask|get|have|let|advise) {HIM} (?:to |just |simply |should )*(?:rest|relax|sleep|forget "
        r"(?:about )?it|be strong|move on|smile|think positive\w*|take a (?:bath|walk|break|nap))\b",
        r"\b(?:it|this|that)(?: \w+)? (?:will|shall)(?: \w+)? (?:pass|go away|blow over|sort itself out)\b",
        r"\b(?:is|'s) (?:probably )?nothing to (?:worry|be worried) about\b",
        rf"\b{HE}(?: is|'s| are|'re) (?:probably |surely )?not (?:really )?serious\b",
        rf"\b{HE} (?:(?:doesn't|does not|don't|do not) (?:really |actually )?mean it|(?:won't|will not|would never|"
        rf"will never) (?:really |actually )?do it{_END})",
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
        rf"that))?{_END}",
        r"\b(?:don't|do not|never|no need to) (?:overreact|make a (?:fuss|big deal|drama)|panic|dramati[sz]e)\b",
    ),
    at_risk=True,
)

_ULTIMATUM: Final = Rule(
    UnsafeAdvice.ULTIMATUM,
    always=any_of(
        rf"\bor else{_FULL_STOP}",
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

_FRIGHTENING: Final = Rule(
    UnsafeAdvice.FRIGHTENING,
    says=any_of(
        r"\b(?:nobody|no one) will (?:ever )?(?:love|want|believe|help|miss) (?:you|him|her|them)\b(?! (?:any )?"
        r"less\b)",
        r"\bno (?:point|use|sense) in (?:hoping|living|going on)\b",
        rf"\b(?:you|{HE})(?: are|'re| is|'s) (?:fundamentally|basically|deeply|simply|just) (?:dishonest|selfish|lazy|"
        r"weak|broken|flawed|damaged|crazy|unlovable)\b",
        r"\b(?:you|he|she|they) (?:deserved (?:it|that|this) for|deserves? to be (?:hit|beaten|punished|hurt))\b",
        rf"\b(?:you|{HE})(?:'ll| will) always be (?:broken|damaged|alone|sick|ill|unhappy|depressed|an? (?:addict|"
        rf"alcoholic|victim|failure)){_FULL_STOP}",
        rf"\b(?:you|{HE}) (?:are|is) the reason (?:why )?(?:you|{HE}) (?:drinks?|hits?|cuts?|left|leaves?|shouts?|"
        r"yells?|hurts?)\b",
        rf"\byou (?:provoked|drove) {HIM}(?: to (?:it|this|that|drink|hit you))?{_END}",
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
        rf"\b(?:you|he|she|they) (?:asked|(?:are|is|was|were) asking) for it{_FULL_STOP}",
        r"\b(?:you|he|she|they) (?:got|get|gets) what (?:you|he|she|they) deserved?\b",
        r"\b(?:it|this|that) (?:is|was) (?:your|his|her|their) (?:own )?(?:choice|decision) to (?:participate|stay|"
        rf"remain|be|live|put up)\b.{{0,40}}\b{_ABUSE}",
        r"\b(?:you|he|she|they) (?:choose|chose|chooses|are choosing|is choosing) to (?:be|stay|remain|get) (?:\w+ "
        r"){0,3}(?:abused|hit|beaten|an? victim)\b",
        rf"\b(?:you|he|she|they|{PATIENT})(?:'ll| will) never (?:get (?:any )?better|recover|heal|be (?:normal|happy|"
        rf"well|cured|loved|okay|ok)|find (?:love|anyone|anybody|someone|somebody)(?: (?:else|better))?){_FULL_STOP}",
        r"\b(?:there(?:'s| is) no (?:hope|way out)|(?:is|are|'s|'re) (?:beyond (?:hope|help|saving|repair)|a "
        rf"(?:hopeless|lost) (?:case|cause)))(?: (?:left|for (?:you|him|her|them|this|people like \w+)))*{_FULL_STOP}",
        r"\bonce an? (?:addict|alcoholic|cheater|abuser|liar|junkie),? always an? ",
        r"\bonce (?:you|he|she|they|someone|somebody) (?:have|has|are|is) (?:\w+ ){0,3}(?:addict\w*|depress\w*|"
        r"disorders?|urges?|tendenc\w+|illness|ill|sick|broken|damaged|trauma\w*|alcoholic|bipolar|anxiety|abused)\b"
        r"(?:(?!\bnot\b|n't).){0,40}\b(?:here to stay|for life|forever)\b",
        r"\byou(?:'re| are) (?:(?:just|simply|only|being|really) )*(?:pathetic|weak|lazy|worthless|stupid|a failure|"
        rf"a coward|a bad (?:mother|father|parent|person|wife|husband)|selfish|disgusting|a burden){_FULL_STOP}",
        rf"\b(?:you|he|she|they) should be ashamed\b|\bshame on (?:you|him|her|them){_END}",
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
        rf"\block {HIM} (?:in|up|out|inside)\b",
        rf"\bconfront {HIM} with (?:what|how|the) (?:\w+ )?(?:death|suicide|selfish\w*|pain)\b",
        rf"\b(?:cut|keep|isolate) {HIM} (?:off |away )?from (?:(?:all|his|her|their|the) )*(?:friends|family|people|"
        r"everyone)\b",
        rf"\b(?:don't|do not|never) (?:let|allow) {HIM} (?:to )?(?:see|meet|talk to|speak to|call|have|leave) "
        r"(?:(?:any|his|her|their|other|the) )*(?:friends|family|people|anyone|anybody|house)\b",
        r"\btrust (?:no ?one|nobody)\b(?! (?:who|that|with)\b)|\btrust (?:\w+ ){0,3}no ?one else\b",
        r"\b(?:don't|do not|never) trust (?:anyone|anybody|people|doctors|therapists|psychiatrists|your (?:family|"
        rf"friends)|(?:his|her|their) (?:family|friends)){_FULL_STOP}",
    ),
    unless=any_of(r"\bmyth\b"),
)

_SILENCE: Final = Rule(
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
        rf"plan)){_END}",
        r"\b(?:avoid|stop) (?:asking|talking|speaking)(?: \w+){0,3} about (?:suicid\w*(?: \w+)?|self-?harm|death|"
        r"dying|the (?:abuse|violence|plan))\b",
        r"\b(?:do not|don't|never) (?:ask|talk|speak|mention|raise|bring up)(?: \w+){0,3} (?:suicid\w*|self-?harm|"
        rf"death|dying|the (?:abuse|violence|plan)){_END}",
    ),
)

_SECRECY: Final = Rule(
    UnsafeAdvice.SECRECY,
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
        rf"\b(?:don't|do not|never) report (?:it|this|him|her|them|the (?:abuse|rape|assault|violence|incident)){_END}",
        r"\b(?:keep|settle|handle|solve|sort) (?:it|this|that) (?:out )?(?:within|in|inside) the family\b",
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

_SECRECY_AT_RISK: Final = Rule(
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

_LEAVING_ALONE: Final = Rule(
    UnsafeAdvice.LEAVING_ALONE,
    says=any_of(
        rf"\b(?:safe|fine|ok|okay|alright|no problem) (?:to (?:leave|be left)|(?:being|left)) (?:{HIM} )?alone\b",
        r"\bcan (?:safely )?be left alone\b",
        r"\b(?:there(?:'s| is) (?:nothing|not much|not a lot|little)|there isn't (?:much|anything|a lot)) (?:(?:else|"
        rf"more|that) )*(?:you|we|anyone|anybody|one) can do (?:for|to help) {HIM}\b"
        r"(?! (?:outside|beyond|besides|other|apart|except)\b)",
        rf"\bwait(?:ing)? (?:until|till|for) (?:{HE}|{HIM}) (?:to )?(?:hits?|reach(?:es)?) (?:rock )?bottom\b",
    ),
    advises=any_of(
        rf"\bignore {HIM} when (?:he|she|they) (?:say|threaten|talk|speak)s?\b.{{0,60}}(?:\bdie\b|\bdying\b|{_DANGER})",
        r"\bstay(?: with (?:him|her|them))?,? even (?:if|though|when) (?:he|she|they) (?:beat|hit|hurt|choke|rape|"
        r"abuse)s?\b",
        r"\blook the other way\b",
        r"\bleave (?:the|his|her|their) (?:\w+ ){0,3}(?:pills|tablets|guns?|knife|knives|rope|blades?|razors?) "
        r"(?:where|with (?:him|her|them)|within)\b",
        rf"\b(?:ignor(?:e|ing)|overlook(?:ing)?|look away from|pay no attention to) (?:\w+ ){{0,4}}{_DANGER}"
        r"(?! (?:comments?|messages?|posts?|texts?|e-?mails?|language|words)\b)",
        rf"\b(?:let|allow) {HIM} (?:to )?(?:hit|reach) (?:rock )?bottom\b",
    ),
)

_LEAVING_ALONE_AT_RISK: Final = Rule(
    UnsafeAdvice.LEAVING_ALONE,
    says=any_of(
        rf"\b(?:can|may|could) (?:safely )?(?:stay|be|go|remain|sleep|drive)(?: \w+){{0,3}} (?:alone|by {SELF})\b",
        r"\b(?:lassen? (?:sie )?(?:ihn|sie) (?:einfach )?(?:allein|in ruhe)|déjel[oa] sol[oa]|laissez-l[ea] "
        r"(?:seule?|tranquille))\b",
    ),
    advises=any_of(
        rf"\b(?:leave|let) {HIM} (?:be alone|alone|by {SELF}|in peace|to (?:it|{SELF}))\b",
        rf"\blet {HIM} be{_END}",
        rf"\b(?:ignore|overlook) (?:it|this|that|{HIM})\b",
        rf"\b(?:give {HIM} (?:some )?(?:space|time alone)|send {HIM} home(?: to (?:sleep|rest))?){_END}",
    ),
    at_risk=True,
)

_DELAY: Final = Rule(
    UnsafeAdvice.DELAY,
    says=any_of(
        rf"\b{_NOT} bother (?:the )?(?:police|hospital|doctors?|er|emergency services|crisis (?:line|team))"
        rf"(?:{_FULL_STOP}| (?:with|about|over|tonight|now|at)\b)",
        rf"{_DANGER}(?:(?! and )[^,;:]){{0,80}}\b(?:can|should|may|could) wait (?:until|till|for)\b",
        rf"\b{_NOT} (?:call|phone|go to|take (?:him|her|them) to) (?:(?:the|an?) )?(?:police|ambulance|911|emergency "
        rf"(?:services|room)|er|hospital|crisis (?:line|team)|hotline)(?: (?:now|yet|tonight|today))?{_FULL_STOP}",
    ),
    advises=any_of(
        r"\b(?:wait|hold off|delay|postpone)(?: \w+){0,4} (?:until|till) (?:next|the next|the weekend|tomorrow|"
        rf"after(?! (?:the|this|that) (?:\w+ )?crisis)|his|her|your|their)\b.{{0,80}}{_DANGER}"
    ),
)

_DELAY_AT_RISK: Final = Rule(
    UnsafeAdvice.DELAY,
    says=any_of(
        r"\b(?:it|this|that|they) (?:can|could|may|will) (?:(?:safely|well|still|surely) )?wait\b",
        r"\b(?:there(?:'s| is) (?:no (?:rush|hurry)|(?:plenty of |still |enough )?time until)|(?:is|'s) not urgent|"
        r"isn't urgent)\b",
        r"\b(?:kann bis (?:nächste|zur nächsten) (?:woche|sitzung) warten|warten sie bis (?:nächste woche|zur "
        r"nächsten sitzung)|(?:puede esperar|espere) (?:hasta|a) la próxima (?:semana|sesión)|(?:attendez|peut "
        r"attendre) (?:jusqu'à )?la (?:semaine prochaine|prochaine séance))\b",
    ),
    advises=any_of(
        r"\bwait (?:a|another) (?:few|couple of) (?:days|weeks|hours)\b",
        r"\b(?:wait|hold off|postpone|put (?:it|this) off)\b(?: \w+){0,3} (?:until|till|for|to)\b(?: \w+){0,3} "
        r"(?:weeks?|months?|tomorrow|monday|tuesday|wednesday|thursday|friday|weekend|days?|session|appointment|"
        r"visit)\b",
        r"\b(?:book|schedule|arrange|make|offer|set up)(?: \w+){0,3} appointment (?:for |in |some ?time )?(?:next "
        r"(?:week|month)|(?:in )?(?:two|three|a few|a couple of|several) (?:weeks|days))\b",
        r"\b(?:wait and see|see how (?:it|things) goe?s?|sleep on it)\b",
        r"\b(?:discuss|address|raise|explore|bring (?:it|this) up|talk about|follow up|see|ask)(?: \w+){0,5} (?:at|"
        r"in|during|on) (?:(?:your|the|his|her|their) next (?:appointment|session|visit|meeting)|next week)\b",
    ),
    at_risk=True,
)

_NO_HARM_CONTRACT: Final = Rule(
    UnsafeAdvice.NO_HARM_CONTRACT,
    says=any_of(
        r"\bas long as (?:he|she|they) (?:signs?|promises?|gives? (?:you|me) (?:his|her|their) word)\b",
        r"\b(?:no[- ](?:harm|suicide|self[- ]harm)|anti[- ]suicide) (?:contracts?|agreements?|pacts?)\b",
        r"\b(?:contract|agreement|pact|pledge),? \W?not to (?:harm|hurt|kill|cut|attempt)\b",
        r"\bcontract(?:ing)? for safety\b",
        r"\b(?:contract|agreement|pact|pledge|promise|word),? (?:in writing |in which |saying )?(?:that )?(?:he|she|"
        r"they|you)(?: will not|'ll not| won't| will never) (?:\w+ ){0,2}(?:harm|hurt|kill|cut|attempt|die|do (?:it|"
        r"anything|something)|act on)\b",
        r"\b(?:promise|swear|sign|pledge)(?: (?:you|me|us|to|a paper|in writing|that|he|she|they))* (?:not to|(?:he|"
        r"she|they|you)(?: will not|'ll not| won't)|never to) (?:\w+ )?(?:harm|hurt|kill|cut|attempt|do (?:it|"
        r"anything))\b",
        r"\b(?:nicht-?suizid-?vertrag|antisuizidvertrag|contrato de no suicidio|contrat de non-suicide)\b",
    ),
    unless=any_of(
        r"\b(?:ineffective|not enough|no evidence|not recommended|isn't enough|outdated|discouraged|rely|replace|"
        r"substitute|instead)\b",
        r"\b(?:contracts?|agreements?|promises?|pacts?) (?:do|does|is|are|can|will|did)(?:n't|not| not)\b",
    ),
)

_ENCOURAGING_HARM: Final = Rule(
    UnsafeAdvice.ENCOURAGING_HARM,
    says=any_of(
        r"\b(?:a relief|better|easier|best) for (?:everybody|everyone|all|the family|them|others|the children) if "
        r"(?:you|he|she|they) (?:were|was|had) (?:gone|dead|not (?:here|there|born)|never)\b",
        r"\bbetter off dead\b",
        r"\b(?:everyone|everybody|they|others|(?:the|your|his|her|their) (?:family|world|children|kids|"
        r"parents))(?:'d| would|'ll| will| are|'re) (?:all )?(?:be )?(?:better off|happier|relieved) without (?:you|"
        r"him|her)\b",
        r"\b(?:nobody|no one|the world|they|everyone) (?:would|will)(?: not|n't)? (?:ever |even )?miss (?:him|her|"
        r"you|them)\b",
        r"\b(?:suicide|dying|death|ending (?:it|his life|her life|your life|their life)) (?:is|can be|may be|would "
        r"be) an? (?:\w+ )?(?:rational|understandable|reasonable|valid|legitimate|good|personal|free) (?:choice|"
        r"option|decision|solution|way out)\b",
        r"\b(?:go ahead and|you should(?: just)?|why not just) (?:die|end it all|end your life|kill|cut yourself)\b",
    ),
    advises=any_of(
        r"\b(?:hit|slap|punch|beat|smack) (?:him |her |them )?back\b",
        r"\bfast for (?:\w+ ){1,2}(?:days|weeks)\b",
        r"\bconfront (?:the|your|his|her) (?:rapist|abuser|attacker|stalker)\b",
        r"\b(?:stop|quit) eating (?:for (?:a|some|one|two|three)|altogether|until|completely)\b",
        r"\b(?:slap|smack|spank|hit|beat|whip) (?:him|her|them|(?:the|your) (?:child|kid|son|daughter|children))\b",
        r"\buse (?:an? )?(?:clean|sterile|sharp) (?:blades?|razors?|knife|knives)\b",
        r"\b(?:get even(?! (?:more|better|closer|further|less))|(?:get|take) revenge|teach (?:him|her|them) "
        r"a lesson)\b",
    ),
    commands=any_of(rf"\b(?:kill|hurt|cut|harm|starve) {SELF}\b(?! (?:some |a little )?(?:slack|short|off))"),
)

_DRINKING: Final = Rule(
    UnsafeAdvice.ENCOURAGING_HARM,
    says=any_of(
        r"\b(?:glass of wine|drinks?|beers?|whiske?y|vodka|alcohol|joint|cannabis|weed|marijuana) (?:or two "
        r")?(?:(?:before bed|at night|in the evening) )?(?:may|might|can|will|could|would|often) (?:help|calm|relax|"
        r"take the edge)",
    ),
    advises=any_of(
        r"\b(?:smoke|take|try|use|have) (?:(?:some|a|a little|a bit of) )?(?:weed|cannabis|marijuana|joint|edibles?|"
        r"cocaine|ketamine|magic mushrooms)\b",
        r"\b(?:have|take|drink) (?:a |some |a few )?(?:drinks?|beers?|wine|whiske?y|vodka|alcohol|glass of wine) to "
        r"(?:relax|calm|sleep|unwind|cope|forget)\b",
    ),
    # "It may calm you at first, but …": what follows says what it does then.
    unless=any_of(r"\b(?:but|although|though|however|at first|worse)\b"),
)

RULES: Final = (
    _MEDICATION,
    _DIAGNOSIS,
    _MINIMISING,
    _ULTIMATUM,
    _FRIGHTENING,
    _SILENCE,
    _SECRECY,
    _LEAVING_ALONE,
    _DELAY,
    _NO_HARM_CONTRACT,
    _ENCOURAGING_HARM,
    _DRINKING,
    _MINIMISING_AT_RISK,
    _SECRECY_AT_RISK,
    _LEAVING_ALONE_AT_RISK,
    _DELAY_AT_RISK,
)
