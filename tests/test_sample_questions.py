"""The sample's questions: what they name exists, the halves follow their rule, and each kind of answer is asked for."""

import csv
import hashlib
from collections import Counter
from itertools import zip_longest

from mh_client.evaluation.answer_cases import read_questions
from mh_client.evaluation.cases import Case, read_queries
from mh_devtools.paths import SAMPLE

DEV = read_queries(SAMPLE / "counselor-dev.jsonl")
HELD_OUT = read_queries(SAMPLE / "counselor-heldout.jsonl")


def test_every_question_that_is_relevant_is_in_the_sample() -> None:
    with (SAMPLE / "conversations.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    questions = {row["question"].strip() for row in rows}
    for case in (*DEV.cases, *HELD_OUT.cases):
        assert case.relevant() <= questions, case.query
    assert {case.theme for case in DEV.cases} == {row["theme"] for row in rows}


def test_the_halves_alternate_within_each_theme_in_the_order_of_a_hash() -> None:
    def by_theme(cases: tuple[Case, ...]) -> dict[str, list[str]]:
        return {str(theme): [c.query for c in cases if c.theme == theme] for theme in {c.theme for c in cases}}

    dev, held_out = by_theme(DEV.cases), by_theme(HELD_OUT.cases)
    assert dev.keys() == held_out.keys()
    for theme, queries in dev.items():
        both = [query for pair in zip_longest(queries, held_out[theme]) for query in pair if query is not None]
        assert len(both) >= 8
        assert both == sorted(both, key=lambda query: hashlib.sha256(query.encode()).hexdigest())


def test_answers_are_asked_for_in_every_theme_off_topic_and_at_risk() -> None:
    cases = read_questions(SAMPLE / "answer-questions.jsonl").cases
    assert Counter(case.kind for case in cases) == {"question": 40, "off_topic": 12, "risk": 10}
    assert {case.theme for case in cases if case.kind == "question"} == {case.theme for case in DEV.cases}
    assert not {case.question for case in cases} & {case.query for case in (*DEV.cases, *HELD_OUT.cases)}
