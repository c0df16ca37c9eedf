"""Stretches of an answer: one to four sentences in a row that may be quoted and can be understood by themselves."""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from mh_common.sentences import sentence_spans

from rag_api.texts.citations import normalize_citations
from rag_api.texts.markup import extract_urls, sanitize, strip_invisible

MAX_SENTENCES: Final = 4
MAX_LENGTH: Final = 450
"""Characters of a stretch."""
MAX_SCANNED: Final = 20_000
"""Characters of an answer that are searched for sentences."""

_URL: Final = re.compile(r"(?:https?://|www\.)\S+|\b[\w.+-]+@[\w-]+\.\w+|\b\w[\w-]*\.(?:com|org|net)\b")
# Without one of these a text in ASCII is neither a citation nor markup nor an address.
_MARKUP: Final = re.compile(r"[\[\]<&\\/:]|www\.", re.IGNORECASE)
_BLANKS: Final = re.compile(r"\s+")
_WORD: Final = re.compile(r"\w+")
_UNSPACED: Final = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
_COURTESY: Final = re.compile(
    r"\W*(?:hi|hello|hey|dear|greetings|welcome|good (?:morning|day|afternoon|evening|luck|question)|thanks?|thank you|"
    r"(?:best|kind(?:est)?|warm(?:est)?) (?:regards|wishes)|best of luck|regards|sincerely|warmly|respectfully|"
    r"take (?:good )?care(?: of yourself)?\W*\Z|all the best|wishing you|i wish you|"
    r"i(?: really| truly)? hope (?:this|that|it|you)|hope (?:this|that)|"
    r"(?:i am|i['\u2019]?m) (?:so |very |really )*(?:sorry|glad|happy)|sorry (?:to hear|that)|"
    r"hola|gracias|saludos|buen[oa]s (?:d[ií]as|tardes|noches)|bonjour|merci|hallo|danke|liebe gr\w+|ciao|grazie|"
    r"ol[aá]|obrigad[oa])(?:\b|\Z)",
    re.IGNORECASE,
)
_COURTESY_WORDS: Final = 12
# Also before a long sentence: "Hi Jo, this is common in couples who …".
_GREETING: Final = re.compile(r"\W*(?:hi|hello|hey|dear)\b", re.IGNORECASE)
# What a therapist says of the exchange, the site and themselves: it ended with that exchange.
_ABOUT_THE_EXCHANGE: Final = re.compile(
    r"\b(?:(?:following|these|below|this|my|our|our own) "
    r"(?:links?|articles?|web ?sites?|sites?|pages?|videos?|forums?|blogs?)"
    r"|(?:contact|call|e-?mail|message|text) me\b|(?:my|our) (?:practice|office|web ?site|blog|book|services)"
    r"|reach(?:ing)? out (?:here|to me|on)|for (?:reaching out|writing in|posting|sharing (?:this|your))"
    r"|(?:your|this) (?:question|post|letter|message) (?:is|was|says|does|has|deserves|here)"
    r"|i (?:commend|applaud|congratulate)|i(?:['\u2019]m| am) not familiar with"
    r"|i(?:['\u2019]m| am) (?:an? )?(?:\w+ ){0,3}"
    r"(?:therapist|counsell?or|psychologist|psychotherapist|social worker|coach|lmft|lcsw)\b)",
    re.IGNORECASE,
)
_MIN_WORDS: Final = 4
_MIN_UNSPACED_CHARACTERS: Final = 8

# "This can help too": what helps stands before it.
_POINTERS: Final = "this that these those they them it he she him his her their so"
_OPENINGS: Final = """
    such but and or nor yet because however also therefore thus hence instead otherwise then too
    still again similarly likewise additionally furthermore moreover besides conversely meanwhile finally lastly next
    second secondly third thirdly fourth fourthly another other others here
"""
_OPENING_PHRASES: Final = (
    r"(?:the|your) (?:second|third|other|next|last|latter|former|same|above|following|answer|question)\b",
    r"having said\b",
    r"(?:in|as) (?:addition|other words|either|both|short|conclusion|summary|a result|mentioned|stated|i said)\b",
    r"(?:for (?:example|instance)|on the other|one more|even then|more importantly|none of|there you)\b",
)
_CONJUNCTION: Final = (
    r"(?:if|even if|when|once|after|before|until|unless|while|since|although|though|as|with|without|by|in|from|at|for|"
    r"to|despite|besides|beyond|doing|by doing|(?:some|all|most|each|any|one|many|few|part) of|not only)"
)
_REFERS_BACK: Final = re.compile(
    rf"\W*(?:(?:{'|'.join((_POINTERS + _OPENINGS).split())})\b|{'|'.join(_OPENING_PHRASES)}"
    rf"|{_CONJUNCTION} (?:{'|'.join(_POINTERS.split())}|not)\b)",
    re.IGNORECASE,
)
# "It is important to …", "It can help to …", "That said, …" refer forward.
_REFERS_FORWARD: Final = re.compile(
    r"\W*it(?:['\u2019]s| is| was| can be| could be| may be| might be| will be)?(?: \w+ly| very| so| often| also| quite"
    r"| always| most| more| not| just| only)* (?:important|helpful|normal|common|natural|hard|difficult|easy|easier"
    r"|useful|possible|impossible|best|better|okay|ok|good|understandable|essential|crucial|tempting|worth|necessary"
    r"|likely|unlikely|clear|true|healthy|rare|unusual|painful|scary|vital|key|wise|valuable|challenging|beneficial|fine"
    r"|(?:can |may |might |will )?helps?|takes?)\b",
    re.IGNORECASE,
)
_SMALL_LETTER: Final = re.compile(r"\W*[a-z\u00df-\u00f6\u00f8-\u00ff]")
_QUESTION: Final = re.compile(r"[?\u00bf\uff1f]\W*$")
# What ends a sentence in scripts that have no spaces.
_NO_SPACE_AFTER: Final = re.compile(r"[\u3002\uff61\uff01\uff1f][」』】\uff09”]*$")
_OPEN_END: Final = (":", "\N{FULLWIDTH COLON}", ",", ";", "...", "\N{HORIZONTAL ELLIPSIS}")


