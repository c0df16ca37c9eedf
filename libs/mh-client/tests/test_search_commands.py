"""`mh search` and `mh similar`: what they send, and what they print."""

import json

from mh_devtools.stubs.platform_stub import ACUTE, StubPlatform
from mh_devtools.testing.fixtures import RunCommand


def test_search_sends_its_options_and_prints_explanations(stub: StubPlatform, mh: RunCommand) -> None:
    ways = ("--mode", "keyword", "--all-answers", "--plain", "--explain", "--created-after", "2026-03-01", "--id", 7)
    risk = ("--risk-level", "elevated", "--risk-level", "acute")
    advice = ("--unsafe-advice", "medication", "--unsafe-advice", "leaving_alone")
    output = mh("search", "bus", *ways, *risk, *advice)[1]
    assert "  evidence 0.460: text 0.610 (rank 3), keywords 0.000 (rank none), fusion 0.300 (rank 1)\n" in output
    assert "\n  risk: elevated · unsafe advice: medication\n" in output
    assert stub.queries[-1] == {
        "query": "bus",
        "limit": 10,
        "mode": "keyword",
        "group_by": "none",
        "plain_query": True,
        "explain": True,
        "created_after": "2026-03-01T00:00:00Z",
        "risk_level": ["elevated", "acute"],
        "unsafe_advice": ["medication", "leaving_alone"],
        "ids": [7],
    }


def test_search_says_first_what_was_noticed(stub: StubPlatform, mh: RunCommand) -> None:
    stub.noticed = ACUTE
    first, blank, hit = mh("search", "take them all tonight")[1].splitlines()[:3]
    assert (first, blank) == ("[Notice] Acute risk noticed: suicide (“take them all tonight”). Act first.", "")
    assert hit.startswith("0.750  conversation 7")
    assert json.loads(mh("search", "take them all tonight", "--json")[1])["risk"]["level"] == "acute"
    stub.noticed = None
    assert mh("search", "bus")[1].startswith("[Notice] This question was not screened for risk.")


def test_search_reports_irrelevant_results(stub: StubPlatform, mh: RunCommand) -> None:
    assert mh("search", "off topic")[1].endswith("None of these results seems relevant.\n")


def test_similar_starts_from_a_conversation(stub: StubPlatform, mh: RunCommand) -> None:
    assert mh("similar", 7, "--limit", 3) == (0, "Nothing found.\n", "")
    assert stub.queries[-1] == {"id": 7, "limit": "3", "similarity_threshold": "0.0"}
