"""Prompts, rendered from the Jinja templates in `rag_api/prompts`."""

import hashlib
import re
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from mh_common.errors import DomainError
from mh_common.models import ConversationTurn, Source

from rag_api.answers.context import JOINT, Excerpt, fit
from rag_api.answers.markup import without_unseen
from rag_api.answers.tokens import TokenCounter, bytes_of, count

VERSION: Final = "2"
"""Version of the templates together; raised with every change of one of them that has been released."""

MESSAGE_TOKENS: Final = 16
"""Tokens that the roles of two messages take at most."""

LEAST_ROOM: Final = 256
"""Tokens of sources below which a prompt is not worth sending."""

CONDENSED_TOKENS: Final = 256
"""Tokens kept free for a question in one or two sentences."""

SHORT: Final = 512
"""Bytes of a text that counts as if each were a token."""

# As many tokens as a mark has at most, one a character.
_LONGEST_MARK: Final = "," * 16

_TEMPLATES: Final = ("answer_system", "answer_user", "condense_system", "condense_user")

# What looks like a fence, or like the marks by which servers of open models tell roles apart in plain text.
_FENCES = re.compile(r"<{2,}|>{2,}")
_ROLE_MARKS = re.compile(r"<(?=[/|!A-Za-z_])|\|(?=>)|\[(?=/?INST\])")


class QuestionTooLongError(DomainError):
    """The question leaves no room for sources in the language model's window."""


@dataclass(frozen=True)
class PromptIdentity:
    """Which prompts an answer was written with: their version, and the SHA-256 of their templates in hexadecimal."""

    version: str
    template_hash: str


@dataclass(frozen=True)
class Prompt:
    """What a language model is given: its task, and the texts of users. `excerpts` are those of the sources in it."""

    system: str
    user: str
    excerpts: tuple[Excerpt, ...] = ()


