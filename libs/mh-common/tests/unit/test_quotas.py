"""Quotas, and how settings change them."""

import pytest
from mh_common.access_settings import RateSettings
from mh_common.auth.quotas import DEFAULTS, changed
from mh_common.auth.roles import Scope
from pydantic import ValidationError


def test_each_scope_that_somebody_can_have_has_a_quota() -> None:
    assert {quota.scope for quota in DEFAULTS} == {*Scope, None} - {Scope.INTERNAL, Scope.ON_BEHALF_OF}


def test_a_text_changes_some_quotas_and_ends_others() -> None:
    quotas = changed(" search:minute = 7,answers:day=none, ")
    assert (quotas["search:minute"].most, quotas["search:minute"].seconds) == (7, 60)
    assert "answers:day" not in quotas
    assert len(quotas) == len(DEFAULTS) - 1
    assert quotas["conversations:export:hour"].seconds == 3600
    assert changed(" none ") == {}


@pytest.mark.parametrize(
    "text", ["search", "search:minute=0", "search:minute=-1", "search:hour=5", "search:minute=5/s", "typo:minute=5"]
)
def test_what_is_no_quota_is_refused_at_the_start(text: str) -> None:
    with pytest.raises(ValidationError, match=r"must (name quotas among|look like)"):
        RateSettings(limits=text)
