"""Prompts, rendered from the Jinja templates in `rag_api/prompts`."""

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from mh_common.models import Source

from rag_api.answers.sentences import cut


@dataclass(frozen=True)
class Prompt:
    """What a language model is given: its task, and the question with the conversations."""

    system: str
    user: str


@dataclass(frozen=True)
class Excerpt:
    """What of a source stands in the prompt. `number` is its citation; `is_cut` tells that text was left out."""

    number: int
    question: str
    answer: str
    is_cut: bool


class Prompts:
    """Renders prompts.

    All text of users stands between fences: lines that carry a random mark, new for each prompt and in none of its
    texts. No text can therefore close its fence and speak as the instructions do.

    Args:
        environment: made with `make_environment`.
        max_context_chars: most characters of the sources in one prompt.
        make_mark: makes a mark that nobody can guess.
    """

    def __init__(
        self,
        environment: Environment,
        max_context_chars: int,
        make_mark: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        self._system = environment.get_template("answer_system.jinja")
        self._user = environment.get_template("answer_user.jinja")
        self._max_context_chars = max_context_chars
        self._make_mark = make_mark

    def answer(self, question: str, sources: Sequence[Source]) -> Prompt:
        """Render the prompt that asks for an answer grounded in `sources`, the most similar first."""
        excerpts = fit(sources, self._max_context_chars)
        texts = [question, *(text for one in excerpts for text in (one.question, one.answer))]
        values = {"mark": self._unused_mark(texts), "question": question, "conversations": excerpts}
        return Prompt(system=self._system.render(values), user=self._user.render(values))

    def _unused_mark(self, texts: Iterable[str]) -> str:
        texts = list(texts)
        mark = self._make_mark()
        while any(mark in text for text in texts):
            mark = self._make_mark()
        return mark


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


def fit(sources: Sequence[Source], max_chars: int) -> list[Excerpt]:
    """Cut the sources' texts to `max_chars` characters in all, by whole sentences.

    The budget is spent from the most similar source on, so that what is over is left out at the end of the least
    similar ones; a source of whose answer nothing fits is left out. Where a source does not fit as a whole its question
    takes at most half of what is left, since the advice is in the answer.
    """
    excerpts = []
    left = max_chars
    for number, source in enumerate(sources, start=1):
        whole = len(source.question) + len(source.answer) <= left
        question = source.question if whole else cut(source.question, left // 2)
        answer = source.answer if whole else cut(source.answer, left - len(question))
        if answer:
            left -= len(question) + len(answer)
            excerpts.append(Excerpt(number, question, answer, is_cut=not whole))
    return excerpts
