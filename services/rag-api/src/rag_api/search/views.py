"""Views of a query: the texts that are searched for it.

Conversations begin with what a client wrote: "I can't get on a bus". A counselor asks about that client: "How do I help
a patient who cannot get on a bus?" Both the frame of the question and the third person draw its vector to conversations
about patients and therapists. So a counselor's question is searched as the client would put it, by rules: without
the frame, with "I" for the client, and in plain words. The grammar need not be right: the vector of "I refuses to ride
the bus" is close enough.
"""

import itertools
import re
from dataclasses import dataclass
from typing import Final

from mh_common.stemming import words_of

from rag_api.search.vocabulary import ASKING_STEMS, PLAIN_WORDS, ROLE_STEMS, STOP_STEMS, SYNONYMS

_WORD: Final = r"[\w'\u2019-]+"
_DETERMINER: Final = r"(?:my|our|a|an|the|this|that|one of my|one|another|some)"
_CLIENT: Final = r"(?:clients?|patients?|pts?|counsell?ees?|supervisees?)"
_SAYS: Final = (
    r"(?:(?: has)? (?:told me|tells me|says|said|reports|reported|mentioned|mentions|states|stated|confided|disclosed"
    r"|admits|admitted|asks me|asked me|asks|asked|wants to know|complains|complained|describes)"
    r"(?: that| if| whether| how)?\b)?"
)
_TO_HELP: Final = (
    r"(?:help|support|assist|say|tell|advise|respond|reply|answer|suggest|recommend|handle|deal|work|treat|motivate"
    r"|explain|approach|talk|speak|counsel|react|do|begin|start|encourage|reassure|guide|teach|manage|address|engage"
    r"|raise|discuss|bring up|convince|persuade|calm|comfort|validate)"
)

_SENTENCE_END: Final = re.compile(r"(?<=[.!?;])\s+")
_FRAME: Final = re.compile(
    r"^(?:(?:so|hi|hello|please|and|but|also)[, ]{1,2}){0,3}"
    r"(?:how|what|whats|what's|where|which|when)\b(?:(?: is|'s)?(?: the)? (?:best|right|good) (?:way|thing))?"
    r"(?: exactly)?(?: (?:do|does|can|could|should|shud|would|might|may|shall|am|to|is)){0,3}"
    rf"(?: (?:i|we|you|one|u|a (?:counsell?or|therapist)))?"
    rf"(?: (?:best|gently|safely|then|possibly|to)){{0,2}}(?: {_TO_HELP})"
    r"(?: (?:it|up))?(?: (?:to|with|when|if|about|for|gently|that|on|of)){0,3}\s+(?=\S)",
    re.IGNORECASE,
)
_INTRODUCTION: Final = re.compile(
    r"^(?:i have|i've got|i've|i see|i am seeing|i'm seeing|i work with|i am working with|i'm working with|working with"
    rf"|seeing|we have) (?={_DETERMINER}\b)",
    re.IGNORECASE,
)
_MENTIONS_CLIENT: Final = re.compile(rf"\b{_CLIENT}\b", re.IGNORECASE)
_FIRST_PERSON: Final = re.compile(r"\b(?:i|i'm|i've|i'd|i'll|im|ive|me|my|mine|myself|we|us|our|ours)\b", re.IGNORECASE)
_TO_THE_COUNSELOR: Final = re.compile(
    r"\b(?:told|tells|asks|asked|rang|called|came to(?: see)?|comes to(?: see)?|wrote to) me\b|\bi see\b", re.IGNORECASE
)

_CLIENTS: Final = re.compile(rf"\b{_DETERMINER}(?: {_WORD}){{0,3}}? {_CLIENT}['\u2019]s?(?!\w)", re.IGNORECASE)
_CLIENT_WHO: Final = re.compile(
    rf"\b{_DETERMINER}\b(?P<kind>(?: {_WORD}){{0,2}}?) {_CLIENT}\b(?: of mine)?(?P<who> (?:who|that|whose)\b)?{_SAYS}",
    re.IGNORECASE,
)
_BARE_CLIENT: Final = re.compile(rf"^{_CLIENT}\b(?: (?:who|that)\b)?{_SAYS}", re.IGNORECASE)
_PERSON_WHO: Final = re.compile(rf"^(?P<person>(?:{_WORD} ){{1,9}}?)(?P<who>who|whose)\b", re.IGNORECASE)
_ANYONE: Final = re.compile(r"(?:some(?:one|body)|any(?:one|body)|people|those|persons?)\b", re.IGNORECASE)
_OF_NO_KIND: Final = frozenset(
    {"new", "current", "adult", "first-time", "older", "young", "younger", "longtime", "long-term", "own"}
)

