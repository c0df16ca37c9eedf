"""Medication: to stop, change or refuse it without who prescribes it."""

from typing import Final

from mh_common.advice.patterns import END, FULL_STOP, any_of
from mh_common.advice.rule import HE, HIM, Rule
from mh_common.models import UnsafeAdvice

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

MEDICATION: Final = Rule(
    UnsafeAdvice.MEDICATION,
    says=any_of(
        r"\b(?:most|many) (?:people|patients|women|men) (?:manage|do (?:fine|well)|get by|cope|recover) without "
        rf"{_OF_WHOM}{_DRUGS}",
        rf"\b(?:{_DRUGS}|(?:psychiatric|those|these) drugs) (?:is|are) (?:(?:just|only|nothing but|pure) )*(?:poison|"
        r"a crutch|a scam|for (?:the )?weak)\b",
        rf"\b(?:you|{HE}) (?:really )?(?:don't|do not|doesn't|does not) need (?:to (?:take|be on) "
        rf")?{_OF_WHOM}{_DRUGS}{END}",
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
        rf"your|their) )*{_MEDICINE}{FULL_STOP}",
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
        rf")?problems?))?{FULL_STOP}",
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
