"""The end of an answer: what is found in the complete text, what it took, and its record."""

import time
from datetime import UTC, datetime
from typing import Final

import structlog
from mh_common.embeddings.sent import recorded_requests
from mh_common.languages import language_of
from mh_common.models import AnswerDone, AnswerLatency, AnswerUsage, SentenceSupport

from rag_api import metrics
from rag_api.answers.generators import NO_MODEL, GenerationResult
from rag_api.answers.pending import PendingAnswer, Review, milliseconds
from rag_api.answers.quoting import EXTRACTIVE_MODEL
from rag_api.answers.records import AnswerRecord, RecordedHit, RecordQueue
from rag_api.answers.support import SupportCheck
from rag_api.safety.screening import ScreeningService

log = structlog.get_logger(__name__)

ANSWER_COMPLETED: Final = "answer_completed"


class Finisher:
    """Reviews complete texts, and counts, logs and records the answers.

    Args:
        screening: screens the texts for risk.
        support: holds the sentences of a language model against what they cite.
        records: receives complete answers; None: nothing is recorded.
    """

    def __init__(self, screening: ScreeningService, support: SupportCheck, records: RecordQueue | None = None) -> None:
        self._screening = screening
        self._support = support
        self._records = records

    async def review(self, pending: PendingAnswer, generated: GenerationResult) -> Review:
        """Return what is found in what a language model wrote, or in the quotes. Never raises."""
        if not generated.own_text:
            return Review()
        risk = await self._screening.screen_answer(generated.own_text)
        if not generated.cited_texts:
            return Review(risk)
        started = time.perf_counter()
        known = f"{pending.question}\n{pending.found.query.text}"
        with recorded_requests() as embedded:
            sentences = await self._support.check(generated.own_text, generated.cited_texts, known)
        pending.sent.add_embedded(embedded)
        return Review(
            risk, sentences, language_of(generated.own_text), check_ms=milliseconds(time.perf_counter() - started)
        )

    def finish(
        self,
        pending: PendingAnswer,
        text: str,
        generated: GenerationResult,
        review: Review,
        generate_ms: float,
    ) -> tuple[AnswerUsage, AnswerDone]:
        """Count, log and record a complete answer; return its last events.

        `text` is all that was shown, and `generate_ms` how long the generation took.
        """
        usage_event = AnswerUsage(
            usage=pending.found.query.usage + generated.usage,
            latency_ms=AnswerLatency(
                condense=pending.rewrite_ms,
                search=pending.search_ms,
                generate=generate_ms,
                check=review.check_ms,
                total=milliseconds(time.perf_counter() - pending.started),
            ),
        )
        done = _done(pending, generated, review)
        metrics.count_left_out(done.left_out, done.withheld)
        metrics.ANSWERS.labels(done.model if done.model in (NO_MODEL, EXTRACTIVE_MODEL) else "llm").inc()
        log.info(
            ANSWER_COMPLETED,
            answer_id=str(pending.answer_id),
            model=done.model,
            sources=len(pending.hits),
            query_origin=pending.found.query.origin,
            grounded=done.grounded,
            risk=pending.risk.risk.level.value,
            left_out=len(done.left_out),
            withheld=done.withheld,
            generate_ms=generate_ms,
            check_ms=review.check_ms,
            unsupported=sum(one.support is SentenceSupport.UNSUPPORTED for one in review.sentences),
            total_tokens=usage_event.usage.total_tokens,
        )
        if self._records is not None:
            self._records.add(_record(pending, text, usage_event, done))
        return usage_event, done


def _done(pending: PendingAnswer, generated: GenerationResult, review: Review) -> AnswerDone:
    return AnswerDone(
        model=generated.model,
        grounded=generated.grounding.grounded,
        uncited_sentences=list(generated.grounding.uncited_sentences),
        checked_sentences=list(review.sentences),
        question_language=language_of(pending.question),
        answer_language=review.language,
        prompt_version=generated.prompt.version if generated.prompt else None,
        template_hash=generated.prompt.template_hash if generated.prompt else None,
        cut_short=generated.cut_short,
        withheld=generated.withheld,
        left_out=list(generated.left_out),
        answer_risk=review.risk,
        sent=list(pending.sent.calls) if pending.show_sent else None,
    )


def _record(pending: PendingAnswer, text: str, usage_event: AnswerUsage, done: AnswerDone) -> AnswerRecord:
    return AnswerRecord(
        answer_id=pending.answer_id,
        user=pending.user,
        question=pending.question,
        standalone_query=pending.found.query.text,
        filters=pending.found.search.model_dump(
            mode="json", exclude={"query", "limit", "plain_query"}, exclude_defaults=True
        ),
        hits=tuple(RecordedHit(hit.id, hit.version, hit.score) for hit in pending.hits),
        answer=text,
        model=done.model,
        prompt_version=done.prompt_version,
        usage=usage_event.usage,
        latency_ms=usage_event.latency_ms,
        created_at=datetime.now(UTC),
        risk=pending.risk.risk,
        withheld=done.withheld,
    )
