"""The documents are correct: links, names, commands and numbers on every page, and the form of the decision records."""

import re
from pathlib import Path

import pytest
from mh_devtools.docs import decisions
from mh_devtools.docs.check import faults
from mh_devtools.docs.foreign import FOREIGN
from mh_devtools.docs.known import Known
from mh_devtools.docs.pages import Page, pages
from mh_devtools.paths import ROOT

PAGES = pages()


@pytest.fixture(scope="module")
def known() -> Known:
    return Known()


def found(known: Known, text: str, path: str = "docs/page.md") -> list[str]:
    return list(faults(Page(Path(path), text), known))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.path))
def test_a_page_names_only_what_there_is(page: Page, known: Known) -> None:
    assert list(faults(page, known)) == []


def test_route_descriptions_have_the_numbers_of_the_code(known: Known) -> None:
    assert found(known, "\n".join(known.route_descriptions)) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[a page](nowhere.md)", "nowhere.md, which does not exist"),
        ("[a part](reliability.md#nothing)", "points to a heading that docs/reliability.md does not have"),
        ("[a part](#nothing)", "points to a heading"),
        ("`services/rag-api/gone.py`", "is not a file or folder here"),
        ("`search/gone.py`", "is not a file or folder here"),
        ("`outbox/gone/`", "is not a file or folder here"),
        ("`.venv/bin/pytest tests/test_gone.py`", "is not a file here"),
        ("`mh_common.gone`", "is neither one of our modules nor defined in one"),
        ("`mh_common.web.problems.gone`", "is neither one of our modules nor defined in one"),
        ("`outbox.relay.gone`", "is neither one of our modules nor defined in one"),
        ("`database.Gone`", "is neither one of our modules nor defined in one"),
        ("`python -m mh_devtools.gone`", "The module mh_devtools.gone does not exist"),
        ("`gone_function()`", "does not occur in the code"),
        ("`GoneError`", "does not occur in the code"),
        ("`call gone_function(1)`", "`gone_function` in"),
        ("`make gone`", "`make gone` is not a target"),
        ("`make test GONE=1`", "has no variable GONE"),
        ("```sh\nmake gone\n```", "`make gone` is not a target"),
        ("`mh gone`", "has no command gone"),
        ("`mh index status|gone`", "has no command gone"),
        ('`mh search "words" --gone`', "`mh search` has no option --gone"),
        ("```sh\n.venv/bin/mh import --gone FILE\n```", "has no option --gone"),
        ("`DATABASE_GONE`", "DATABASE_GONE is neither a setting nor a constant"),
        ("Set RELAY_GONE.", "RELAY_GONE is neither a setting nor a constant"),
        ("`GET /api/v1/gone`", "`/api/v1/gone` is neither a route"),
        ("`DELETE /api/v1/search`", "`/api/v1/search` does not support DELETE"),
        ("`POST /internal/index/runs/{id}/gone`", "is neither a route"),
        ("```sh\ncurl http://127.0.0.1:8080/api/v1/gone\n```", "is neither a route"),
        ("`mh_gone_total`", "is not a metric"),
        ("See ADR 999.", "ADR 999 does not exist"),
        ("`RUN_LEASE` (60 s)", "RUN_LEASE is 30 in the code, not 60 s"),
        ("`RUN_LEASE`\n(60 s)", "RUN_LEASE is 30 in the code"),
        ("`BATCH_INTERVAL` (500 ms)", "BATCH_INTERVAL is 0.05 in the code, not 500 ms"),
        ("`KEY_LIFETIME` (12 hours)", "KEY_LIFETIME is 86,400 in the code"),
        ("`MAX_TEXT_LENGTH` (1,000)", "MAX_TEXT_LENGTH is 1e+06 in the code"),
        ("`RELAY_LEASE` (16 s)", "RELAY_LEASE is 15 in the code"),
        ("`GONE_LIMIT` (5)", "GONE_LIMIT is neither a setting nor a constant"),
        ("`INDEX_QUEUE` (5)", "none of our modules defines INDEX_QUEUE as a number"),
    ],
)
def test_faults_are_found_and_say_what_to_change(text: str, fault: str, known: Known) -> None:
    messages = found(known, f"A line.\n\n{text}\n")
    assert any(fault in message for message in messages), messages
    assert all(re.match(r"docs/page\.md:[34]: ", message) for message in messages), messages


