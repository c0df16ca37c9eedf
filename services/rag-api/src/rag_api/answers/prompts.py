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

from rag_api.answers.context import BOUNDARY_TOKENS, Excerpt, pack_context
from rag_api.answers.markup import strip_invisible
from rag_api.answers.tokens import TokenCounter, count_tokens, utf8_size

VERSION: Final = "2"
"""Version of all templates; increase it when a template changes after a release."""

MESSAGE_TOKENS: Final = 16
"""Maximum tokens of the role markers of two messages."""

MIN_SOURCE_TOKENS: Final = 256
"""Minimum token budget for sources; with less, a prompt is not worth sending."""

REWRITTEN_QUERY_TOKENS: Final = 256
"""Tokens reserved for the rewritten query of one or two sentences."""

SHORT_TEXT_BYTES: Final = 512
"""Bytes up to which a text is not tokenized: each byte counts as a token."""

# The nonce with the most tokens: one per character.
_LONGEST_NONCE: Final = "," * 16

_TEMPLATES: Final = ("answer_system", "answer_user", "condense_system", "condense_user")

# What looks like a fence, or like the role markers that chat templates of open models use in plain text.
_FENCES = re.compile(r"<{2,}|>{2,}")
_ROLE_MARKERS = re.compile(r"<(?=[/|!A-Za-z_])|\|(?=>)|\[(?=/?INST\])")


class QuestionTooLongError(DomainError):
    """The question leaves no room for sources in the language model's context window."""


@dataclass(frozen=True)
class PromptIdentity:
    """Which prompts an answer was generated with: their version, and the SHA-256 of the templates in hexadecimal."""

    version: str
    template_hash: str


@dataclass(frozen=True)
class Prompt:
    """System and user message for a language model. `excerpts`: the text of the sources that it contains."""

    system: str
    user: str
    excerpts: tuple[Excerpt, ...] = ()


