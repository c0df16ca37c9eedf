"""Grounding check: which sentences of an answer cite no source."""

import re
from dataclasses import dataclass
from typing import Final

from mh_common.sentences import sentence_spans

from rag_api.passages.stretches import is_substantive

CITATION: Final = re.compile(r"\[\d+\]")
# "… at night. [1] Then …": the citation belongs to the sentence before it.
_AFTER_ITS_SENTENCE = re.compile(r"([.!?…。\uff01\uff1f]+[\"'”\u2019»)*_]*)((?:[^\S\n]*\[\d+\])+)")


@dataclass(frozen=True)
class Grounding:
    """Whether every substantive sentence cites a source, and those that do not, in order."""

    grounded: bool
    uncited_sentences: tuple[str, ...] = ()


def check_grounding(text: str) -> Grounding:
    """Check every sentence except greetings, headings and the like. Citations must have the form [1][2]."""
    uncited = tuple(one for one in cited_sentences(text) if not CITATION.search(one))
    return Grounding(grounded=not uncited and CITATION.search(text) is not None, uncited_sentences=uncited)


def cited_sentences(text: str) -> list[str]:
    """Return the sentences that say something or cite a source, each with its citations before its full stop."""
    joined = _AFTER_ITS_SENTENCE.sub(r"\2\1 ", text)
    sentences = [joined[start:end] for start, end in sentence_spans(joined)]
    return [one for one in sentences if is_substantive(one) or CITATION.search(one)]
