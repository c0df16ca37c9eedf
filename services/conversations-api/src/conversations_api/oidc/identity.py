"""What signing in needs of an OpenID provider, and what it says of who signs in."""

from dataclasses import dataclass
from typing import Protocol

from mh_common.errors import AuthenticationError


class SignInRefusedError(AuthenticationError):
    """Nobody is signed in. `reason` is a few words for the log, without anything of a token."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class ProviderIdentity:
    """Who somebody is, as a verified ID token says.

    Attributes:
        issuer: the provider.
        subject: what it calls the person; with the issuer, the only thing that identifies them.
        email: the e-mail address that it has, if any.
        email_verified: whether it says that the address is the person's.
        name: to be shown.
        username: what the person would like to be called.
    """

    issuer: str
    subject: str
    email: str | None = None
    email_verified: bool = False
    name: str | None = None
    username: str | None = None


@dataclass(frozen=True)
class SignInProof:
    """What binds a sign-in to the browser in which it began: nobody else has them.

    Attributes:
        state: comes back with the browser.
        nonce: comes back in the ID token.
        verifier: of PKCE: shown when the code is redeemed.
    """

    state: str
    nonce: str
    verifier: str


class IdentityProvider(Protocol):
    """An OpenID provider."""

    async def sign_in_url(self, proof: SignInProof) -> str:
        """Return where to send the browser. Raises UnavailableError."""
        ...

    async def identify(self, code: str, proof: SignInProof, issuer: str | None) -> ProviderIdentity:
        """Return who came back with this code; `issuer` is who sent the browser back, as it says (RFC 9207).

        Raises:
            SignInRefusedError: the code or what it is redeemed for is not valid for this sign-in.
            UnavailableError: the provider does not answer as it should.
        """
        ...
