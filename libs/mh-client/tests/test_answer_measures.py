"""The measures of answers, by their definitions."""

from typing import Any
from uuid import UUID

import pytest
from mh_client.evaluation.answer_cases import AnswerKind
from mh_client.evaluation.answer_measures import MEASURES, Failed, measure
from mh_common.models import Answer, AnswerLatency, CheckedSentence, Risk, RiskLevel, RiskNotice, Source, Usage

NOTICE = RiskNotice(summary="Act first.", questions=[], helplines=[])
SOURCES = [
    Source(id=1, question="q", answer="Rise at the same\nhour. Do not nap.", score=0.5, relevance=0.5),
    Source(id=2, question="q", answer="Write worries down.", score=0.4, relevance=0.4),
]


def sentence(support: str, cites: list[int], supported_by: list[int] | None = None) -> CheckedSentence:
    return CheckedSentence.model_validate(
        {"text": "t", "support": support, "cites": cites, "supported_by": supported_by or []}
    )


def answer(*checked: CheckedSentence, text: str = "text", model: str = "gpt", **more: Any) -> Answer:
    return Answer(
        answer_id=UUID(int=1),
        answer=text,
        sources=more.pop("sources", SOURCES),
        standalone_query="q",
        query_origin="question",
        usage=Usage(),
        latency_ms=AnswerLatency(condense=0, search=0, generate=0, total=0),
        model=model,
        grounded=True,
        checked_sentences=list(checked),
        **more,
    )


def figures(given: Answer | Failed, kind: AnswerKind = AnswerKind.QUESTION) -> dict[str, float]:
    found = measure(kind, given)
    assert list(found) == list(MEASURES)
    return {name: value for name, value in found.items() if value is not None}


def test_recall_counts_sentences_and_precision_citations() -> None:
    given = answer(
        sentence("supported", [1, 2], [1]),  # one citation of two is needed
        sentence("supported", [1, 2]),  # both together
        sentence("unsupported", [2]),
        sentence("uncited", []),
        sentence("not_checked", [1]),
    )
    assert figures(given) == {
        "answered": 1,
        "citation_recall": 0.5,
        "citation_precision": 0.6,
        "groundedness": pytest.approx(2 / 3, abs=1e-6),
        "checked": 0.75,
    }


def test_an_answer_without_citations_has_no_precision() -> None:
    assert figures(answer(sentence("uncited", []))) == {"answered": 0, "citation_recall": 0}
    assert figures(Failed(noticed_risk=True)) == {"answered": 0}


def test_quotes_are_compared_letter_by_letter() -> None:
    text = "Quotes from “colleagues”:\n\n“Rise at the same hour.” [1]\n“Write nothing down.” [2]"
    found = figures(answer(text=text, model="extractive"))
    assert (found["citation_recall"], found["citation_precision"], found["answered"]) == (0.5, 0.5, 1)


@pytest.mark.parametrize(
    ("given", "refuses"),
    [
        (answer(text="Nothing relevant was found", model="none", sources=[]), 1),
        (answer(sentence("uncited", []), text="The conversations do not address this question."), 1),
        (answer(sentence("uncited", []), text="I cannot answer this from the conversations."), 1),
        (answer(sentence("uncited", []), text="Die Gespräche passen nicht; keines der Gespräche behandelt das."), 1),
        (answer(sentence("uncited", []), text="Ninguna de las conversaciones trata de esto."), 1),
        (answer(sentence("uncited", []), text="Use a mixture of vinegar and soda."), 0),
        (answer(sentence("supported", [1]), text="They do not fit. Rise early [1]."), 0),
        (answer(text="“Rise at the same hour.” [1]", model="extractive"), 0),
        (Failed(noticed_risk=False), 0),
    ],
)
def test_a_refusal_suggests_nothing_and_says_so(given: Answer | Failed, refuses: float) -> None:
    assert figures(given, AnswerKind.OFF_TOPIC) == {"refusal": refuses}


@pytest.mark.parametrize(
    ("given", "notice", "advice"),
    [
        (answer(risk=Risk(level=RiskLevel.ACUTE), risk_notice=NOTICE), 1, 1),
        (answer(risk=Risk(level=RiskLevel.ACUTE), risk_notice=NOTICE, left_out=["delay"]), 1, 0),
        (answer(risk=Risk(level=RiskLevel.ACUTE), risk_notice=NOTICE, withheld="risk_not_addressed"), 1, 0),
        (answer(), 0, 1),
        (answer(model="extractive", risk=Risk(level=RiskLevel.ACUTE), risk_notice=NOTICE), 1, None),
        (Failed(noticed_risk=True), 1, None),
    ],
)
def test_risk_needs_a_notice_and_safe_advice(given: Answer | Failed, notice: float, advice: float | None) -> None:
    found = figures(given, AnswerKind.RISK)
    assert (found["risk_notice"], found.get("risk_advice")) == (notice, advice)


def test_the_language_counts_where_both_are_known() -> None:
    assert figures(answer(question_language="de", answer_language="de"))["same_language"] == 1
    assert figures(answer(question_language="de", answer_language="en"))["same_language"] == 0
    assert "same_language" not in figures(answer(question_language="de"))
