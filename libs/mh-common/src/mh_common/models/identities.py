"""Who accounts are elsewhere: identities at an OpenID Connect provider."""

from typing import Annotated, Final

from pydantic import AwareDatetime, BaseModel, Field, StringConstraints

from mh_common.models.base import WireModel

MAX_ISSUER: Final = 255
MAX_SUBJECT: Final = 255

Issuer = Annotated[str, StringConstraints(max_length=MAX_ISSUER, pattern=r"^https?://[^\s?#@]+$")]
"""The address by which an OpenID provider calls itself; compared as it is written."""

Subject = Annotated[str, StringConstraints(max_length=MAX_SUBJECT, pattern=r"^[!-~]([ -~]*[!-~])?$")]
"""Printable ASCII, as OpenID Connect has it; compared as it is written."""


class Identity(BaseModel):
    """Who an account's owner is elsewhere."""

    id: int
    issuer: str
    subject: str
    email: str | None = Field(description="As the issuer says.")
    email_verified: bool = Field(description="Whether the issuer has verified the address.")
    linked_at: AwareDatetime


class IdentityCreate(WireModel):
    """A person who may sign in with an account by way of an OpenID provider."""

    subject: Subject = Field(description="What the provider calls the person: the claim `sub`. Not a name or address.")
    issuer: Issuer | None = Field(default=None, description="The provider; null: the platform's own, OIDC_ISSUER.")


class IdentityPage(BaseModel):
    """One page of an account's identities, oldest first."""

    items: list[Identity]
    next_cursor: str | None


class SignInProvider(BaseModel):
    """The OpenID provider that people can sign in with."""

    name: str | None = Field(description="What people know it by; null: there is none.")
