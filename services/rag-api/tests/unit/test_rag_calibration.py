"""How evidence becomes a score: in order, from 0 to 1, and less the closer others come."""

import math

import pytest
from mh_common.models import SearchMode
from rag_api.search.calibration import KEYWORD_CALIBRATION, MODEL_CALIBRATIONS, RIVALS, Calibration, calibrations
from rag_api.settings import SearchSettings

ALL = [KEYWORD_CALIBRATION, *(one for modes in MODEL_CALIBRATIONS.values() for one in modes.values())]
EVIDENCE = [1.2, 0.9, 0.7, 0.55, 0.5, 0.45, 0.3, 0.1, 0.0, -0.4]


@pytest.mark.parametrize("calibration", ALL)
def test_more_evidence_is_a_higher_score_and_all_questions_together_are_at_most_certain(
    calibration: Calibration,
) -> None:
    rivals = calibration.rivals(EVIDENCE)
    scores = [calibration.score(one, rivals) for one in EVIDENCE]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == len(scores)
    assert 0 < sum(scores) < 1
    relevance = [calibration.relevance(one) for one in EVIDENCE]
    assert relevance == sorted(relevance, reverse=True)
    assert all(0 <= score <= whole <= 1 for score, whole in zip(scores, relevance, strict=True))


@pytest.mark.parametrize("calibration", ALL)
def test_the_same_evidence_means_less_among_others_like_it(calibration: Calibration) -> None:
    alone, beside_one, beside_ten = (calibration.score(0.6, calibration.rivals([0.6] * count)) for count in (1, 2, 11))
    assert alone == pytest.approx(calibration.relevance(0.6))
    assert alone > beside_one > beside_ten
    assert beside_ten < 0.1


def test_the_formula() -> None:
    calibration = Calibration(slope=10, offset=-5)
    nothing, better, worse = math.exp(5), math.exp(8), math.exp(6)
    rivals = calibration.rivals([0.6, 0.8])
    assert calibration.score(0.6, rivals) == pytest.approx(worse / (nothing + better + worse))
    assert calibration.relevance(0.8) == pytest.approx(better / (nothing + better))


def test_a_hit_found_later_and_better_than_all_others_is_not_more_than_certain() -> None:
    calibration = Calibration(slope=20, offset=-9)
    rivals = calibration.rivals([0.5, 0.4])
    later = [calibration.score(one, rivals) for one in (0.5, 0.6, 0.9, 5.0)]
    assert later == sorted(later)
    assert later[-1] <= 1


def test_rivals_far_down_do_not_depend_on_how_many_were_found() -> None:
    calibration = Calibration(slope=20, offset=-9)
    assert calibration.rivals([0.5] * RIVALS) == calibration.rivals([0.5] * (RIVALS + 300))


def test_extreme_settings_do_not_overflow() -> None:
    for slope, offset in ((1e6, -1e6), (1e-9, 1e6), (1e6, 1e6)):
        calibration = Calibration(slope, offset)
        rivals = calibration.rivals(EVIDENCE)
        assert all(0 <= calibration.score(one, rivals) <= 1 for one in EVIDENCE)


def test_an_unknown_model_has_no_calibration_but_that_of_words() -> None:
    assert calibrations("unheard-of", SearchSettings()) == {SearchMode.KEYWORD: KEYWORD_CALIBRATION}
    known = calibrations("all-MiniLM-L6-v2", SearchSettings())
    assert set(known) == set(SearchMode)
    assert known[SearchMode.KEYWORD].threshold is None
    assert all(0 < (known[mode].threshold or 0) < 1 for mode in (SearchMode.HYBRID, SearchMode.SEMANTIC))


def test_settings_override_the_calibration_of_the_hybrid_mode() -> None:
    measured = SearchSettings(slope=12.0, offset=-4.0)
    for model in ("unheard-of", "all-MiniLM-L6-v2"):
        assert calibrations(model, measured)[SearchMode.HYBRID] == Calibration(12.0, -4.0)
