"""Prompts, rendered from the Jinja templates in `rag_api/prompts`."""

import hashlib
import re
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from mh_common.errors import DomainError
from mh_common.models import ConversationTurn, Source

from rag_api.answers.context import BOUNDARY_TOKENS, CHARACTERS_PER_TOKEN, Excerpt, pack_context
from rag_api.answers.tokens import TokenCounter, count_tokens, utf8_size
from rag_api.texts.markup import strip_invisible

VERSION: Final = "4"
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

_TEMPLATES: Final = (
    *("answer_system", "answer_user", "condense_system", "condense_user"),
    *("background_system", "background_user"),
)

MAX_BACKGROUND_TURNS: Final = 6
MAX_BACKGROUND_TURN_LENGTH: Final = 2000
"""The latest turns of a chat, and the first characters of each, that a background prompt is about."""

SPARE_CHARACTERS: Final = 4000
"""What is prepared beyond the longest text that can fit, so that nothing which is cut there is in a prompt."""

Prepare = Callable[[str], str]
"""Makes a text fit to be sent, such as `OutgoingTexts.prepare`; raises an error if it must not be."""

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


class BackgroundTask(StrEnum):
    """What a chat program wants for a chat, by the field of its JSON."""

    TITLE = "title"
    TAGS = "tags"
    FOLLOW_UPS = "follow_ups"


class _Cleaner:
    """Cleans the untrusted texts of one prompt, and prepares them for sending.

    Only then: an invisible character could hide a name from the recognizer.
    """

    def __init__(self, prepare: Prepare | None) -> None:
        self._prepare = prepare
        self.has_placeholders = False

    def clean(self, text: str) -> str:
        """Return the text as it may stand in the prompt."""
        cleaned = sanitize_input(text)
        if self._prepare is None or not cleaned:
            return cleaned
        prepared = self._prepare(cleaned)
        self.has_placeholders = self.has_placeholders or prepared != cleaned
        return prepared


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
        texts = dict.fromkeys(("question", "standalone", "instructions"), "")
        bare: dict[str, Any] = {"mark": _LONGEST_NONCE, **texts, "conversations": [], "placeholders": False}
        self._answer_tokens = self._count("answer", **bare)
        empty = Excerpt(number=20, question="", answer="", is_cut=True)
        self._excerpt_tokens = self._count("answer", **{**bare, "conversations": [empty]}) - self._answer_tokens
        self._instruction_tokens = self._count("answer", **{**bare, "instructions": "."}) - self._answer_tokens
        self._standalone_tokens = self._count("answer", **{**bare, "standalone": "."}) - self._answer_tokens
        self._placeholder_tokens = self._count("answer", **{**bare, "placeholders": True}) - self._answer_tokens
        empty_rewrite = {"mark": _LONGEST_NONCE, "question": "", "turns": [], "placeholders": False}
        self._rewrite_tokens = self._count("condense", **empty_rewrite)
        turn = {"role": "assistant", "content": ""}
        self._turn_tokens = self._count("condense", **{**empty_rewrite, "turns": [turn]}) - self._rewrite_tokens
        empty_background = {"mark": _LONGEST_NONCE, "turns": [], "placeholders": True}
        self._background_tokens = max(
            self._count("background", task=task, **empty_background) for task in BackgroundTask
        )

    def answer(
        self,
        question: str,
        sources: Sequence[Source],
        standalone: str | None = None,
        instructions: str = "",
        prepare: Prepare | None = None,
    ) -> Prompt:
        """Render the prompt for an answer grounded in `sources`, most similar first.

        `standalone` is the rewritten query if the question is a follow-up; `instructions` come from the client program
        that the counselor uses. There are no excerpts if every source begins with a sentence too long for the context
        window. `prepare` is applied to every text but our own; its errors are raised.

        Raises:
            QuestionTooLongError: the question leaves no room for sources.
        """
        cleaner = _Cleaner(prepare)
        question, standalone, instructions = map(cleaner.clean, (question, standalone or "", instructions))
        source_budget = self.source_budget(question, standalone, instructions)
        if prepare is not None:
            source_budget -= self._placeholder_tokens
        if source_budget < MIN_SOURCE_TOKENS:
            raise QuestionTooLongError(
                "The question is too long for the language model: it leaves no room for conversations in the context "
                "window. Shorten the question" + (" or the instructions." if instructions else ".")
            )
        # More than can fit: looking through the rest would take long, and it is left out anyway.
        length = CHARACTERS_PER_TOKEN * self._budget + SPARE_CHARACTERS if prepare is not None else None
        cleaned = [
            source.model_copy(
                update={
                    "question": cleaner.clean(source.question[:length]),
                    "answer": cleaner.clean(source.answer[:length]),
                }
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
            "placeholders": cleaner.has_placeholders,
        }
        return replace(self._render("answer", texts, **values), excerpts=tuple(excerpts))

    def source_budget(self, question: str, standalone: str = "", instructions: str = "") -> int:
        """Return the tokens left for sources in a prompt with this question; negative if not even the question fits."""
        instruction_tokens = self._instruction_tokens + self._token_bound(instructions) if instructions else 0
        standalone_tokens = self._standalone_tokens + self._token_bound(standalone) if standalone else 0
        return self._budget - self._answer_tokens - self._token_bound(question) - standalone_tokens - instruction_tokens

    def rewrite_query(self, question: str, turns: Sequence[ConversationTurn], prepare: Prepare | None = None) -> Prompt:
        """Render the prompt for rewriting a follow-up question; the oldest turns are dropped if not all fit.

        `prepare` as in `answer`.

        Raises:
            QuestionTooLongError: the question alone fills the context window.
        """
        cleaner = _Cleaner(prepare)
        question = cleaner.clean(question)
        remaining = self._budget - REWRITTEN_QUERY_TOKENS - self._rewrite_tokens - self._token_bound(question)
        if prepare is not None:
            remaining -= self._placeholder_tokens
        if remaining < 0:
            raise QuestionTooLongError("The question is too long for the language model. Shorten the question.")
        kept = self._latest_turns(((turn.role, cleaner.clean(turn.content)) for turn in reversed(turns)), remaining)
        texts = [question, *(one["content"] for one in kept)]
        placeholders = cleaner.has_placeholders
        return self._render("condense", texts, question=question, turns=kept, placeholders=placeholders)

    def background(
        self, task: BackgroundTask, turns: Sequence[ConversationTurn], prepare: Prepare | None = None
    ) -> Prompt:
        """Render the prompt for a title, tags or follow-up questions of a chat, from its latest turns that fit.

        `prepare` as in `answer`.
        """
        cleaner = _Cleaner(prepare)
        length = MAX_BACKGROUND_TURN_LENGTH
        # Cut twice, so that what is cut in the middle of a name is not sent.
        latest = (
            (turn.role, cleaner.clean(turn.content[: 2 * length])[:length])
            for turn in reversed(turns[-MAX_BACKGROUND_TURNS:])
        )
        kept = self._latest_turns(latest, self._budget - self._background_tokens)
        texts, placeholders = [one["content"] for one in kept], cleaner.has_placeholders
        return self._render("background", texts, task=task.value, turns=kept, placeholders=placeholders)

    def _latest_turns(self, latest_first: Iterable[tuple[str, str]], remaining: int) -> list[dict[str, str]]:
        """Return the turns (role and content) that fit into this many tokens, the oldest first."""
        kept: list[dict[str, str]] = []
        for role, content in latest_first:
            remaining -= self._turn_tokens + self._token_bound(content)
            if remaining < 0:
                break
            kept.insert(0, {"role": role, "content": content})
        return kept

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
