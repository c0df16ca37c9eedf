"""The sources that an answer cites, with links, and the sentences to doubt, for display in other programs."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from mh_common.models import CheckedSentence, SentenceSupport, Source

from rag_api.integrations.links import conversation_link
from rag_api.integrations.titles import make_title
from rag_api.texts.markup import sanitize, strip_invisible

MAX_TITLE: Final = 100
"""Maximum characters of a conversation's title, which is the beginning of its question."""

_CITATION = re.compile(r"\[(\d+)\]")


@dataclass(frozen=True)
class CitedSource:
    """A source, its number in the answer, and its first citation: `text[start:end]`."""

    number: int
    start: int
    end: int
    title: str
    url: str


def cited_sources(text: str, sources: Sequence[Source], public_url: str) -> list[CitedSource]:
    """Return the sources that the text cites as [1], by number, with links based on `public_url`."""
    first: dict[int, re.Match[str]] = {}
    for match in _CITATION.finditer(text):
        first.setdefault(int(match[1]), match)
    return [
        CitedSource(
            number,
            first[number].start(),
            first[number].end(),
            source_title(source),
            conversation_link(public_url, source.id),
        )
        for number, source in enumerate(sources, start=1)
        if number in first
    ]


def source_title(source: Source) -> str:
    """Return the beginning of the question, on one line, as the title of a source."""
    # Questions can be very long and contain long runs of whitespace.
    return make_title(strip_invisible(source.question[: 10 * MAX_TITLE]), MAX_TITLE)


def markdown_list(cited: Iterable[CitedSource]) -> str:
    """Return the sources as Markdown to append to an answer; empty if there are none."""
    lines = [f"- [{one.number}] [{_escape_markdown(one.title)}]({one.url})" for one in cited]
    return "\n".join(["\n\nSources:\n", *lines]) if lines else ""


def plain_list(cited: Iterable[CitedSource]) -> str:
    """Return the sources as plain text to append to an answer; empty if there are none."""
    lines = [f"[{one.number}] {one.title} {one.url}" for one in cited]
    return "\n".join(["\n\nSources:", *lines]) if lines else ""


def doubts_list(checked: Iterable[CheckedSentence]) -> str:
    """Return what to append to an answer about sentences that their sources do not support; empty if there are none.

    It reads alike as plain text and as Markdown: the sentences are sanitized already.
    """
    lines = [
        f"- {' '.join(one.text.split())} (It {one.doubt.as_text()}.)"
        for one in checked
        if one.support is SentenceSupport.UNSUPPORTED and one.doubt is not None
    ]
    return "\n".join(["\n\nRead in their sources before you rely on them:\n", *lines]) if lines else ""


def _escape_markdown(title: str) -> str:
    """Return a title as a Markdown link label: sanitized, and with special characters escaped."""
    return re.sub(r"([\\`*_\[\]<>!~|])", r"\\\1", sanitize(title))
