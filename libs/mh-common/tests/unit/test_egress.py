"""Which servers count as another machine, and what follows from that."""

from ipaddress import ip_address
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mh_common.egress import LOCAL, THIS_MACHINE, UNREADABLE_HOST, Recipient, recipient_at
from mh_common.models import PhiMode
from mh_common.settings import EgressSettings, PHISettings
from pydantic import ValidationError

NOTHING_TRUSTED = EgressSettings()


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8099/v1",
        "http://127.0.0.1",
        "https://127.8.9.10/v1",
        "http://localhost:80/v1",
        "HTTP://LocalHost/v1",
        "http://[::1]:8099/v1",
        "http://[0:0:0:0:0:0:0:1]/v1",
        "http://[::ffff:127.0.0.1]/v1",
        "http://user:password@127.0.0.1:8099/v1",
        "http://127.0.0.1/v1?a=@evil.example#@evil.example",
    ],
)
def test_loopback_is_this_machine(url: str) -> None:
    assert recipient_at(url, NOTHING_TRUSTED) == LOCAL


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://api.openai.com/v1", "api.openai.com"),
        ("https://API.OpenAI.com./v1", "api.openai.com"),
        ("http://localhost.evil.example/v1", "localhost.evil.example"),
        ("http://evil-localhost/v1", "evil-localhost"),
        ("http://127.0.0.1.evil.example/v1", "127.0.0.1.evil.example"),
        ("http://localhost@evil.example/v1", "evil.example"),
        ("http://127.0.0.1:80@evil.example/v1", "evil.example"),
        ("http://tei:80", "tei"),
        ("http://embedding_server:80/v1", "embedding_server"),
        ("http://10.0.0.7/v1", "10.0.0.7"),
        ("http://0.0.0.0:8099/v1", "0.0.0.0"),  # noqa: S104 - a destination
        ("http://[::]:8099/v1", "::"),
        ("http://[2001:DB8::0:1]/v1", "2001:db8::1"),
        # What some systems look up or read as an address of this machine, and others do not.
        ("http://localhost./v1", "localhost"),
        ("http://a.localhost/v1", "a.localhost"),
        ("http://127.1/v1", "127.1"),
        ("http://2130706433/v1", "2130706433"),
        ("http://0x7f000001/v1", "0x7f000001"),
        ("http://0177.0.0.1/v1", "0177.0.0.1"),
        ("http://127.0.0.01/v1", "127.0.0.01"),
    ],
)
def test_everything_else_is_another_machine(url: str, name: str) -> None:
    assert recipient_at(url, NOTHING_TRUSTED) == Recipient(name, is_remote=True)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1\\@evil.example/v1",
        "http://127.0.0.1?@evil.example/",
        "http://127.0.0.1#@evil.example/",
        "http://a@127.0.0.1@evil.example/",
        "http://127.0.0.1 .evil.example/",
        "http://%31%32%37.0.0.1/v1",
        "http://loc\u0430lhost/v1",
        "http://127\u30020\u30020\u30021/v1",
        "http://\uff11\uff12\uff17.0.0.1/v1",
        "http://127.0.0.1\n.evil.example/",
        "http://[::1]evil.example/",
        "http:///v1",
        "ftp://127.0.0.1/",
        "//127.0.0.1/",
        "",
    ],
)
def test_what_cannot_be_told_is_another_machine_even_if_it_is_trusted(url: str) -> None:
    trusting = EgressSettings(trusted_hosts="127.0.0.1, localhost, evil.example")
    assert recipient_at(url, trusting) == Recipient(UNREADABLE_HOST, is_remote=True)


PIECES = st.sampled_from(
    [
        *(
            "http://",
            "https://",
            "127.0.0.1",
            "localhost",
            "[::1]",
            "evil.example",
            "1",
            "127",
            "0",
            "user",
            ":80",
            ":",
        ),
        *("@", "/", "\\", "?", "#", "%40", "%2e", ".", "..", "[", "]", ";", ",", " ", "\t", "\u3002", "\uff0e", "0x7f"),
    ]
)


