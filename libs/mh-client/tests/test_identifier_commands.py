"""`mh identifiers` and `client.identifiers`, `client.about`."""

import io
import json
from typing import Any

import pytest
from mh_client import InvalidInputError, PhiMode
from mh_devtools.stubs.platform_stub import StubPlatform
from mh_devtools.testing.fixtures import CallMethod, RunCommand

TEXT = "Mrs. Okafor sleeps badly."
SHOWN = "Mrs. [PERSON_1] sleeps badly.\nperson: characters 5 to 11\n"


def test_a_text_is_previewed_from_an_argument_or_standard_input(
    stub: StubPlatform, mh: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, output, errors = mh("identifiers", "preview", TEXT)
    assert (code, errors) == (0, "")
    assert output.startswith(SHOWN)
    assert "PHI_MODE here is pseudonymise." in output
    assert "not de-identification" in output
    for arguments in ((), ("-",)):
        monkeypatch.setattr("sys.stdin", io.StringIO(TEXT))
        assert mh("identifiers", "preview", *arguments)[1].startswith(SHOWN)
    assert json.loads(mh("identifiers", "preview", TEXT, "--json")[1])["identifiers"] == [
        {"start": 5, "end": 11, "kind": "person"}
    ]


def test_an_empty_text_is_refused_before_it_is_sent(
    stub: StubPlatform, mh: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    code, _, errors = mh("identifiers", "preview")
    assert (code, errors.count("\n")) == (2, 1)
    assert "text" in errors


def test_both_clients_preview_and_tell_who_gets_the_texts(stub: StubPlatform, calling: Any) -> None:
    call: CallMethod = calling(stub.base_url)
    found = call("identifiers.preview", TEXT)
    assert (found.text, found.phi_mode) == ("Mrs. [PERSON_1] sleeps badly.", PhiMode.PSEUDONYMISE)
    assert call("about") == stub.about
    with pytest.raises(InvalidInputError, match="text"):
        call("identifiers.preview", "")
