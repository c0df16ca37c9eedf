"""Inaction where there is danger: to leave somebody alone, to wait, or to rely on a promise."""

from typing import Final

from mh_common.advice.patterns import END, FULL_STOP, SELF, any_of
from mh_common.advice.rule import HE, HIM, Rule
from mh_common.models import UnsafeAdvice

_DANGER: Final = (
    rf"\b(?:suicid\w*|kill\w*|self-?harm\w*|cutting|(?:hurt|harm)(?:s|ing)? (?:{SELF}|\w+one|others)|overdos\w*|"
    r"pills|threat(?:s|en\w*)?|danger\w*|abus\w*|beat(?:s|ing|en)?|chok\w+|strangl\w+|weapons?|guns?|voices|crisis|"
    r"emergenc\w+)\b"
)
_NO_NEED: Final = r"(?:(?:there is |there's )?no need to|needn't|not necessary to)"
_NOT: Final = r"(?:don't|do not|never|(?:there is |there's )?no need to|needn't|not necessary to)"

LEAVING_ALONE: Final = Rule(
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

LEAVING_ALONE_AT_RISK: Final = Rule(
    UnsafeAdvice.LEAVING_ALONE,
    says=any_of(
        rf"\b(?:can|may|could) (?:safely )?(?:stay|be|go|remain|sleep|drive)(?: \w+){{0,3}} (?:alone|by {SELF})\b",
        r"\b(?:lassen? (?:sie )?(?:ihn|sie) (?:einfach )?(?:allein|in ruhe)|déjel[oa] sol[oa]|laissez-l[ea] "
        r"(?:seule?|tranquille))\b",
    ),
    advises=any_of(
        rf"\b(?:leave|let) {HIM} (?:be alone|alone|by {SELF}|in peace|to (?:it|{SELF}))\b",
        rf"\blet {HIM} be{END}",
        rf"\b(?:ignore|overlook) (?:it|this|that|{HIM})\b",
        rf"\b(?:give {HIM} (?:some )?(?:space|time alone)|send {HIM} home(?: to (?:sleep|rest))?){END}",
    ),
    at_risk=True,
)

DELAY: Final = Rule(
    UnsafeAdvice.DELAY,
    says=any_of(
        rf"\b{_NOT} bother (?:the )?(?:police|hospital|doctors?|er|emergency services|crisis (?:line|team))"
        rf"(?:{FULL_STOP}| (?:with|about|over|tonight|now|at)\b)",
        rf"{_DANGER}(?:(?! and )[^,;:]){{0,80}}\b(?:can|should|may|could) wait (?:until|till|for)\b",
        rf"\b{_NOT} (?:call|phone|go to|take (?:him|her|them) to) (?:(?:the|an?) )?(?:police|ambulance|911|emergency "
        rf"(?:services|room)|er|hospital|crisis (?:line|team)|hotline)(?: (?:now|yet|tonight|today))?{FULL_STOP}",
    ),
    advises=any_of(
        r"\b(?:wait|hold off|delay|postpone)(?: \w+){0,4} (?:until|till) (?:next|the next|the weekend|tomorrow|"
        rf"after(?! (?:the|this|that) (?:\w+ )?crisis)|his|her|your|their)\b.{{0,80}}{_DANGER}"
    ),
)

DELAY_AT_RISK: Final = Rule(
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

WITHOUT_HELP: Final = Rule(
    UnsafeAdvice.DELAY,
    says=any_of(
        rf"{_NO_NEED} (?:see|go to|consult|visit|call|talk to|involve|ask|get|seek|look for|need) (?:(?:a|an|any|the|"
        r"your|his|her|their|professional|medical|psychiatric|outside|more|some) )*(?:doctors?|physicians?|"
        rf"psychiatrists?|therapists?|therapy|counsell?ors?|counsell?ing|treatment|help|professionals?){END}",
        r"\b(?:you|he|she|they) (?:(?:really|certainly|probably|just) )*(?:don't|do not|doesn't|does not) need (?:to "
        r"see )?(?:(?:a|an|any|professional|medical|psychiatric|outside|more) )*(?:doctors?|psychiatrists?|"
        rf"therapists?|therapy|counsell?ors?|counsell?ing|treatment|help){END}",
        r"\b(?:therapy|counsell?ing|therapists?|psychiatrists?|doctors?|psychiatry|treatment) (?:(?:is|are|will|"
        r"can) )?(?:(?:just|only|usually|really|mostly|often) )*(?:a (?:waste|scam|crutch|joke|racket)|useless|"
        r"pointless|for (?:weak|crazy|the weak)|never (?:really )?(?:works?|helps?)|only (?:want|in it for))\b",
        r"\bno (?:doctor|therapist|psychiatrist|counsell?or|therapy|treatment|medication|pill) (?:can|will|could|"
        r"would) (?:ever |really )?(?:help|cure|fix|heal|change|solve)\b",
        r"\b(?:wait|give it|hold off) (?:(?:for )?(?:a|another|at least|two|three|four|six|some|several) )+(?:few |"
        r"couple of )?(?:days|weeks|months|years?) (?:before|and see|until) .{0,60}\b(?:doctor|hospital|therapist|"
        r"psychiatrist|help|counsell?or|police)\b",
    ),
    commands=any_of(
        r"(?:don't|do not|never) (?:see|go to|consult|visit|call|talk to|involve|ask|get|seek|look for|need) (?:(?:a|"
        r"an|any|the|your|his|her|their|professional|medical|psychiatric|outside|more|some) )*(?:doctors?|physicians?|"
        rf"psychiatrists?|therapists?|therapy|counsell?ors?|counsell?ing|treatment|help|professionals?){END}",
    ),
    unless=any_of(r"\b(?:to (?:be|have|feel|do|get)|unless|in order|alone|just|only)\b.{0,40}\bto\b"),
)

NO_HARM_CONTRACT: Final = Rule(
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