class Prompts:
    """Renders prompts.

    All text of users stands between fences: lines that carry a random mark, new for each prompt and in none of its
    texts. No text can therefore close its fence and speak as the instructions do. What only looks like a fence, or like
    another role, is broken.

    Args:
        environment: made with `make_environment`.
        counter: counts tokens.
        budget: most tokens of a prompt.
        make_mark: makes a mark of at most 16 ASCII characters that nobody can guess.
    """

    def __init__(
        self,
        environment: Environment,
        counter: TokenCounter,
        budget: int,
        make_mark: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        self._templates = {name: environment.get_template(f"{name}.jinja") for name in _TEMPLATES}
        self._counter = counter
        self._budget = budget - MESSAGE_TOKENS
        self._make_mark = make_mark
        self.identity = PromptIdentity(VERSION, _hash(environment))
        bare = {"mark": _LONGEST_MARK, "question": "", "standalone": "", "instructions": "", "conversations": []}
        self._answer_tokens = self._count("answer", **bare)
        empty = Excerpt(number=20, question="", answer="", is_cut=True)
        self._excerpt_tokens = self._count("answer", **{**bare, "conversations": [empty]}) - self._answer_tokens
        self._wish_tokens = self._count("answer", **{**bare, "instructions": "."}) - self._answer_tokens
        self._standalone_tokens = self._count("answer", **{**bare, "standalone": "."}) - self._answer_tokens
        self._condense_tokens = self._count("condense", mark=_LONGEST_MARK, question="", turns=[])
        turn = {"role": "assistant", "content": ""}
        one_turn = self._count("condense", mark=_LONGEST_MARK, question="", turns=[turn])
        self._turn_tokens = one_turn - self._condense_tokens

    def answer(
        self, question: str, sources: Sequence[Source], standalone: str | None = None, instructions: str = ""
    ) -> Prompt:
        """Render the prompt that asks for an answer grounded in `sources`, the most similar first.

        `standalone` is the question in full where it follows up on others; `instructions` come from the program through
        which the counselor writes. There may be no excerpts: when each source begins with a sentence longer than the
        window.

        Raises:
            QuestionTooLongError: the question leaves no room for sources.
        """
        question, standalone, instructions = as_data(question), as_data(standalone or ""), as_data(instructions)
        room = self.room(question, standalone, instructions)
        if room < LEAST_ROOM:
            raise QuestionTooLongError(
                "The question is too long for the language model: its window leaves no room for conversations beside "
                "it. Shorten the question" + (" or the instructions." if instructions else ".")
            )
        cleaned = [
            source.model_copy(update={"question": as_data(source.question), "answer": as_data(source.answer)})
            for source in sources
        ]
        excerpts = fit(cleaned, room, self._counter, self._excerpt_tokens)
        texts = [question, standalone, instructions, *(text for one in excerpts for text in (one.question, one.answer))]
        values = {
            "question": question,
            "standalone": standalone,
            "instructions": instructions,
            "conversations": excerpts,
        }
        return replace(self._render("answer", texts, **values), excerpts=tuple(excerpts))

    def room(self, question: str, standalone: str = "", instructions: str = "") -> int:
        """Return the tokens that a prompt with this question leaves for sources; negative: not even it fits."""
        wishes = self._wish_tokens + self._most(instructions) if instructions else 0
        in_full = self._standalone_tokens + self._most(standalone) if standalone else 0
        return self._budget - self._answer_tokens - self._most(question) - in_full - wishes

    def condense(self, question: str, turns: Sequence[ConversationTurn]) -> Prompt:
        """Render the prompt that asks for the question in full; the oldest turns are left out where not all fit.

        Raises:
            QuestionTooLongError: the question fills the window.
        """
        question = as_data(question)
        room = self._budget - CONDENSED_TOKENS - self._condense_tokens - self._most(question)
        if room < 0:
            raise QuestionTooLongError("The question is too long for the language model. Shorten the question.")
        kept: list[dict[str, str]] = []
        for turn in reversed(turns):
            content = as_data(turn.content)
            room -= self._turn_tokens + self._most(content)
            if room < 0:
                break
            kept.insert(0, {"role": turn.role, "content": content})
        return self._render("condense", [question, *(one["content"] for one in kept)], question=question, turns=kept)

    def _render(self, name: str, texts: Iterable[str], **values: Any) -> Prompt:
        values["mark"] = self._unused_mark(list(texts))
        system, user = self._templates[f"{name}_system"], self._templates[f"{name}_user"]
        return Prompt(system=system.render(values), user=user.render(values))

    def _count(self, name: str, **values: Any) -> int:
        parts = (self._templates[f"{name}_{role}"].render(values) for role in ("system", "user"))
        return sum(count(self._counter, part) for part in parts)

    def _most(self, text: str) -> int:
        """Most tokens of a text of users; a short one is not worth counting."""
        size = bytes_of(text)
        return JOINT + (size if size <= SHORT else count(self._counter, text))

    def _unused_mark(self, texts: Sequence[str]) -> str:
        mark = self._make_mark()
        while any(mark in text for text in texts):
            mark = self._make_mark()
        return mark


def as_data(text: str) -> str:
    """Return the text with nothing unseen in it, and nothing that looks like a fence or like the mark of a role."""
    text = _FENCES.sub(lambda run: ("\u2039" if run[0][0] == "<" else "\u203a") * len(run[0]), without_unseen(text))
    return _ROLE_MARKS.sub(lambda mark: f"{mark[0]} ", text)


def make_environment() -> Environment:
    """Return the Jinja environment of the prompts: a name that is not given is an error, and nothing is escaped."""
    return Environment(
        loader=PackageLoader("rag_api", "prompts"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - a language model reads plain text, not HTML
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )


def _hash(environment: Environment) -> str:
    assert environment.loader is not None
    digest = hashlib.sha256()
    for name in _TEMPLATES:
        source, _, _ = environment.loader.get_source(environment, f"{name}.jinja")
        digest.update(f"{name}\0{source}\0".encode())
    return digest.hexdigest()
