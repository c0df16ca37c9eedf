"""Metrics of searches and answers."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Literal

from mh_common.metrics import FAST_BUCKETS, SLOW_BUCKETS, Counter, Histogram
from mh_common.models import CheckedSentence, UnsafeAdvice, Usage, Withheld
from mh_common.tracing import span

_MILLION: Final = 1_000_000

PART_SECONDS: Final = Histogram(
    "mh_search_part_duration_seconds",
    "Duration of one part of a search: embed the query, search the index, fetch the texts.",
    ("part",),
    buckets=FAST_BUCKETS,
)
PART_FAILURES: Final = Counter("mh_search_part_failures_total", "Failed parts of searches.", ("part",))
HITS: Final = Histogram("mh_search_hits", "Number of hits of a search.", buckets=(0, 1, 2, 3, 5, 10, 20, 50, 100))
TOP_SCORE: Final = Histogram(
    "mh_search_top_score",
    "Score of the best hit of a search, from 0 to 1; searches without hits are not counted.",
    buckets=tuple(step / 10 for step in range(1, 11)),
)
STALE_HITS: Final = Counter(
    "mh_search_stale_hits_total", "Hits dropped because their conversation was deleted or changed since indexing."
)
ANSWERS: Final = Counter(
    "mh_answers_total",
    "Answers by kind: llm, extractive, none (nothing relevant found) or failed.",
    ("kind",),
)
LLM_CALLS: Final = Counter(
    "mh_llm_calls_total",
    "Calls of the language model by outcome: ok, unavailable, timeout, refused, or abandoned by the client.",
    ("outcome",),
)
LLM_SECONDS: Final = Histogram(
    "mh_llm_call_duration_seconds", "Duration of a call of the language model.", buckets=SLOW_BUCKETS
)
LLM_TOKENS: Final = Counter(
    "mh_llm_tokens_total", "Tokens as counted by the language model, by kind: prompt or completion.", ("kind",)
)
LLM_COST: Final = Counter(
    "mh_llm_cost_total",
    "Estimated cost of these tokens, in the currency of OPENAI_PROMPT_PRICE; absent without a price.",
    ("kind",),
)
RISK_SCREENINGS: Final = Counter(
    "mh_risk_screenings_total",
    "Screenings for risk by text (question or answer) and level: none, low, elevated, acute, or failed.",
    ("text", "level"),
)
RISK_CATEGORIES: Final = Counter(
    "mh_risk_categories_total", "Categories of elevated and acute risk noticed in questions.", ("category",)
)
UNSAFE_SENTENCES: Final = Counter(
    "mh_unsafe_sentences_total",
    "Sentences of the language model that were left out, or for which all was withheld, by kind of unsafe advice.",
    ("kind",),
)
ANSWERS_WITHHELD: Final = Counter(
    "mh_answers_withheld_total",
    "Answers of the language model that were withheld, by reason: unsafe_advice or risk_not_addressed.",
    ("reason",),
)
CHECK_SECONDS: Final = Histogram(
    "mh_answer_check_duration_seconds",
    "Duration of holding an answer's sentences against the sources that they cite.",
    buckets=FAST_BUCKETS,
)
CHECK_FAILURES: Final = Counter(
    "mh_answer_check_failures_total", "Answers whose sentences could not be checked, as the embedding model failed."
)
SENTENCES: Final = Counter(
    "mh_answer_sentences_total",
    "Sentences of the language model by support: supported, unsupported, uncited or not_checked.",
    ("support",),
)


BACKGROUND_PROMPTS: Final = Counter(
    "mh_background_prompts_total",
    "Background prompts of chat programs that are for the language model, by task and outcome: written, or why not.",
    ("task", "outcome"),
)


@contextmanager
def search_part(part: Literal["embed", "search", "fetch"]) -> Iterator[None]:
    """Record the block as one part of a search."""
    with span(f"search {part}"), PART_SECONDS.labels(part).time():
        try:
            yield
        except Exception:
            PART_FAILURES.labels(part).inc()
            raise


def count_search(scores: Sequence[float]) -> None:
    """Count a search by the scores of its hits, best first."""
    HITS.observe(len(scores))
    if scores:
        TOP_SCORE.observe(scores[0])


@contextmanager
def answer_check() -> Iterator[None]:
    """Record the block as the check of one answer."""
    with span("check answer"), CHECK_SECONDS.time():
        yield


def count_sentences(checked: Sequence[CheckedSentence]) -> None:
    """Count the sentences of an answer by whether their sources support them."""
    for sentence in checked:
        SENTENCES.labels(sentence.support.value).inc()


def count_left_out(left_out: Sequence[UnsafeAdvice], withheld: Withheld | None) -> None:
    """Count the sentences of a language model that were left out of an answer, and the answer if it was withheld."""
    for kind in left_out:
        UNSAFE_SENTENCES.labels(kind.value).inc()
    if withheld is not None:
        ANSWERS_WITHHELD.labels(withheld.value).inc()


def count_tokens(usage: Usage, prompt_price: float, completion_price: float) -> None:
    """Count tokens and, given prices per million tokens, their cost."""
    for kind, tokens, price in (
        ("prompt", usage.prompt_tokens, prompt_price),
        ("completion", usage.completion_tokens, completion_price),
    ):
        LLM_TOKENS.labels(kind).inc(tokens)
        if price:
            LLM_COST.labels(kind).inc(tokens * price / _MILLION)