class Prompts:
    """Renders prompts.

    All untrusted text is fenced: it stands between lines that contain a random nonce, which is new for each prompt and
    occurs in none of its texts. So no text can close its fence and pose as instructions. Anything that merely looks
    like a fence or like another role is broken up.

    Args:
        environment: made with `make_environment`.
        counter: counts tokens.
        budget: maximum tokens of a prompt.
        make_nonce: returns an unguessable string of at most 16 ASCII characters.
    """

    def __init__(
        self,
        environment: Environment,
        counter: TokenCounter,
        budget: int,
        make_nonce: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        self._templates = {name: environment.get_template(f"{name}.jinja") for name in _TEMPLATES}
        self._counter = counter
        self._budget = budget - MESSAGE_TOKENS
        self._make_nonce = make_nonce
        self.identity = PromptIdentity(VERSION, _hash(environment))
        bare = {"mark": _LONGEST_NONCE, "question": "", "standalone": "", "instructions": "", "conversations": []}
        self._answer_tokens = self._count("answer", **bare)
        empty = Excerpt(number=20, question="", answer="", is_cut=True)
        self._excerpt_tokens = self._count("answer", **{**bare, "conversations": [empty]}) - self._answer_tokens
        self._instruction_tokens = self._count("answer", **{**bare, "instructions": "."}) - self._answer_tokens
        self._standalone_tokens = self._count("answer", **{**bare, "standalone": "."}) - self._answer_tokens
        self._rewrite_tokens = self._count("condense", mark=_LONGEST_NONCE, question="", turns=[])
        turn = {"role": "assistant", "content": ""}
        one_turn = self._count("condense", mark=_LONGEST_NONCE, question="", turns=[turn])
        self._turn_tokens = one_turn - self._rewrite_tokens

    def answer(
        self, question: str, sources: Sequence[Source], standalone: str | None = None, instructions: str = ""
    ) -> Prompt:
        """Render the prompt for an answer grounded in `sources`, most similar first.

        `standalone` is the rewritten query if the question is a follow-up; `instructions` come from the client program
        that the counselor uses. There are no excerpts if every source begins with a sentence too long for the context
        window.

        Raises:
            QuestionTooLongError: the question leaves no room for sources.
        """
        question, standalone, instructions = (
            sanitize_input(question),
            sanitize_input(standalone or ""),
            sanitize_input(instructions),
        )
        source_budget = self.source_budget(question, standalone, instructions)
        if source_budget < MIN_SOURCE_TOKENS:
            raise QuestionTooLongError(
                "The question is too long for the language model: it leaves no room for conversations in the context "
                "window. Shorten the question" + (" or the instructions." if instructions else ".")
            )
        cleaned = [
            source.model_copy(
                update={"question": sanitize_input(source.question), "answer": sanitize_input(source.answer)}
            )
            for source in sources
        ]
        excerpts = pack_context(cleaned, source_budget, self._counter, self._excerpt_tokens)
        texts = [question, standalone, instructions, *(text for one in excerpts for text in (one.question, one.answer))]
        values = {
            "question": question,
            "standalone": standalone,
            "instructions": instructions,
            "conversations": excerpts,
        }
        return replace(self._render("answer", texts, **values), excerpts=tuple(excerpts))

    def source_budget(self, question: str, standalone: str = "", instructions: str = "") -> int:
        """Return the tokens left for sources in a prompt with this question; negative if not even the question fits."""
        instruction_tokens = self._instruction_tokens + self._token_bound(instructions) if instructions else 0
        standalone_tokens = self._standalone_tokens + self._token_bound(standalone) if standalone else 0
        return self._budget - self._answer_tokens - self._token_bound(question) - standalone_tokens - instruction_tokens

    def rewrite_query(self, question: str, turns: Sequence[ConversationTurn]) -> Prompt:
        """Render the prompt for rewriting a follow-up question; the oldest turns are dropped if not all fit.

        Raises:
            QuestionTooLongError: the question alone fills the context window.
        """
        question = sanitize_input(question)
        remaining = self._budget - REWRITTEN_QUERY_TOKENS - self._rewrite_tokens - self._token_bound(question)
        if remaining < 0:
            raise QuestionTooLongError("The question is too long for the language model. Shorten the question.")
        kept: list[dict[str, str]] = []
        for turn in reversed(turns):
            content = sanitize_input(turn.content)
            remaining -= self._turn_tokens + self._token_bound(content)
            if remaining < 0:
                break
            kept.insert(0, {"role": turn.role, "content": content})
        return self._render("condense", [question, *(one["content"] for one in kept)], question=question, turns=kept)

    def _render(self, name: str, texts: Iterable[str], **values: Any) -> Prompt:
        values["mark"] = self._unused_nonce(list(texts))
        system, user = self._templates[f"{name}_system"], self._templates[f"{name}_user"]
        return Prompt(system=system.render(values), user=user.render(values))

    def _count(self, name: str, **values: Any) -> int:
        parts = (self._templates[f"{name}_{role}"].render(values) for role in ("system", "user"))
        return sum(count_tokens(self._counter, part) for part in parts)

    def _token_bound(self, text: str) -> int:
        """Return an upper bound of the tokens of an untrusted text; counting a short one is not worth it."""
        size = utf8_size(text)
        return BOUNDARY_TOKENS + (size if size <= SHORT_TEXT_BYTES else count_tokens(self._counter, text))

    def _unused_nonce(self, texts: Sequence[str]) -> str:
        nonce = self._make_nonce()
        while any(nonce in text for text in texts):
            nonce = self._make_nonce()
        return nonce


def sanitize_input(text: str) -> str:
    """Return the text without invisible characters and without anything that looks like a fence or a role marker."""
    text = _FENCES.sub(lambda run: ("\u2039" if run[0][0] == "<" else "\u203a") * len(run[0]), strip_invisible(text))
    return _ROLE_MARKERS.sub(lambda match: f"{match[0]} ", text)


def make_environment() -> Environment:
    """Return the Jinja environment of the prompts: undefined variables are errors, and nothing is escaped."""
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
