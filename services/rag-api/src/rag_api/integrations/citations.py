"""The sources that an answer cites, with their links, as other programs show them."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from mh_common.models import Source

from rag_api.answers.markup import defuse, without_unseen
from rag_api.integrations.links import conversation_link
from rag_api.integrations.titles import title_of

MAX_TITLE: Final = 100
"""Characters of a question that stands as the title of its conversation."""

_CITATION = re.compile(r"\[(\d+)\]")


@dataclass(frozen=True)
class CitedSource:
    """A source, its number in the answer, and where the text names it first: from `start` to before `end`."""

    number: int
    start: int
    end: int
    title: str
    url: str


def cited_sources(text: str, sources: Sequence[Source], public_url: str) -> list[CitedSource]:
    """Return the sources that the text cites as [1], by number, with links seen from `public_url`."""
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
    """Return the beginning of the question, on one line."""
    # Questions can be very long, and hold long runs of blanks.
    return title_of(without_unseen(source.question[: 10 * MAX_TITLE]), MAX_TITLE)


def markdown_list(cited: Iterable[CitedSource]) -> str:
    """Return the sources as Markdown to stand behind an answer; empty when there are none."""
    lines = [f"- [{one.number}] [{_label(one.title)}]({one.url})" for one in cited]
    return "\n".join(["\n\nSources:\n", *lines]) if lines else ""


def plain_list(cited: Iterable[CitedSource]) -> str:
    """Return the sources as plain text to stand behind an answer; empty when there are none."""
    lines = [f"[{one.number}] {one.title} {one.url}" for one in cited]
    return "\n".join(["\n\nSources:", *lines]) if lines else ""


def _label(title: str) -> str:
    """Whatever stands in a title, it opens and closes no link of its own and holds no other markup."""
    return re.sub(r"([\\`*_\[\]<>!~|])", r"\\\1", defuse(title))
