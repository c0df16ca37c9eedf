"""docs/integrations.md lists the same filterable fields and operators as the code."""

import re
from pathlib import Path

from mh_common.fields import BY_NAME, NAMES
from rag_api.integrations.dify.filters import operators_for

DOCUMENT = Path(__file__).resolve().parents[4] / "docs" / "integrations.md"


def section(title: str) -> str:
    return DOCUMENT.read_text(encoding="utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_the_table_of_dify_operators_matches_the_code() -> None:
    rows = re.findall(r"^\| (.+) \| (.+) \|$", section("Dify"), re.MULTILINE)
    operators = {name: set(taken.split(", ")) for names, taken in rows for name in re.findall("`([^`]+)`", names)}
    [of_all] = [set(taken.split(", ")) for names, taken in rows if names == "all"]
    assert operators.keys() == set(NAMES)
    for name, taken in operators.items():
        assert taken | of_all == set(operators_for(BY_NAME[name])), name


def test_every_vector_store_attribute_is_documented() -> None:
    [item] = [item for item in section("Open WebUI, and OpenAI's clients").split("\n- ") if "Vector store" in item]
    assert set(NAMES) <= set(re.findall("`([^`]+)`", item))
