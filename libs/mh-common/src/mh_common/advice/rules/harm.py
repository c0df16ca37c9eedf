"""Harm that is spoken for: to oneself, to others, by drink or drugs."""

from typing import Final

from mh_common.advice.patterns import END, SELF, any_of
from mh_common.advice.rule import Rule
from mh_common.models import UnsafeAdvice

ENCOURAGING_HARM: Final = Rule(
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
        r"\b(?:confront|stand up to|face|meet|visit) (?:(?:the|your|his|her|their) )?(?:rapist|abuser|"
        r"attacker|stalker|molester|perpetrator)\b",
        r"\bconfront (?:him|her|them|your (?:father|mother|uncle|husband|wife|partner|boyfriend|ex)) (?:about|with|"
        r"over) (?:(?:the|his|her|their|this|what) )?(?:\w+ )?(?:abuse|violence|rape|assault|beating|molest\w*)\b",
        r"\b(?:fight|hit|punch) (?:him |her |them )?back (?:when(?:ever)? |if |the next time )(?:he|she|they) (?:hit|"
        r"beat|attack|slap|punch|kick)\w*\b",
        r"\b(?:stop|quit) eating (?:for (?:a|some|one|two|three)|altogether|until|completely)\b",
        r"\b(?:slap|smack|spank|hit|beat|whip) (?:him|her|them|(?:the|your) (?:child|kid|son|daughter|children))\b",
        r"\buse (?:an? )?(?:clean|sterile|sharp) (?:blades?|razors?|knife|knives)\b",
        r"\b(?:get even(?! (?:more|better|closer|further|less))|(?:get|take) revenge|teach (?:him|her|them) "
        r"a lesson)\b",
    ),
    commands=any_of(rf"\b(?:kill|hurt|cut|harm|starve) {SELF}\b(?! (?:some |a little )?(?:slack|short|off))"),
)

CHILDREN: Final = Rule(
    UnsafeAdvice.ENCOURAGING_HARM,
    advises=any_of(
        r"\b(?:withhold|take away|deny (?:him|her|them)) (?:(?:his|her|their|the|all) )*(?:food|dinner|meals?|supper|"
        r"breakfast|lunch|water)\b",
        r"\bsend (?:him|her|them|(?:the|your) (?:child|kids?|son|daughter|children)) to bed (?:hungry|without)\b",
        r"\b(?:wash|rinse) (?:his|her|their|out (?:his|her|their)) mouth (?:out )?with\b",
        r"\b(?:give|put) (?:him|her|them) (?:in |under )?(?:an? )?(?:cold|ice) (?:shower|bath)\b",
        r"\b(?:tie|lock|chain|strap) (?:him|her|(?:the|your) (?:child|kids?|son|daughter|children)) (?:up|down|"
        r"in|to|inside|out)\b",
        r"\bignore (?:him|her|them|(?:the|your) (?:baby|child|kids?|son|daughter|children|teen(?:ager)?)) "
        r"(?:when(?:ever)?|while|until|if) (?:(?:he|she|they|it) )?(?:is |are )?(?:cr(?:y|ies|ying)|upset|scared|"
        r"afraid|sad)\b",
        r"\b(?:use|give|try) (?:(?:a|the|some) )?(?:good )?(?:belt|paddle|switch|spanking|beating|whipping)\b",
    ),
)

BODY: Final = Rule(
    UnsafeAdvice.ENCOURAGING_HARM,
    advises=any_of(
        r"\b(?:go|quit|stop)(?: \w+){0,4} cold turkey\b(?!.{0,40}\b(?:dangerous|danger|risky|seizures?|doctor|"
        r"medical)\b)",
        r"\bdetox (?:at home|alone|on your own|by yourself|yourself)\b",
        rf"\bskip (?:(?:a|your|some|all|the|every) )*(?:meals?|breakfast|lunch|dinner|supper){END}",
        r"\bweigh yourself (?:(?:once|twice|several times) )?(?:a day|daily|every (?:day|morning|night)|each (?:day|"
        r"morning))\b",
        r"\b(?:use|take|try) (?:(?:a|some|diet) )*(?:laxatives?|diuretics?|diet pills|appetite suppressants?)\b",
        r"\b(?:vomit|throw up|purge) (?:after|what you|your food|afterwards)\b",
        r"\b(?:eat|have) (?:no more than|less than|under|fewer than|only) \d[\d,]* (?:k?cal\w*)\b",
    ),
)

DRINKING: Final = Rule(
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