def test_correct_pages_pass(known: Known) -> None:
    text = """# A page

[itself](#a-page), [a folder](adr), `mh_common/jobs.py`, `outbox/relay.py`, `tests/integration/test_relay_*.py`,
`CONTRIBUTING.md`, `mh_common.web.problems.to_problem`, `index_runs.service`, `milvus.uri`, `DATABASE_PASSWORD_FILE`,
`RUN_LEASE` (30 s), `BATCH_INTERVAL` (50 ms), `KEY_LIFETIME` (24 hours), `WORKER_JOB_TIMEOUT` (45 s),
`HEARTBEAT_S` (10 s), `GET /api/v1/conversations/{id}?x=1`, `PUT …/progress`, `/api/v1/index`, `/conversations-api/*`,
`mh index status|sync`,
`make backup FILE=x.gz`, `mh_outbox_depth`, `index_job_done`, ADR 41.
"""
    assert found(known, text) == []


def test_a_quantity_without_its_constant_is_refused_where_contracts_stand(known: Known) -> None:
    [message] = found(known, "It waits 30 s.", "docs/contracts.md")
    assert message.startswith("docs/contracts.md:1: 30 s: name the constant or setting before it")
    assert found(known, "It waits `RUN_LEASE` (30 s).", "docs/contracts.md") == []


def test_names_of_former_releases_may_stand_in_history(known: Known) -> None:
    assert found(known, "`gone_function()`", "CHANGELOG.md") == []
    superseded = (
        "# 8. A title\n\n**Status.** Superseded by [41](adr/0041-sqlalchemys-own-sessions.md).\n\n`gone_function()`"
    )
    assert found(known, superseded) == []


def test_every_foreign_name_is_used_and_none_is_ours(known: Known) -> None:
    text = "\n".join(page.text for page in PAGES)
    assert {name for name in FOREIGN if name not in text} == set(), "take these out of mh_devtools/docs/foreign.py"
    assert FOREIGN & (known.variables | known.constants.keys()) == set()


def test_the_index_of_decisions_is_up_to_date() -> None:
    written = decisions.INDEX.read_text(encoding="utf-8")
    assert written == "".join(decisions.index()), "run `python -m mh_devtools.docs.decisions`"


@pytest.mark.parametrize(
    ("name", "head", "fault"),
    [
        ("0001-a.md", "# 1. A title\n\n**Decision.** That.\n", "must begin with"),
        ("0001-a.md", "# 1. A title\n\n**Status.** Accepted. Supersedes 3.\n\n", "must begin with"),
        ("0001-a.md", "# 2. A title\n\n**Status.** Accepted.\n\n", "has the number 2 in its title"),
        (
            "0001-a.md",
            "# 1. A title\n\n**Status.** Superseded by [3](0004-d.md).\n\n",
            "but the link points to 0004-d.md",
        ),
    ],
)
def test_a_decision_of_another_form_is_refused(name: str, head: str, fault: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(head, encoding="utf-8")
    with pytest.raises(ValueError, match=fault):
        list(decisions.index(tmp_path))


def test_two_decisions_have_two_numbers(tmp_path: Path) -> None:
    for name in ("0001-a.md", "0001-b.md"):
        (tmp_path / name).write_text("# 1. A title\n\n**Status.** Accepted.\n\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"0001-b\.md and 0001-a\.md have the same number"):
        list(decisions.index(tmp_path))


def test_the_picture_of_the_page_is_small() -> None:
    assert (ROOT / "docs" / "figures" / "page.png").stat().st_size < 300_000