@dataclass(frozen=True)
class Stretch:
    """Sentences in a row.

    Attributes:
        source: the number of their source, from 1.
        first: the first one's number in its answer, from 0.
        sentences: their texts.
        gaps: what stands before each of them, such as a space or the mark of a list.
    """

    source: int
    first: int
    sentences: tuple[str, ...]
    gaps: tuple[str, ...]

    @cached_property
    def text(self) -> str:
        """The sentences as they stand in the answer, on one line."""
        following = zip(self.gaps[1:], self.sentences[1:], strict=True)
        text = self.sentences[0] + "".join(itertools.chain.from_iterable(following))
        return _BLANKS.sub(" ", text)

    @property
    def numbers(self) -> range:
        """The numbers of its sentences in the answer."""
        return range(self.first, self.first + len(self.sentences))


def sentences_of(source: int, answer: str) -> list[Stretch]:
    """Return each sentence of an answer as a stretch."""
    text = strip_invisible(answer[: 2 * MAX_SCANNED])
    found, end_before = [], 0
    for number, (start, end) in enumerate(sentence_spans(text, MAX_SCANNED)):
        gap = _gap(text[:end_before], text[end_before:start])
        found.append(Stretch(source, number, (text[start:end],), (gap,)))
        end_before = end
    return found


def _gap(before: str, between: str) -> str:
    """Return what stands between two sentences, on one line; with a space if there is none by mistake."""
    if not between:
        return "" if _NO_SPACE_AFTER.search(before) else " "
    return _BLANKS.sub(" ", between)


def stretches(source: int, answer: str) -> Iterator[Stretch]:
    """Yield the stretches of an answer, which is plain text, that can be understood by themselves."""
    for run in _runs(sentences_of(source, answer)):
        for place, one in enumerate(run):
            lengths = range(1, min(MAX_SENTENCES, len(run) - place) + 1) if can_begin(one.text) else ()
            for length in lengths:
                stretch = _joined(run[place : place + length])
                if len(stretch.text) > MAX_LENGTH:
                    break
                if can_end(stretch.sentences[-1]) and not _has_unbalanced_quotes(stretch.text):
                    yield stretch


def _joined(sentences: Sequence[Stretch]) -> Stretch:
    texts = tuple(itertools.chain.from_iterable(one.sentences for one in sentences))
    gaps = tuple(itertools.chain.from_iterable(one.gaps for one in sentences))
    return Stretch(sentences[0].source, sentences[0].first, texts, gaps)


def _runs(sentences: Sequence[Stretch]) -> Iterator[list[Stretch]]:
    """Yield the sentences between greetings, links and the like."""
    for may_be_part, run in itertools.groupby(sentences, key=lambda one: can_be_quoted(one.text)):
        if may_be_part:
            yield list(run)


def can_be_quoted(sentence: str) -> bool:
    """Return whether it is no courtesy, not about the exchange, and could pass for no citation, markup or address."""
    is_talk = _is_courtesy(sentence) or _ABOUT_THE_EXCHANGE.search(sentence)
    return not is_talk and not names_an_address(sentence) and _has_no_markup(sentence)


def can_begin(sentence: str) -> bool:
    """Return whether a stretch can begin with it: it says something, and refers to nothing before it.

    What begins with a small letter is an item of a list, or goes on.
    """
    refers_back = _REFERS_BACK.match(sentence) and not _REFERS_FORWARD.match(sentence)
    goes_on = refers_back or _GREETING.match(sentence) or _SMALL_LETTER.match(sentence)
    return is_substantive(sentence) and not goes_on


def can_end(sentence: str) -> bool:
    """Return whether a stretch can end with it: no question to the other person, nothing that goes on."""
    return not _QUESTION.search(sentence) and not sentence.rstrip().endswith(_OPEN_END)


def is_substantive(sentence: str) -> bool:
    """Return whether a sentence says something by itself: no greeting, courtesy, link, heading or half a quotation."""
    sentence = _URL.sub("", sentence).strip()
    if sentence.endswith((":", "\N{FULLWIDTH COLON}")) or _has_unbalanced_quotes(sentence) or _is_courtesy(sentence):
        return False
    return len(_WORD.findall(sentence)) >= _MIN_WORDS or len(_UNSPACED.findall(sentence)) >= _MIN_UNSPACED_CHARACTERS


def names_an_address(text: str) -> bool:
    """Return whether a text has a link or an e-mail address."""
    return _URL.search(text) is not None


def _is_courtesy(sentence: str) -> bool:
    return _COURTESY.match(sentence) is not None and len(_WORD.findall(sentence)) <= _COURTESY_WORDS


def _has_no_markup(sentence: str) -> bool:
    """Return whether nothing in it could pass for one of our citations, or for markup where the answer is shown."""
    if sentence.isascii() and not _MARKUP.search(sentence):
        return True
    return normalize_citations(sanitize(sentence, extract_urls([sentence])), ()) == sentence


def _has_unbalanced_quotes(sentence: str) -> bool:
    """Return whether quotation marks are unbalanced: half of a quotation is misleading."""
    return sentence.count('"') % 2 == 1 or sentence.count("“") != sentence.count("”")
