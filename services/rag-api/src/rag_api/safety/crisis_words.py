"""Words that point to safety in a crisis: assess the danger, keep safe, get help. To name the danger is not enough."""

from typing import Final

from mh_common.advice.patterns import SELF, any_of

_POINTS_TO_SAFETY: Final = any_of(
    # Who helps.
    r"\b(?:suicide|crisis|help|hot|life)[- ]?lines?\b",
    r"\bcris[ei]s (?:\w+ )?(?:teams?|cent(?:er|re)s?|services?|protocol|plan|intervention|unit|counsel\w+)\b",
    r"\bemergency (?:\w+ )?(?:services?|rooms?|departments?|numbers?|care|help|contact)\b",
    r"\b(?:call|phone|contact|alert|to) (?:\w+ ){0,3}(?:911|988|999|112|ambulance|police|an er|the er|emergency)\b",
    r"\b(?:go|taken?|admit\w*|bring|brought|drive|nearest|psychiatric) (?:\w+ ){0,4}hospitals?\b",
    r"\bhospitali[sz]\w+",
    r"\bambulance\b",
    r"\bpoison (?:control|cent(?:er|re)|information)\b",
    r"\b(?:women's|domestic violence|emergency|nearest|local) shelters?\b",
    r"\b(?:child|adult) protect\w+",
    r"\b(?:protective|restraining) orders?\b",
    r"\b(?:police|file a) report\b",
    r"\breport(?:ing|ed)? (?:\w+ ){0,4}(?:abuse|authorit\w+|protect\w+)",
    r"\bduty to (?:warn|protect)\b",
    r"\b(?:urgent|immediate) (?:\w+ )?(?:help|assessment|care|evaluation|attention)\b",
    # What to do.
    r"\bsafety[- ]plan\w*",
    r"\bsafety first\b",
    r"\b(?:ensure|secure|check|assess|protect|immediate) (?:\w+ )?safety\b",
    rf"\b(?:keep|stay|make) (?:him |her |them |{SELF} |the \w+ |your \w+ )?safe\b(?! from)",
    r"\bsafe (?:now|tonight|at home)\b",
    r"\b(?:restrict|remov|lock|limit|secur|stor|hid|reduc)\w* (?:\w+ ){0,5}(?:means|access|weapons?|guns?|pills|"
    r"medications?|knives|razors?)\b",
    r"\b(?:take|taking) (?:\w+ ){0,5}(?:weapons?|guns?|pills|medications?|knives|razors?) away\b",
    r"\btake away the means\b|\block(?:ed)? away\b",
    r"\b(?:assess|ask|evaluat|explor|screen)\w* (?:\w+ ){0,6}(?:risk|danger|intent\w*|lethality|plans?|means|dying|"
    rf"suicid\w*|kill\w*|(?:harm|hurt)\w* {SELF}|weapons?)\b",
    r"\b(?:find out|clarify|know) (?:\w+ ){0,6}(?:pills|guns?|weapons?|plans?|means|inten\w+)\b",
    r"\bdo you (?:intend|have a plan|plan)\b",
    r"\bprotective factors?\b",
    r"\b(?:stay|remain) with (?:him|her|them|the \w+|your \w+)(?= *(?:$|[.!;,]|(?:until|while|and|or|tonight|now)\b))",
    r"\b(?:not|never|n't) (?:be left|leave (?:him|her|them|the \w+|your \w+)) alone\b",
    # German.
    r"\bnot(?:ruf|arzt|aufnahme|dienst)\w*",
    r"\b(?:krisen(?:dienst|team|plan|telefon|intervention)|telefonseelsorge|giftnotruf|frauenhaus|jugendamt|krankenhaus|"
    r"klinik|polizei|sicherheitsplan)\w*",
    r"\bnicht allein\w* lassen",
    r"\b(?:frag\w*|einschätz\w*|klär\w*) .{0,60}\b(?:suizid\w*|selbstmord\w*|plan|absicht\w*|gefahr|risiko)\b",
    # Spanish.
    r"\b(?:emergencias|urgencias|policía|plan de seguridad|servicios de emergencia)\b",
    r"\blínea de (?:ayuda|vida|atención|crisis)\b",
    r"\bno (?:lo |la )?dej\w+ (?:sol[oa]|a solas)",
    r"\b(?:pregunt\w*|evalú\w*|evaluar) .{0,60}\b(?:suicid\w*|plan|intención|riesgo|peligro)\b",
    # French.
    r"\b(?:les|aux) urgences\b|\b(?:samu|police|plan de sécurité|ligne d'écoute)\b",
    r"\bne (?:le |la )?laiss\w+ pas seule?",
    r"\b(?:demand\w*|évalu\w*) .{0,60}\b(?:suicid\w*|plan|intention|risque|danger)\b",
)

_CONTACT: Final = any_of(
    r"\b(?:911|988|999|112|110|111|000|113|116[ -]?\d{3})\b",
    r"\d(?:[\s().-]{0,2}\d){5,}",
    r"\b\d-\w+-\w+",
    r"https?://|\bwww\.",
)


def points_to_safety(text: str) -> bool:
    """Return whether a text says to assess a danger, how to keep safe, or who helps in a crisis."""
    return _POINTS_TO_SAFETY.search(text.lower()) is not None


def names_a_contact(text: str) -> bool:
    """Return whether a text has a telephone number or an address: those of conversations are old, or of elsewhere."""
    return _CONTACT.search(text.lower()) is not None