_SHE_OR_HE: Final = re.compile(r"\b(?:(?P<she>she|her|hers|herself)|he|his|him|himself)\b", re.IGNORECASE)
_AFTER_ME: Final = (
    r"(?=\s+(?:to|that|for|and|or|but|when|if|with|in|on|at|how|what|as|so|because|since|again|alone|up|out|off|down|now"
    r"|from)\b|[.,;:!?)]|$)"
)
_SHE: Final = (
    (r"she['\u2019]s\b", "I'm"),
    (r"she\b", "I"),
    (r"herself\b", "myself"),
    (r"hers\b", "mine"),
    (rf"her\b{_AFTER_ME}", "me"),
    (r"her\b", "my"),
)
_HE: Final = (
    (r"he['\u2019]s\b", "I'm"),
    (r"he\b", "I"),
    (r"himself\b", "myself"),
    (r"him\b", "me"),
    (r"his\b", "my"),
)
_VERB: Final = re.compile(
    r"\bI ((?:also |still |now |never |always |just |only |often |hardly |finally )?)"
    r"(is|are|has|does|doesn't|isn't|were)\b"
)
_VERB_OF_I: Final = {
    "is": "am",
    "are": "am",
    "has": "have",
    "does": "do",
    "doesn't": "don't",
    "isn't": "am not",
    "were": "was",
}
_TERM: Final = re.compile(
    rf"(?<![\w/-])(?:{'|'.join(map(re.escape, sorted(PLAIN_WORDS, key=len, reverse=True)))})(?![\w/])", re.IGNORECASE
)
_AGE: Final = re.compile(r"\b(\d{1,2})(?: ?-?(?:yo|y/o))? ?(M|F|male|female)\b")


@dataclass(frozen=True)
class QueryViews:
    """What is searched for one query.

    Attributes:
        as_client: for the search by meaning: as the client would put it, or as typed if a client seems to do so.
        keywords: for the search by words: the words that say something, with those that mean the same.
        concepts: for each of these words, in order and once, the stems of which one must occur; its own is the first.
        pairs: the stems of words that say something and are adjacent.
    """

    as_client: str
    keywords: str
    concepts: tuple[tuple[str, ...], ...]
    pairs: tuple[tuple[str, str], ...]


def query_views(text: str) -> QueryViews:
    """Return the views of a query."""
    words = [(text[word.start : word.end], word.stem) for word in words_of(text)]
    others = [(word, stem) for word, stem in words if stem not in STOP_STEMS]
    telling = [(word, stem) for word, stem in others if stem not in ROLE_STEMS] or others or words
    stems = tuple(dict.fromkeys(stem for _, stem in telling))
    alike = {other: word for stem in stems for other, word in SYNONYMS.get(stem, {}).items() if other not in stems}
    following = itertools.pairwise(words)
    return QueryViews(
        as_client=as_client(text),
        keywords=" ".join([*(word for word, _ in telling), *alike.values()]) or text,
        concepts=tuple((stem, *SYNONYMS.get(stem, ())) for stem in stems),
        pairs=tuple(
            dict.fromkeys((one, next_) for (_, one), (_, next_) in following if one in stems and next_ in stems)
        ),
    )


def as_client(text: str) -> str:
    """Return a counselor's question as the client would put it; other texts as they are.

    A text without a client in it that says "I" or "my" is taken to be the client's own: turning "he" into "I" would
    make nonsense of "My husband says he loves me".
    """
    if all(word.stem in ASKING_STEMS for word in words_of(text)):
        return text
    telling = _without_frame(text)
    if not _MENTIONS_CLIENT.search(text) and _FIRST_PERSON.search(_TO_THE_COUNSELOR.sub(" ", telling)):
        return text
    told = " ".join(_as_first_person(sentence) for sentence in _SENTENCE_END.split(telling))
    return _in_plain_words(_VERB.sub(_agree, _replace_pronouns(told)))


def _without_frame(text: str) -> str:
    sentences = [sentence for sentence in _SENTENCE_END.split(text.strip()) if sentence]
    telling = [one for one in sentences if any(word.stem not in ASKING_STEMS for word in words_of(one))]
    return " ".join(_INTRODUCTION.sub("", _FRAME.sub("", sentence)) for sentence in telling or sentences)


def _as_first_person(sentence: str) -> str:
    sentence = _BARE_CLIENT.sub("I", _CLIENT_WHO.sub(_client_as_first_person, _CLIENTS.sub("my", sentence)))
    found = None if re.match(r"I\b", sentence) else _PERSON_WHO.match(sentence)
    if found is None:
        return sentence
    person = "" if _ANYONE.match(found["person"]) else f"I am {found['person'].strip()}, "
    return person + _subject(found["who"]) + sentence[found.end() :]


def _client_as_first_person(found: re.Match[str]) -> str:
    kind = " ".join(word for word in found["kind"].split() if word.lower() not in _OF_NO_KIND)
    return (f"I am {kind}, " if kind else "") + _subject(found["who"])


def _subject(who: str | None) -> str:
    return "my" if (who or "").strip().lower() == "whose" else "I"


def _replace_pronouns(text: str) -> str:
    """Replace the pronouns of the person who is named first; a husband's remain."""
    first = _SHE_OR_HE.search(text)
    for pronoun, replacement in () if first is None else _SHE if first["she"] else _HE:
        text = re.sub(rf"\b{pronoun}", replacement, text, flags=re.IGNORECASE)
    return text


def _agree(found: re.Match[str]) -> str:
    return f"I {found[1]}{_VERB_OF_I[found[2]]}"


def _in_plain_words(text: str) -> str:
    aged = _AGE.sub(lambda found: f"{found[1]} year old {'man' if found[2][0] in 'Mm' else 'woman'}", text)
    return _TERM.sub(lambda found: PLAIN_WORDS[found[0].lower()], aged)
