"""Advice that can do harm: sentences that are never quoted, and left out of what a language model writes.

Rules of words, one sentence at a time: in English, with the plainest of them in German, Spanish and French. They are
meant to be right when they speak, so they miss much. A sentence that warns against such advice, or says that somebody
else gives it, passes: "Do not stop your medication without your doctor".
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from mh_common.advice.patterns import SELF, any_of
from mh_common.models import UnsafeAdvice
from mh_common.sentences import sentence_spans

MAX_SENTENCE: Final = 2000
"""Characters of a sentence that are read; a longer one is no sentence."""

# One form for all apostrophes and quotation marks, and none of what Markdown puts around words.
_STRAIGHT: Final = str.maketrans("\u2019\u2018\u201b\u00b4\u201c\u201d\u201e\u201f", "''''\"\"\"\"", "*_`#")
_CITATION: Final = re.compile(r"\s*\[\d+\]")

_PATIENT: Final = (
    r"(?:(?:your|the|this|that) (?:\w+ )?(?:patient|client|person|child|kid|son|daughter|boy|girl|teen(?:ager)?|"
    r"adolescent|man|woman|husband|wife|partner|boyfriend|girlfriend|friend|mother|father|mom|mum|dad|parents?|"
    r"family|sister|brother))"
)
_HIM: Final = rf"(?:him|her|them|someone|somebody|people|{_PATIENT})"
_HE: Final = rf"(?:he|she|they|{_PATIENT})"
_END: Final = r"(?= *(?:$|[.!;,)\"\u2013\u2014]))"
_FULL_STOP: Final = r"(?= *(?:$|[.!;]))"

_DRUGS: Final = (
    r"(?:medications?|meds?|medicines?|pills?|tablets?|anti-?depressants?|anti-?psychotics?|mood stabili[sz]ers?|"
    r"ssris?|benzos?|benzodiazepines?|lithium|prozac|zoloft|lexapro|celexa|paxil|effexor|cymbalta|wellbutrin|xanax|"
    r"klonopin|ativan|valium|seroquel|abilify|risperdal|zyprexa|clozapine|lamictal|adderall|ritalin|concerta|"
    r"sertraline|fluoxetine|citalopram|escitalopram|venlafaxine|quetiapine|olanzapine|risperidone|dos(?:e|age)s?|"
    r"prescriptions?)\b"
)
_OF_WHOM: Final = r"(?:(?:to take|your|his|her|their|the|all|any|those|these|this|that|of) ){0,3}(?:\w+ )?"
_DISORDER: Final = (
    r"(?:bipolar|borderline|bpd|schizophreni\w+|schizoaffective|psychosis|psychotic|ptsd|post-?traumatic stress|"
    r"(?:major|clinical) depression|an? (?:\w+ )?(?:personality|anxiety|eating|panic|mood|bipolar|depressive) "
    r"disorder|ocd|obsessive[- ]compulsive disorder|adhd|autism|autistic|asperger\w*|anorexia|bulimia|a narcissist|"
    r"narcissistic|a sociopath|a psychopath|an addict|an alcoholic|clinically depressed)\b(?! (?:symptom|tendenc|"
    r"trait|thought))"
)
_NAMES_A_DISORDER: Final = any_of(rf"\b{_DISORDER}", r"\bdepress(?:ed|ion|ive)\b")
_DANGER: Final = (
    rf"\b(?:suicid\w*|kill\w*|self-?harm\w*|cutting|(?:hurt|harm)(?:s|ing)? (?:{SELF}|\w+one|others)|overdos\w*|"
    r"pills|threat(?:s|en\w*)?|danger\w*|abus\w*|beat(?:s|ing|en)?|chok\w+|strangl\w+|weapons?|guns?|voices|crisis|"
    r"emergenc\w+)\b"
)
_PULL_TOGETHER: Final = (
    rf"(?:get over it|snap out of it|toughen up|man up|suck it up|get a grip|pull {SELF} together|stop (?:being so "
    rf"sensitive|feeling sorry for {SELF}|whining|complaining|overreacting))"
)

# What comes before a command.
_COMMAND: Final = r"(?:^\W*|[,;:.!\u2013\u2014(] *\"?|\b(?:and|but|so|then|just|simply|please) )"
_COMMANDED: Final = any_of(rf"{_COMMAND}$")
# What comes before advice: "you should", "tell him to", "it is fine to". Not "if you", "those who", "they want to".
_ADVISED: Final = any_of(
    rf"{_COMMAND}$",
    rf"\b(?:you|we|i|patients|clients|{_HE}) (?:should|could|can|must|needs? to|ha(?:ve|s) to|ought to|had better|"
    r"may|might) (?:just |simply |also |safely |certainly |still |then )?$",
    rf"\b(?:try to|recommend|suggest|consider|try|advise)(?: that)?(?: you| {_HE})? $",
    rf"\b(?:tell|ask|advise|encourage|urge|get|allow|help|let|have) {_HIM}(?: to)? $",
    rf"\b(?:okay|ok|fine|safe|best|better|time|alright|good idea|right) (?:for (?:you|{_HIM}) )?to $",
)

# What turns the words after it around, within the same clause or, where a rule says so, the same sentence.
_NEGATION: Final = any_of(
    r"\b(?:not|no|never|nobody|without|avoid\w*|instead of|rather than|before|against|refrain\w*|unhelpful|harmful|"
    r"wrong|mistake|myth|dangerous|risky|unsafe|resist\w*|prevent\w*|cannot|beware|careful|tempt\w*)\b",
    r"n't\b",
    r"\b(?:nicht|kein\w*|nie(?:mals)?|ohne|statt|nunca|jam[aá]s|sin|evite\w*|jamais|sans|plut[oô]t que|[eé]vite\w*|"
    r"ne)\b|\bn'",
)
# What makes them somebody else's, or a thought that is spoken about.
_REPORTED: Final = any_of(
    r"\b(?:say|says|said|saying|think|thinks|thought|thinking|believe[sd]?|believing|tells?|told|telling|claim(?:s|"
    r"ed)?|feels?|felt|feeling|fears?|feared|assum\w+|wonder\w*|worr(?:y|ied)|pretend\w*|call(?:s|ed)?|label\w*|"
    r"mention\w*|wrote|shared|stated|describ\w+|know|knows|knew|news|fact|sense|conclusion|idea) (?:(?:that|like|as|"
    r"it|us|me|you|him|her|them|people|others|sel\w+|\w+sel(?:f|ves)) )*[\"':]? ?$",
    r"\b(?:thought|belief|idea|fear|message|lie|feeling)s? (?:that|like|is) ",
    r"\b(?:if|whether|unless|as though|as if|do you|are you|is it|when (?:you|i|we|they|he|she|someone)|who|which) ",
)
_CLAUSE: Final = re.compile(r"[,;:.!?(\u2013\u2014] ?|\b(?:and|but|so|because|und|aber|y|pero|et|mais) ")


@dataclass(frozen=True)
class _Rule:
    """A kind of advice, and the words that are it.

    Attributes:
        says: words that are it wherever they stand.
        advises: words that are it where somebody is advised to do something.
        commands: words that are it as a command.
        unless: words anywhere in the sentence that make it sensible.
        at_risk: only where a danger was noticed in the question; sensible, or idle, otherwise.
        in_sentence: a negation counts anywhere before the words, not only in the same clause.
    """

    kind: UnsafeAdvice
    says: re.Pattern[str] | None = None
    advises: re.Pattern[str] | None = None
    commands: re.Pattern[str] | None = None
    unless: re.Pattern[str] | None = None
    at_risk: bool = False
    in_sentence: bool = False

    def applies(self, sentence: str) -> bool:
        """Return whether the sentence gives this advice."""
        parts = ((self.says, None), (self.advises, _ADVISED), (self.commands, _COMMANDED))
        return any(
            self._gives(sentence, words, introduction) for words, introduction in parts if words is not None
        ) and not (self.unless is not None and self.unless.search(sentence))

    def _gives(self, sentence: str, words: re.Pattern[str], introduction: re.Pattern[str] | None) -> bool:
        for found in words.finditer(sentence):
            before = sentence[: found.start()]
            is_introduced = introduction is None or introduction.search(before) is not None
            if is_introduced and not self._is_turned_around(before):
                return True
        return False

    def _is_turned_around(self, before: str) -> bool:
        clause = before[max((found.end() for found in _CLAUSE.finditer(before)), default=0) :]
        negated = before if self.in_sentence else clause
        return bool(_NEGATION.search(negated) or _REPORTED.search(clause))


_MEDICATION: Final = _Rule(
    UnsafeAdvice.MEDICATION,
    says=any_of(
        rf"\b(?:you|{_HE}) (?:really )?(?:don't|do not|doesn't|does not) need (?:to (?:take|be on) "
        rf")?{_OF_WHOM}{_DRUGS}{_END}",
        r"\btak(?:e|ing) (?:drugs|pills|meds|medications?) (?:only |just )?to (?:hide|mask|numb|cover|not feel)\b",
        r"\b(?:no (?:harm|risk|problem|danger)|nothing wrong) (?:in|with) (?:stopping|quitting|skipping|reducing|"
        rf"lowering|coming off|going off|refusing) {_OF_WHOM}{_DRUGS}",
        rf"\brefus(?:e|ing) {_OF_WHOM}(?:{_DRUGS}|treatment) is (?:your|his|her|their|a|everyone's) (?:\w+ )?right\b",
        rf"\b(?:right|free|allowed|entitled) to (?:refuse|decline|reject) {_OF_WHOM}{_DRUGS}",
        rf"\b{_DRUGS} (?:is|are|does|do|will|would)(?: \w+){{0,2}} more harm than good\b",
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
        r"\b(?:stop(?:s|ping)?|quit(?:s|ting)?|discontinu(?:es?|ing)|com(?:es?|ing) off|go(?:es|ing)? off|get(?:s|"
        r"ting)? off|skip(?:s|ping)?|throw(?:s|ing)? (?:away|out)|flush(?:es|ing)?|cut(?:s|ting)? (?:back|down)(?: "
        r"on)?|halv(?:es?|ing)|doubl(?:es?|ing)|lower(?:s|ing)?|rais(?:es?|ing)|increas(?:es?|ing)|reduc(?:es?|ing)|"
        r"taper(?:s|ing)?(?: off)?|refus(?:es?|ing)|declin(?:es?|ing)|drop(?:s|ping)?|paus(?:es?|ing)|tak(?:es?|ing) "
        rf"a break from|do(?:es|ing)? without) (?:of )?(?:taking |using )?{_OF_WHOM}{_DRUGS}",
        rf"\b(?:takes?|gives? {_HIM}) (?:more|extra|another|an? (?:additional|extra|second)|a few|double)(?: of)? "
        rf"{_OF_WHOM}{_DRUGS}",
        r"\btakes? (?:\w+ ){0,4}(?:mother|father|husband|wife|partner|friend|sister|brother|roommate|neighbou?r|"
        rf"somebody|someone)(?: else)?'s (?:\w+ )?{_DRUGS}",
    ),
    # "Talk to your doctor about stopping": the decision is left to where it belongs.
    unless=any_of(
        r"\b(?:talk|speak|ask|consult|check|discuss|call|contact|see|work|meet|decid|agree)\w*\b.{0,60}\b(?:doctors?|"
        r"physicians?|psychiatrists?|prescribers?|pharmacists?|gp|nurse|provider|clinician)\b",
        r"\b(?:under|with) (?:\w+ ){0,2}(?:guidance|supervision|advice|help|approval|doctor|physician|psychiatrist|"
        r"prescriber|care)\b",
        r"\b(?:rücksprache|absprache|arzt|ärztin|ärztlich\w*|médico|médica|psiquiatra|médecin|psychiatre)\b",
    ),
    in_sentence=True,
)

_DIAGNOSIS: Final = _Rule(
    UnsafeAdvice.DIAGNOSIS,
    says=any_of(
        rf"\b(?:you|{_HE}) (?:(?:clearly|obviously|definitely|certainly|undoubtedly|really|most likely|probably|"
        r"surely) )*(?:ha(?:ve|s)|suffers?(?: from)?|(?:are|is)(?: suffering from)?) (?:(?:clearly|obviously|"
        rf"definitely|certainly|probably) )*(?:a case of )?{_DISORDER}",
        r"\b(?:this|it|that) (?:is|must be) (?:(?:clearly|obviously|definitely|certainly|undoubtedly) )*(?:a case of "
        rf")?{_DISORDER}",
        rf"\b(?:sounds?|seems|looks) (?:to me )?(?:a lot |very much )?like (?:(?:you|{_HE}) (?:are |is )?(?:have|has|"
        rf"having|suffer(?:s|ing)? from) )?(?:(?:some|an?|pretty|very|classic|typical|severe) )*(?:{_DISORDER}|"
        r"depression\b|(?:\w+ )?(?:depressive|anxiety|personality|eating) disorder)",
        rf"\b(?:you|{_HE}) (?:are|is) suffering from (?:\w+ )?depression\b",
        rf"\b(?:classic|typical|clear|textbook|obvious) (?:case|example|sign)s? of {_DISORDER}",
        r"\bmy diagnosis (?:is|would be)\b",
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

_MINIMISING: Final = _Rule(
    UnsafeAdvice.MINIMISING,
    says=any_of(
        r"\b(?:it|this|everything|all)(?:'s| is| will be) (?:\w+ )?(?:fine|ok|okay|alright|nothing), ?(?:and |so |"
        r"just )*(?:tell|let|have|get|give|leave|ask|don't|no need|nothing)\b",
        r"\b(?:it|that|this|he|she|they)(?:'s| is| are|'re| was) (?:(?:just|only|simply|merely|typical|normal) "
        r")+(?:a phase|(?:teen(?:age)? )?drama|attention[- ]seeking|seeking attention|for attention|(?:being "
        r")?dramatic|drama|over-?reacting|a cry for attention|bluffing|manipulating|(?:all )?in (?:his|her|their|"
        r"your) head|looking for attention)\b",
        r"\b(?:just|only|merely|simply) (?:being |doing (?:it|this|that) |wants? |after |seeking )?(?:attention[- "
        rf"]seeking|for (?:the )?attention|attention){_END}",
        rf"\bit(?:'s| is) (?:no|not a) big deal{_END}",
        rf"\b(?:tell|get|have|let|advise) {_HIM} (?:to |just |simply |should )*(?:{_PULL_TOGETHER}|calm down|cheer "
        r"up|grow up|be a man)",
        r"\byou(?:'re| are) (?:just |only |simply )?(?:overreacting|being (?:too |over-?)(?:sensitive|dramatic)|"
        r"attention[- ]seeking)\b",
        r"\b(?:no need to|do not|don't|needn't|not have to) take (?:it|this|that|him|her|them) (?:too |so "
        r")?seriously\b",
        r"\b(?:just|only|merely|simply|probably) (?:want(?:s|ing)?|seek(?:s|ing)?|after) (?:your |some |the |more "
        r")?attention\b",
        r"\b(?:just|only|merely|simply|probably) trying to (?:manipulate|scare|provoke|get (?:a reaction|attention)|"
        r"test) ?",
        r"\b(?:others|other people|many people) (?:have it|are) (?:much |far |a lot )?worse\b",
        r"\bpeople who (?:talk|speak) about (?:it|suicide|killing themselves) (?:never|don't|do not|rarely) (?:do it|"
        r"act|mean it)",
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
        rf"\b(?:don't|do not|no need to|there is no need to|nothing to) worry about (?:it|him|her|them){_END}"
    ),
    unless=any_of(r"\b(?:myth|dismiss\w*|invalidat\w*|stigma\w*)\b"),
)

_MINIMISING_AT_RISK: Final = _Rule(
    UnsafeAdvice.MINIMISING,
    says=any_of(
        rf"\b(?:it|this|everything|all|{_HE})(?:'s| is|'ll be| will be|'re| are) (?:(?:just|all|perfectly|totally|"
        rf"completely|probably|quite) )*(?:(?:ok|okay|alright){_FULL_STOP}|(?:fine|nothing serious|harmless|"
        rf"nothing){_END})",
        rf"\b(?:tell|ask|get|have|let|advise) {_HIM} (?:to |just |simply |should )*(?:rest|relax|sleep|forget "
        r"(?:about )?it|be strong|move on|smile|think positive\w*|take a (?:bath|walk|break|nap))\b",
        r"\b(?:it|this|that)(?: \w+)? (?:will|shall)(?: \w+)? (?:pass|go away|blow over|sort itself out)\b",
        r"\b(?:is|'s) (?:probably )?nothing to (?:worry|be worried) about\b",
        rf"\b{_HE}(?: is|'s| are|'re) (?:probably |surely )?not (?:really )?serious\b",
        rf"\b{_HE} (?:(?:doesn't|does not|don't|do not) (?:really |actually )?mean it|(?:won't|will not|would never|"
        rf"will never) (?:really |actually )?do it{_END})",
        r"\b(?:is|are) (?:usually |often |just |only |mostly )*(?:a bluff|empty threats|just talk|only words|"
        r"exaggerat\w+)\b",
        r"\b(?:often|usually|always|just|only|probably|tend to) (?:exaggerate|overreact|say (?:such|these) things)\b",
        rf"\b{_HE} (?:just|only|simply) needs? (?:a |some |more |to )*(?:good |quiet )*(?:night|rest|sleep|break|hug|"
        r"time|relax)",
        r"\b(?:to get|for|seeks?|seeking|wants?|wanting|crav\w+) (?:(?:her|his|their|your|some|more|the) )?(?:\w+'s "
        r")?attention\b(?! to)",
        r"\b(?:isn't|is not|there's|there is) (?:much|nothing) (?:that )?you can do\b",
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

_ULTIMATUM: Final = _Rule(
    UnsafeAdvice.ULTIMATUM,
    says=any_of(
        rf"\b(?:give|giving|issue|set) (?:{_HIM} )?(?:an?|the|this|one) (?:\w+ )?ultimatums?\b",
        rf"\b(?:threaten|warn|tell) {_HIM} (?:that |with )?(?:if .{{3,60}},? )?(?:you|he|she|they|we|(?:his|her|"
        r"their|the) \w+)(?:'ll| will| (?:are|is) going to) (?:be )?(?:leave|divorce|kick|throw|end (?:the "
        r")?(?:therapy|treatment|sessions?)|stop (?:seeing|treating|helping)|have (?:him|her|them) (?:locked|"
        r"committed)|locked|punish|abandon|committed|sectioned|lose)",
        rf"^.*\bor else{_FULL_STOP}",
        r"^.*\bor (?:you|i|we)(?:'ll| will) (?:call off|end|stop|leave|divorce|kick|never)\b",
        r"\b(?:this|it) is (?:his|her|their|your|the) last chance\b",
        r"\b(?:stell|setz)\w* .{0,30}\bultimatum\b",
        r"\b(?:dele|dale|darle|póngale|ponle) un ultimátum\b",
        r"\b(?:posez|pose|donnez|donne)(?:[- ]lui)? un ultimatum\b",
    ),
    advises=any_of(
        rf"\bthreaten (?:to|{_HIM})\b",
        r"\b(?:leave|divorce|dump|kick out|throw out) (?:him|her|them|(?:your|the) (?:husband|wife|partner|boyfriend|"
        r"girlfriend))(?: out)? (?:now|immediately|today|tonight|at once|right away)\b",
    ),
    unless=any_of(
        r"\bultimatums? (?:rarely|seldom|usually|often|tend|don't|doesn't|do not|does not|can backfire|backfire)\b"
    ),
)

_FRIGHTENING: Final = _Rule(
    UnsafeAdvice.FRIGHTENING,
    says=any_of(
        rf"\b(?:convince|persuade|tell|show|remind) {_HIM} (?:that )?(?:(?:it|there|life|everything)(?:'s| is) "
        r"(?:hopeless|no (?:hope|point|way out)|pointless)|(?:he|she|they)(?:'s| is|'re| are) (?:hopeless|worthless|"
        r"useless|a burden|a failure|weak|crazy|selfish|unlovable)|(?:nobody|no one) (?:cares|will ever (?:care|love|"
        r"help|believe)))",
        r"\b(?:it|this|that)(?:'s| is) (?:(?:partly|all|entirely) )?(?:his|her|their|your) own fault\b",
        r"\bmach\w* (?:sie )?(?:ihm|ihr|ihnen) (?:richtig )?angst\b",
        r"\büberzeug\w* (?:ihn|sie), dass (?:es hoffnungslos|alles sinnlos)",
        r"\b(?:asústel[oa]|hágal[oa] sentir (?:culpable|miedo|vergüenza))\b",
        r"\b(?:faites|fais)-lui (?:peur|honte)\b",
    ),
    advises=any_of(
        rf"\b(?:make|making|keep|keeping) {_HIM} (?:feel )?(?:(?:really|very|so) )?(?:scared|afraid|frightened|"
        r"terrified|ashamed|guilty|isolated|here alone|dependent|worthless|hopeless)\b",
        rf"\b(?:scare|frighten|shame|guilt|terrify|shock) {_HIM}\b",
        rf"\b(?:tell|show|make|let|remind) {_HIM} (?:see |understand |realise |realize |know )?(?:of |that )?how "
        r"(?:selfish|weak|stupid|cowardly|pathetic|cruel)\b",
        rf"\block {_HIM} (?:in|up|out|inside)\b",
        rf"\bconfront {_HIM} with (?:what|how|the) (?:\w+ )?(?:death|suicide|selfish\w*|pain)\b",
        rf"\b(?:cut|keep|isolate) {_HIM} (?:off |away )?from (?:(?:all|his|her|their|the) )*(?:friends|family|people|"
        r"everyone)\b",
    ),
)

_SILENCE: Final = _Rule(
    UnsafeAdvice.SILENCE,
    says=any_of(
        r"\b(?:asking|talking|speaking|to (?:ask|talk|speak))(?: \w+){0,3} about (?:suicid\w*|self-?harm|death|dying|"
        r"it|this|these thoughts) (?:will|would|may|might|could|can) (?:only |just |even )?(?:give|put|plant|"
        r"encourage|provoke|trigger|make|cause)\b",
    ),
    advises=any_of(
        r"\bnot (?:ask|talk|speak)(?: \w+){0,3} about (?:suicid\w*|self-?harm|death|dying|the (?:abuse|violence|"
        rf"plan)){_END}",
        r"\b(?:avoid|stop) (?:asking|talking|speaking)(?: \w+){0,3} about (?:suicid\w*(?: \w+)?|self-?harm|death|"
        r"dying|the (?:abuse|violence|plan))\b",
        r"\b(?:do not|don't|never) (?:ask|talk|speak|mention|raise|bring up)(?: \w+){0,3} (?:suicid\w*|self-?harm|"
        rf"death|dying|the (?:abuse|violence|plan)){_END}",
    ),
)

_SECRECY: Final = _Rule(
    UnsafeAdvice.SECRECY,
    says=any_of(
        r"\b(?:sag|erzähl|verrat)\w*\b.{0,25}\b(?:niemandem|nicht den eltern|nicht der polizei)\b",
        r"\b(?:no se lo (?:diga|digas|cuente|cuentes) a nadie|guarde el secreto)\b",
        r"\b(?:n'en parle[zr]? à personne|ne (?:le )?dites? (?:rien )?à personne|gardez le secret)\b",
    ),
    advises=any_of(
        r"\bkeep(?:ing)? (?:this|it|that|(?:his|her|their|the) \w+) (?:a |as a )?(?:secret|between (?:us|the two of "
        r"you)|from (?:(?:his|her|their|your|the) )?(?:parents?|family|doctor|police|school|therapist|everyone))\b",
        rf"\bpromise (?:{_HIM} )?(?:(?:total|complete|absolute|full) )?(?:secrecy|(?:that )?you(?: will not|'ll "
        r"never| won't) tell|not to tell|never to tell)",
        r"\b(?:do not|don't|never|not) (?:tell|inform|involve|alert|contact|notify) (?:(?:his|her|their|your|the) "
        r")?(?:anyone|anybody|parents?|family|mother|father|police|doctors?|therapist|counsell?or|school|teachers?|"
        r"supervisor|authorities|social services|cps|emergency services)(?= *(?:$|[.!,;]|about\b|yet\b|unless\b|that "
        r"(?:he|she|they)\b))",
    ),
    unless=any_of(r"\b(?:surprise|party|gift|orientation|gay|lesbian|trans\w*|com(?:e|ing) out|identity|password)\b"),
    in_sentence=True,
)

_SECRECY_AT_RISK: Final = _Rule(
    UnsafeAdvice.SECRECY,
    says=any_of(
        r"\bno need to (?:tell|inform|involve|notify|alert|contact) (?:(?:his|her|their|your|the) )?(?:anyone|"
        r"anybody|others|parents?|family|police|doctors?|school|authorities|emergency services)\b",
        r"\b(?:nobody|no one|(?:his|her|their|the) (?:\w+ )?(?:parents?|mother|father|family|husband|wife|partner|"
        r"school|doctor|police)) (?:will|needs? to|ha(?:s|ve) to|do(?:es)?(?:n't| not) (?:need|have) to|must) (?:not "
        r")?(?:ever )?(?:know|find out|hear)\b",
        r"\b(?:stays?|remains?) between (?:you|us)\b",
    ),
    advises=any_of(
        r"\bkeep (?:it|this|that|everything|all of (?:it|this)|what(?: \w+){1,5}) (?:\w+ )?(?:confidential|secret|to "
        r"yourself|private)\b"
    ),
    at_risk=True,
)

_LEAVING_ALONE: Final = _Rule(
    UnsafeAdvice.LEAVING_ALONE,
    says=any_of(
        rf"\b(?:safe|fine|ok|okay|alright|no problem) (?:to (?:leave|be left)|(?:being|left)) (?:{_HIM} )?alone\b",
        r"\bcan (?:safely )?be left alone\b",
    ),
    advises=any_of(
        rf"\b(?:ignor(?:e|ing)|overlook(?:ing)?|look away from|pay no attention to) (?:\w+ ){{0,4}}{_DANGER}"
    ),
)

_LEAVING_ALONE_AT_RISK: Final = _Rule(
    UnsafeAdvice.LEAVING_ALONE,
    says=any_of(
        rf"\b(?:can|may|could) (?:safely )?(?:stay|be|go|remain|sleep|drive)(?: \w+){{0,3}} (?:alone|by {SELF})\b",
        r"\b(?:lassen? (?:sie )?(?:ihn|sie) (?:einfach )?(?:allein|in ruhe)|déjel[oa] sol[oa]|laissez-l[ea] "
        r"(?:seule?|tranquille))\b",
    ),
    advises=any_of(
        rf"\b(?:leave|let) {_HIM} (?:be alone|alone|by {SELF}|in peace|to (?:it|{SELF}))\b",
        rf"\blet {_HIM} be{_END}",
        rf"\b(?:ignore|overlook) (?:it|this|that|{_HIM})\b",
        rf"\b(?:give {_HIM} (?:some )?(?:space|time alone)|send {_HIM} home(?: to (?:sleep|rest))?){_END}",
    ),
    at_risk=True,
)

_DELAY: Final = _Rule(
    UnsafeAdvice.DELAY,
    says=any_of(rf"{_DANGER}.{{0,80}}\b(?:can|should|may|could) wait (?:until|till|for)\b"),
    advises=any_of(
        r"\b(?:wait|hold off|delay|postpone)(?: \w+){0,4} (?:until|till) (?:next|the next|tomorrow|after|his|her|"
        rf"your|their)\b.{{0,80}}{_DANGER}"
    ),
)

_DELAY_AT_RISK: Final = _Rule(
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

_NO_HARM_CONTRACT: Final = _Rule(
    UnsafeAdvice.NO_HARM_CONTRACT,
    says=any_of(
        r"\b(?:no[- ](?:harm|suicide|self[- ]harm)|anti[- ]suicide) (?:contracts?|agreements?|pacts?)\b",
        r"\b(?:contract|agreement|pact|pledge),? \W?not to (?:harm|hurt|kill|cut|attempt)\b",
        r"\bcontract(?:ing)? for safety\b",
        r"\b(?:contract|agreement|pact|pledge|promise|word),? (?:in writing |in which |saying )?(?:that )?(?:he|she|"
        r"they|you)(?: will not|'ll not| won't| will never)\b",
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

_ENCOURAGING_HARM: Final = _Rule(
    UnsafeAdvice.ENCOURAGING_HARM,
    says=any_of(
        r"\bbetter off dead\b",
        r"\b(?:everyone|everybody|they|others|(?:the|your|his|her|their) (?:family|world|children|kids|"
        r"parents))(?:'d| would|'ll| will| are|'re) (?:all )?(?:be )?(?:better off|happier|relieved) without (?:you|"
        r"him|her)\b",
        r"\b(?:glass of wine|drinks?|beers?|whiske?y|vodka|alcohol|joint|cannabis|weed|marijuana) (?:or two )?(?:may|"
        r"might|can|will|could|would|often) (?:help|calm|relax|take the edge)",
        r"\b(?:nobody|no one|the world|they|everyone) (?:would|will)(?: not|n't)? (?:ever |even )?miss (?:him|her|"
        r"you|them)\b",
        r"\b(?:suicide|dying|death|ending (?:it|his life|her life|your life|their life)) (?:is|can be|may be|would "
        r"be) an? (?:\w+ )?(?:rational|understandable|reasonable|valid|legitimate|good|personal|free) (?:choice|"
        r"option|decision|solution|way out)\b",
        r"\b(?:go ahead and|you should(?: just)?|why not just) (?:die|end it all|end your life|kill|cut yourself)\b",
        r"\b(?:hit|slap|punch|beat|smack) (?:him |her |them )?back\b",
    ),
    unless=any_of(r"\bbut\b"),
    advises=any_of(
        r"\b(?:slap|smack|spank|hit|beat|whip) (?:him|her|them|(?:the|your) (?:child|kid|son|daughter|children))\b",
        r"\b(?:get even|get revenge|take revenge|teach (?:him|her|them) a lesson)\b",
        r"\b(?:have|take|drink) (?:a |some |a few )?(?:drinks?|beers?|wine|whiske?y|vodka|alcohol|glass of wine) to "
        r"(?:relax|calm|sleep|unwind|cope|forget)\b",
    ),
    commands=any_of(rf"\b(?:kill|hurt|cut|harm|starve) {SELF}\b(?! (?:some |a little )?(?:slack|short|off))"),
)

_RULES: Final = (
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
    _MINIMISING_AT_RISK,
    _SECRECY_AT_RISK,
    _LEAVING_ALONE_AT_RISK,
    _DELAY_AT_RISK,
)


def unsafe_advice(
    sentence: str, *, at_risk: bool = False, excluding: Collection[UnsafeAdvice] = ()
) -> UnsafeAdvice | None:
    """Return why a sentence must not be passed on; None if no rule speaks against it.

    Args:
        sentence: without regard to citations and emphasis.
        at_risk: a danger was noticed in the question, so what is sensible elsewhere ("leave him alone") is not here.
        excluding: kinds that are not looked for.
    """
    text = " ".join(_CITATION.sub("", sentence[:MAX_SENTENCE].translate(_STRAIGHT)).lower().split())
    for rule in _RULES:
        if (at_risk or not rule.at_risk) and rule.kind not in excluding and rule.applies(text):
            return rule.kind
    return None


def unsafe_sentences(
    text: str, *, at_risk: bool = False, excluding: Collection[UnsafeAdvice] = ()
) -> Iterator[UnsafeAdvice]:
    """Yield why, for each sentence of a text that must not be passed on."""
    for start, end in sentence_spans(text):
        if kind := unsafe_advice(text[start:end], at_risk=at_risk, excluding=excluding):
            yield kind


def names_a_disorder(text: str) -> bool:
    """Return whether a text says that somebody has a disorder: to repeat that is no diagnosis."""
    return _NAMES_A_DISORDER.search(text.lower()) is not None
