"""Parses the repository's Markdown pages into links, code spans and code blocks."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from mh_devtools.paths import ROOT

_FENCE: Final = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_SPAN: Final = re.compile(r"(`+)(.+?)\1", re.DOTALL)
_LINK: Final = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_HEADING: Final = re.compile(r"^#+ +(.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Page:
    """A Markdown file. `path` is relative to the repository's root."""

    path: Path
    text: str

    @cached_property
    def prose(self) -> str:
        """The text without the contents of code blocks; line numbers are preserved."""
        return _FENCE.sub(lambda match: "\n" * match[0].count("\n"), self.text)

    @cached_property
    def blocks(self) -> list[tuple[int, str, str]]:
        """Line, language and content of each code block."""
        return [(self._line(self.text, one.start(3)), one[2], one[3]) for one in _FENCE.finditer(self.text)]

    @cached_property
    def spans(self) -> list[tuple[int, str]]:
        """Line and content of each code span, joined to one line."""
        found = _SPAN.finditer(self.prose)
        return [(self._line(self.prose, one.start()), " ".join(one[2].split())) for one in found]

    @cached_property
    def plain(self) -> str:
        """The prose without code spans and link targets; line numbers are preserved."""
        without = _SPAN.sub(lambda match: "\n" * match[0].count("\n"), self.prose)
        return re.sub(r"\]\([^)]*\)|<https?:[^>]*>", "]", without)

    @cached_property
    def links(self) -> list[tuple[int, str]]:
        """Line and target of each link and picture."""
        without = _SPAN.sub(lambda match: " " + "\n" * match[0].count("\n"), self.prose)
        return [(self._line(without, one.start()), one[1]) for one in _LINK.finditer(without)]

    @cached_property
    def anchors(self) -> set[str]:
        """The anchors that GitHub assigns to the headings."""
        found: set[str] = set()
        for heading in _HEADING.findall(self.prose):
            words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
            anchor = re.sub(r"[^\w\- ]", "", words.strip().lower()).replace(" ", "-")
            repeated = sum(one == anchor or re.fullmatch(rf"{re.escape(anchor)}-\d+", one) is not None for one in found)
            found.add(f"{anchor}-{repeated}" if repeated else anchor)
        return found

    def lines_of(self, pattern: re.Pattern[str]) -> Iterator[tuple[int, re.Match[str]]]:
        """Yield each match in the prose, including code spans, with its line."""
        for match in pattern.finditer(self.prose):
            yield self._line(self.prose, match.start()), match

    @staticmethod
    def _line(text: str, offset: int) -> int:
        return text.count("\n", 0, offset) + 1


def tracked_files() -> list[Path]:
    """Return the files that are tracked, or untracked and not ignored, relative to the root."""
    listed = subprocess.check_output(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, text=True
    )
    return [Path(name) for name in listed.split("\0") if name and (ROOT / name).exists()]


def pages() -> list[Page]:
    """Return every Markdown page of the repository."""
    files = [path for path in tracked_files() if path.suffix == ".md"]
    return [Page(path, (ROOT / path).read_text(encoding="utf-8")) for path in sorted(files)]
