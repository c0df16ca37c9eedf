"""What may leave this machine: the one place that says whether a server is another machine, and what it may get.

What cannot be told apart counts as another machine. A host is judged by its name, as it is written in the URL: an
operator who wants a name to count as this machine's own lists it in EGRESS_TRUSTED_HOSTS.
"""

import re
from dataclasses import dataclass
from typing import Final, TypedDict

from mh_common.models import PhiMode
from mh_common.settings import DataEgress, EgressSettings, PHISettings, is_loopback, normal_host

OPENAI_URL: Final = "https://api.openai.com/v1"
"""Where OpenAI's SDK sends calls without a URL. Passed to it, since it would also read OPENAI_BASE_URL by itself."""

THIS_MACHINE: Final = "this machine"
UNREADABLE_HOST: Final = "a host that cannot be told"

_OPENAI_HOST: Final = re.compile(r"(?:[a-z0-9-]+\.)?api\.openai\.com")

# Only URLs that every parser reads alike: RFC 3986 without percent-encoded or international hosts, backslashes, or a
# query directly behind the host.
_URL: Final = re.compile(
    r"https?://(?:[A-Za-z0-9._~!$&'()*+,;=:%-]*@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]*)?(?:/[!-~]*)?",
    re.IGNORECASE,
)


class EgressNotAllowedError(ValueError):
    """Texts may not be sent to a server that the settings name. The message says what to set."""


class ClientOptions(TypedDict):
    """Options of an HTTP client."""

    trust_env: bool
    follow_redirects: bool


@dataclass(frozen=True)
class Recipient:
    """A server that texts are sent to.

    Attributes:
        name: its host, or `THIS_MACHINE`.
        is_remote: it is neither this machine nor trusted.
    """

    name: str
    is_remote: bool

    @property
    def is_openai(self) -> bool:
        """Whether it is OpenAI itself, whose API has parameters that other servers reject."""
        return _OPENAI_HOST.fullmatch(self.name) is not None

    @property
    def client_options(self) -> ClientOptions:
        """Options of an HTTP client that sends texts to it, and to nothing else.

        A redirect would pass the texts on to a host that nobody allowed. A proxy of the environment would see texts
        that must stay here.
        """
        return {"trust_env": self.is_remote, "follow_redirects": False}

    def may_get_texts(self, permission: DataEgress) -> bool:
        """Whether texts may be sent to it, given the permission for such servers."""
        return not self.is_remote or permission == "allowed"

    def phi_mode(self, settings: PHISettings) -> PhiMode:
        """Return what happens to identifiers in texts for it."""
        return settings.mode or (PhiMode.PSEUDONYMISE if self.is_remote else PhiMode.OFF)


LOCAL: Final = Recipient(THIS_MACHINE, is_remote=False)
"""A server on this machine, or a model within this process."""


def recipient_at(url: str, settings: EgressSettings) -> Recipient:
    """Return the server at a URL."""
    match = _URL.fullmatch(url)
    if match is None:
        return Recipient(UNREADABLE_HOST, is_remote=True)
    host = match["host"]
    if is_loopback(host):
        return LOCAL
    name = normal_host(host)
    return Recipient(name, is_remote=name not in settings.hosts)
