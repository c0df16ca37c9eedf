"""Accounts, sessions and API keys."""

from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, StringConstraints, field_validator

from mh_common.auth.roles import Role, Scope, missing_companions
from mh_common.models.base import NORMAL_FORM, AtMost, OneOf, UtcTime, WireModel, reject_blank, reject_nul

MIN_PASSWORD: Final = 12
"""Fewest characters of a password."""
MAX_PASSWORD: Final = 256
MAX_USERNAME: Final = 128
MAX_NAME: Final = 200
MAX_SCOPES: Final = 64

Username = Annotated[str, StringConstraints(pattern=rf"^[A-Za-z0-9._@+-]{{1,{MAX_USERNAME}}}$")]
"""Compared as it is written: `Ann` and `ann` are two users."""

Password = Annotated[str, StringConstraints(min_length=MIN_PASSWORD, max_length=MAX_PASSWORD), NORMAL_FORM]

GivenPassword = Annotated[str, StringConstraints(max_length=MAX_PASSWORD), NORMAL_FORM]
"""A password to be compared: normalised like one that is set, whatever its length."""

Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_NAME),
    AfterValidator(reject_nul),
    AfterValidator(reject_blank),
    NORMAL_FORM,
]

Email = Annotated[str, StringConstraints(strip_whitespace=True, max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")]


class PrincipalKind(StrEnum):
    """What a caller is."""

    PERSON = "person"
    SERVICE = "service"
    """A service account: a program of the practice, or one of the platform's own services."""
    LOCAL = "local"
    """Whoever uses a platform that has no accounts (AUTH_MODE=open)."""


class CredentialKind(StrEnum):
    """How a caller proved who it is."""

    SESSION = "session"
    API_KEY = "api_key"
    SERVICE_KEY = "service_key"


class AccountKind(StrEnum):
    """Whose account it is."""

    PERSON = "person"
    SERVICE = "service"
    """A program of the practice. It cannot sign in; it has keys."""


class AccountState(StrEnum):
    """Whether an account can be used."""

    ACTIVE = "active"
    DISABLED = "disabled"


class Credential(BaseModel):
    """What a caller proved with who it is."""

    kind: CredentialKind
    id: int | None = Field(default=None, description="Id of the session or key.")


class OwnTeam(BaseModel):
    """A team that the caller belongs to."""

    id: int
    name: str
    lead: bool = Field(description="Whether the caller may change who is in it.")


class Me(BaseModel):
    """The caller, and what it may do with the credential that it sent."""

    id: int | None = Field(description="Id of the account; null where there are no accounts (AUTH_MODE=open).")
    username: str
    display_name: str | None = None
    kind: PrincipalKind
    role: Role | None
    scopes: list[str] = Field(description="See `GET /api/v1/roles`; later releases may have more.")
    credential: Credential | None
    teams: list[OwnTeam] = Field(default_factory=list, description="By name.")


class User(BaseModel):
    """An account."""

    id: int
    username: str
    display_name: str | None
    email: str | None
    role: Role
    kind: AccountKind
    state: AccountState
    has_password: bool = Field(description="Whether the account can sign in with a password.")
    created_at: AwareDatetime
    updated_at: AwareDatetime
    last_login_at: AwareDatetime | None
    version: int


class UserPage(BaseModel):
    """One page of accounts, by id."""

    items: list[User]
    next_cursor: str | None


class UserCreate(WireModel):
    """A new account. Without a password a person cannot sign in until one is set."""

    username: Username
    role: OneOf[Role]
    kind: OneOf[AccountKind] = AccountKind.PERSON
    display_name: Name | None = None
    email: Email | None = None
    password: Password | None = Field(default=None, repr=False, description=f"At least {MIN_PASSWORD} characters.")


class UserUpdate(WireModel):
    """A change of an account; omitted fields keep their values. Disabling it ends its sessions and its keys' use."""

    null_is_a_value: ClassVar[frozenset[str]] = frozenset({"display_name", "email"})

    display_name: Name | None = Field(default=None, description="null removes it.")
    email: Email | None = Field(default=None, description="null removes it.")
    role: OneOf[Role] | None = None
    state: OneOf[AccountState] | None = None
    password: Password | None = Field(
        default=None,
        repr=False,
        description=f"A new password of at least {MIN_PASSWORD} characters; ends the account's sessions.",
    )


class RoleScopes(BaseModel):
    """A role, and what it may do."""

    role: Role
    scopes: list[str]


class Setup(WireModel):
    """The first administrator."""

    token: str = Field(max_length=200, repr=False, description="The setup token, which the first start printed.")
    username: Username
    password: Password = Field(repr=False, description=f"At least {MIN_PASSWORD} characters.")
    display_name: Name | None = None


class SessionCreate(WireModel):
    """Signing in."""

    username: str = Field(max_length=MAX_USERNAME)
    password: GivenPassword = Field(repr=False)
    cookie: bool = Field(
        default=False, description="true, for browsers: set a cookie, and return no token that a script could read."
    )


class Session(BaseModel):
    """Where somebody is signed in."""

    id: int
    created_at: AwareDatetime
    last_seen_at: AwareDatetime
    expires_at: AwareDatetime = Field(description="It ends earlier if it is not used.")
    ip: str | None
    user_agent: str | None
    current: bool = Field(description="Whether it is the session of this request.")


class SessionCreated(BaseModel):
    """A new session. `token` is null if the session is a cookie."""

    session: Session
    token: str | None = Field(
        repr=False, description="To be sent as `Authorization: Bearer TOKEN`. It is shown only now."
    )


class SessionList(BaseModel):
    """The caller's sessions, newest first."""

    items: list[Session]


class PasswordChange(WireModel):
    """A new password of one's own."""

    current_password: GivenPassword = Field(repr=False)
    new_password: Password = Field(repr=False, description=f"At least {MIN_PASSWORD} characters.")


class ApiKey(BaseModel):
    """A key of a program, without its secret."""

    id: int
    name: str
    shown: str = Field(description="The beginning of the key, to recognise it by.")
    user_id: int
    username: str
    scopes: list[str] = Field(description="As granted. What it may do now is also limited by its owner's role.")
    created_at: AwareDatetime
    created_by: int
    expires_at: AwareDatetime | None
    last_used_at: AwareDatetime | None = Field(description="To the minute.")
    revoked_at: AwareDatetime | None


class ApiKeyCreate(WireModel):
    """A new key. For another account's, one needs the scope users:manage."""

    name: Name = Field(description="What it is for.")
    scopes: Annotated[list[OneOf[Scope]], AtMost(MAX_SCOPES, least=1)] = Field(
        description="What it may do: at most what its owner may."
    )
    expires_at: UtcTime | None = Field(default=None, description="When it stops working; null: never.")
    user_id: int | None = Field(default=None, ge=1, description="Owner; null: the caller.")

    @field_validator("scopes")
    @classmethod
    def _usable(cls, scopes: list[Scope]) -> list[Scope]:
        if Scope.INTERNAL in scopes:
            raise ValueError(f"must not contain {Scope.INTERNAL}, which is for the platform's own services")
        if missing := missing_companions(scopes):
            raise ValueError(f"must also contain {', '.join(missing)}: these scopes show conversations")
        return sorted(set(scopes))


class ApiKeyCreated(BaseModel):
    """A new key and its secret."""

    api_key: ApiKey
    token: str = Field(repr=False, description="The key itself. It is shown only now: keep it like a password.")


class ApiKeyPage(BaseModel):
    """One page of keys, newest first."""

    items: list[ApiKey]
    next_cursor: str | None
