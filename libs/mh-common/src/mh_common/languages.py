"""Guess the language of a text: by its script, or by the small words that no text of a language does without.

It is made to be cheap and to keep silent in doubt: `None` says that the language is not known, and a wrong language
would be said to readers. A script that several languages share gives the most widespread of them, which is enough to
say that two texts differ.
"""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Final

MAX_READ: Final = 2000
"""Characters of a text that are read."""

_SCRIPTS: Final[Mapping[str, str]] = {
    "ar": "\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff\ufb50-\ufdff\ufe70-\ufefe",
    "el": "\u0370-\u03ff\u1f00-\u1fff",
    "he": "\u0590-\u05ff",
    "hi": "\u0900-\u097f",
    "ja": "\u3040-\u30ff\u31f0-\u31ff",
    "ko": "\u1100-\u11ff\u3130-\u318f\uac00-\ud7af",
    "ru": "\u0400-\u052f",
    "th": "\u0e00-\u0e7f",
    "zh": "\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0002ebef",
}
_OF_SCRIPT: Final = {language: re.compile(f"[{ranges}]") for language, ranges in _SCRIPTS.items()}
_JAPANESE: Final = 0.1
"""Share of kana among the letters from which a text with Chinese characters is Japanese."""

_LETTER: Final = re.compile(r"[^\W\d_]")
# An apostrophe ends a word, so that "j'ai" has the word "ai" and "don't" the word "don".
_WORD: Final = re.compile(r"[^\W\d_]+")

_SMALL_WORDS: Final[Mapping[str, frozenset[str]]] = {
    language: frozenset(words.split())
    for language, words in {
        "en": """
            a about after all also am an and any are as at be because been before but by can cannot could did do
            does don for from get had has have he her him his how i if in into is isn it its just like me more my no
            not of on or our out she should so some than that the their them then there these they this to too up us
            was we were what when where which who why will with without would you your
        """,
        "es": """
            a al algo antes aquí así aunque bien cada como con cuando cómo de del desde donde dos el ella ellos en
            entre era es esa ese eso esta estaba este esto está estoy están fue ha hace hacer hasta hay la las le
            les lo los me mi mis mucho muy más nada ni no nos o otra otro para pero poco por porque puede puedo qué
            que se sea ser si sin sobre solo son soy su sus sí también te tengo tiene todo tu tus un una uno usted y
            ya yo él
        """,
        "de": """
            aber als am an auch auf aus bei beim bin bis bist da damit dann das dass dein dem den denn der des die
            dies diese dir doch du durch ein eine einem einen einer er es für gegen habe haben hat hatte ich ihm ihn
            ihnen ihr ihre im immer in ins ist ja jetzt kann kein keine können man mehr mein meine mich mir mit muss
            nach nicht nichts noch nun nur ob oder ohne schon sehr sein seine seit sich sie sind so über um und uns
            unter vom von vor war warum was weil wenn wer werden wie wieder wir wird wo zu zum zur
        """,
        "fr": """
            ai alors au aussi autre aux avec avez avoir bien c car ce cela ces cette chez comme d dans de depuis des
            deux donc du elle elles en encore est et été être eux fait faire il ils j je jamais l la le les leur lui
            m ma mais me mes moi mon même n ne ni non nos notre nous on ont ou où par parce pas peu peut peux plus
            pour pourquoi qu quand que quel quelle qui quoi s sa sans se ses si son sont suis sur ta te tes toi ton
            tout tous toute très tu un une va vos votre vous y à ça
        """,
        "it": """
            a ai al alla anche che chi ci come con cosa così da dal dei del della delle di dopo dove e ed essere fa
            fare gli ha ho i il in io la le lei lo loro lui ma mi mia mio molto ne nei nel nella no noi non o ogni
            per perché però più può quando quello questa questo se sei senza si sia solo sono sta su sul sua suo te
            ti tra tu tua tuo tutto un una uno vi voi è
        """,
        "pt": """
            a ao aos as até com como da das de depois do dos e ela ele eles em entre era essa esse esta estou está
            eu foi há isso já lhe mais mas me mesmo meu minha muito na nas nem no nos não nós o onde os ou para pela
            pelo pode por porque qual quando que quem se sem ser seu sua são só também te tem tenho tudo um uma você
            à é
        """,
        "nl": """
            aan als altijd bij ben dan dat de deze die dit doen door een en er geen haar hebben heb heeft hem het
            hij hoe hun ik in is je jij jou kan maar me meer met mij mijn moet na naar niet nog nu of om omdat ook
            op over te tot uit uw van veel voor waar wat we wel wij wil worden wordt zich zij zijn zo zonder zou
        """,
        "pl": """
            a albo ale bardzo bez bo by był była było być co czy dla do gdy go i ich ja jak jako jego jej jest
            jestem jeszcze już każdy kiedy ktoś lub mam ma mi mnie może moja mój na nad nie nic niż o od ona on ono
            pan pani po pod przed przez przy się są ta tak także tego tej ten to trzeba tu tylko tym u w we więc
            wszystko z za ze że
        """,
    }.items()
}
_SHARED_BY: Final = Counter(word for words in _SMALL_WORDS.values() for word in words)

MIN_EVIDENCE: Final = 1.5
"""Small words that a text must have, where one that n languages share counts 1/n."""
MIN_SHARE: Final = 0.12
"""Their share of its words."""
MIN_LEAD: Final = 1.4
"""How many times the evidence of any other language."""

NAMES: Final[Mapping[str, str]] = {
    "ar": "Arabic",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "fr": "French",
    "he": "Hebrew",
    "hi": "Hindi",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "nl": "Dutch",
    "pl": "Polish",
    "pt": "Portuguese",
    "ru": "Russian",
    "th": "Thai",
    "zh": "Chinese",
}
"""The English name of each language that is recognised, by its code of ISO 639-1."""


def language_of(text: str) -> str | None:
    """Return the code (ISO 639-1, one of `NAMES`) of the language that a text is mostly in; None if it is not known."""
    read = text[:MAX_READ]
    return _by_script(read) or _by_small_words(read)


def other_language(text: str, than: str) -> str | None:
    """Return the code of a text's language if it certainly is another one than that of the text `than`; else None."""
    mine, other = language_of(text), language_of(than)
    return mine if mine and other and mine != other else None


def _by_script(text: str) -> str | None:
    letters = len(_LETTER.findall(text))
    counts = {language: len(pattern.findall(text)) for language, pattern in _OF_SCRIPT.items()}
    if counts["ja"] >= _JAPANESE * (counts["ja"] + counts["zh"]):
        counts["ja"] += counts.pop("zh")
    best = max(counts, key=lambda language: counts[language])
    return best if counts[best] > letters / 2 else None


def _by_small_words(text: str) -> str | None:
    words = [word.casefold() for word in _WORD.findall(text)]
    evidence = {
        language: sum(1 / _SHARED_BY[word] for word in words if word in small)
        for language, small in _SMALL_WORDS.items()
    }
    best, second = sorted(evidence, key=lambda language: -evidence[language])[:2]
    is_enough = evidence[best] >= max(MIN_EVIDENCE, MIN_SHARE * len(words))
    return best if is_enough and evidence[best] >= MIN_LEAD * evidence[second] else None