@settings(max_examples=1000)
@given(
    st.lists(PIECES, max_size=3).map("".join),
    st.sampled_from(["127.0.0.1", "localhost", "[::1]", ""]),
    st.lists(PIECES, max_size=5).map("".join),
)
@example("user@", "127.0.0.1", ":80/@evil.example")
@example("", "127.0.0.1", "\\@evil.example/")
@example("", "127.0.0.1", ";@evil.example/")
def test_no_url_that_passes_for_this_machine_leads_to_another(before: str, host_part: str, after: str) -> None:
    url = f"http://{before}{host_part}{after}"
    if recipient_at(url, NOTHING_TRUSTED).is_remote:
        return
    # The clients read URLs with httpx, in either version, or with the standard library.
    for host in (httpx.URL(url).host, urlsplit(url).hostname or ""):
        assert host.lower() == "localhost" or ip_address(host).is_loopback


@pytest.mark.parametrize(
    ("trusted", "url"),
    [
        ("llm.clinic.example", "https://LLM.clinic.example./v1"),
        ("LLM.Clinic.Example.", "https://llm.clinic.example/v1"),
        (" tei , 10.0.0.7 ", "http://tei:80"),
        (" tei , 10.0.0.7 ", "http://10.0.0.7/v1"),
        ("[FD00:0::1]", "http://[fd00::1]:80/v1"),
        ("fd00::1", "http://[FD00:0:0::1]/v1"),
    ],
)
def test_trusted_hosts_are_no_other_machine_but_named(trusted: str, url: str) -> None:
    found = recipient_at(url, EgressSettings(trusted_hosts=trusted))
    assert not found.is_remote
    assert found.name != THIS_MACHINE


@pytest.mark.parametrize(
    "url",
    [
        "http://sub.clinic.example/v1",
        "http://clinic.example.evil.example/v1",
        "http://evilclinic.example/v1",
        "http://clinic.example@evil.example/v1",
        "http://10.0.0.70/v1",
    ],
)
def test_trust_does_not_extend_to_other_names(url: str) -> None:
    assert recipient_at(url, EgressSettings(trusted_hosts="clinic.example,10.0.0.7")).is_remote


@pytest.mark.parametrize(
    "value", ["*", "*.clinic.example", "http://tei", "tei:80", "10.0.0.0/8", "a b", "tei;other", "t\u00e9i", "[::1]:80"]
)
def test_a_trusted_host_is_a_plain_host(value: str) -> None:
    with pytest.raises(ValidationError, match="separated by commas, without scheme, port or wildcard"):
        EgressSettings(trusted_hosts=value)


def test_only_the_word_is_a_permission() -> None:
    remote, trusted = Recipient("evil.example", True), Recipient("tei", False)
    assert [one.may_get_texts("allowed") for one in (remote, trusted, LOCAL)] == [True] * 3
    assert [one.may_get_texts(None) for one in (remote, trusted, LOCAL)] == [False, True, True]


def test_identifiers_are_replaced_for_other_machines_unless_something_else_is_said() -> None:
    remote, trusted = Recipient("evil.example", True), Recipient("tei", False)
    assert remote.phi_mode(PHISettings()) is PhiMode.PSEUDONYMISE
    assert trusted.phi_mode(PHISettings()) is LOCAL.phi_mode(PHISettings()) is PhiMode.OFF
    for mode in PhiMode:
        assert {one.phi_mode(PHISettings(mode=mode)) for one in (remote, trusted, LOCAL)} == {mode}
    assert PHISettings(mode=" ").mode is None


def test_openai_is_known_by_its_host() -> None:
    for url in ("https://api.openai.com/v1", "https://eu.api.openai.com/v1"):
        assert recipient_at(url, NOTHING_TRUSTED).is_openai
    for url in ("https://api.openai.com.evil.example/v1", "https://notapi.openai.com/v1", "http://127.0.0.1/v1"):
        assert not recipient_at(url, NOTHING_TRUSTED).is_openai
