"""The ORM models of all tables."""

from datetime import date, datetime

from mh_common.auth.roles import Role
from mh_common.fields import AUTHOR, CATEGORY, IMPORT_TAG, SOURCE_URL, Origin, ReviewState
from mh_common.models import (
    MAX_SCREENED_BY,
    AccountKind,
    AccountState,
    ExperimentKind,
    FoundAdvice,
    IndexRunKind,
    IndexRunStatus,
    IndexStatus,
    Rating,
    RiskLevel,
    Sentiment,
)
from mh_common.tracing import MAX_TRACEPARENT
from mh_common.units import MAX_KIND
from sqlalchemy import (
    BigInteger,
    Boolean,
    Date,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from conversations_api.column_types import Key, MediumText, Sha256, UtcDateTime, enum_column, exact

# utf8mb4 for emoji; a case-insensitive collation, for full-text search, that both MySQL and MariaDB have.
_TABLE = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_unicode_ci",
}


class Base(DeclarativeBase):
    """Base of all tables. Constraints are named by convention, so that migrations can refer to them on any database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class IndexStateRow(Base):
    """The index state of one unit. Kept apart from the source's table, so that indexing does not change `updated_at`.

    `risk_level` and `unsafe_advice` are what screening by the rules `screened_by` found in the unit's current version;
    all are null while nothing was found out about that version.

    It has no foreign key, as each kind has a table of its own for its sources: code that deletes a source must delete
    its states.
    """

    __tablename__ = "index_states"
    __table_args__ = (
        Index("ix_index_states_kind_status_queued_at", "kind", "status", "queued_at"),
        Index("ix_index_states_kind_risk_level", "kind", "risk_level"),
        Index("ix_index_states_kind_unsafe_advice", "kind", "unsafe_advice"),
        _TABLE,
    )

    kind: Mapped[str] = mapped_column(exact(MAX_KIND), primary_key=True)
    source_id: Mapped[int] = mapped_column(Key, primary_key=True, autoincrement=False)
    ordinal: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    status: Mapped[IndexStatus] = mapped_column(enum_column(IndexStatus, "status"))
    indexed_version: Mapped[int | None] = mapped_column(Integer)
    attempts: Mapped[int] = mapped_column(Integer)
    reason: Mapped[str | None] = mapped_column(String(500))
    queued_at: Mapped[datetime] = mapped_column(UtcDateTime)
    indexed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    risk_level: Mapped[RiskLevel | None] = mapped_column(enum_column(RiskLevel, "risk_level"))
    screened_by: Mapped[str | None] = mapped_column(exact(MAX_SCREENED_BY))
    unsafe_advice: Mapped[FoundAdvice | None] = mapped_column(enum_column(FoundAdvice, "unsafe_advice"))


class ConversationRow(Base):
    """A question and its answer.

    `content_hash` and `markup_words` are computed from the texts (`conversations/contents.py`) and null where they
    still have to be. The index of `content_hash` is not unique: conversations may be the same.

    Accounts are named by their ids alone, which stay when an account is deleted.
    """

    __tablename__ = "mental_health_conversations"
    __table_args__ = (
        Index("ix_mental_health_conversations_created_at_id", "created_at", "id"),
        Index("ix_mental_health_conversations_updated_at_id", "updated_at", "id"),
        # A prefix, as MySQL limits the length of index keys.
        Index("ix_mental_health_conversations_source_url", "source_url", mysql_length={"source_url": 255}),
        Index("ix_mental_health_conversations_source_date", "source_date"),
        Index("ix_mental_health_conversations_category", "category"),
        Index("ix_mental_health_conversations_author", "author"),
        Index("ix_mental_health_conversations_import_tag", "import_tag"),
        Index("ix_mental_health_conversations_content_hash", "content_hash"),
        Index("ix_mental_health_conversations_origin", "origin"),
        Index("ix_mental_health_conversations_review_state", "review_state"),
        Index("ft_mental_health_conversations_question_answer", "question", "answer", mysql_prefix="FULLTEXT").ddl_if(
            dialect="mysql"
        ),
        # Without AUTOINCREMENT, SQLite would reuse the ids of deleted rows.
        {**_TABLE, "sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True, autoincrement=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    question: Mapped[str] = mapped_column(MediumText)
    answer: Mapped[str] = mapped_column(MediumText)
    question_sentiment: Mapped[Sentiment] = mapped_column(enum_column(Sentiment, "question_sentiment"))
    answer_sentiment: Mapped[Sentiment] = mapped_column(enum_column(Sentiment, "answer_sentiment"))
    version: Mapped[int] = mapped_column(Integer)
    source_url: Mapped[str | None] = mapped_column(exact(SOURCE_URL.max_length))
    source_date: Mapped[date | None] = mapped_column(Date)
    category: Mapped[str | None] = mapped_column(exact(CATEGORY.max_length))
    author: Mapped[str | None] = mapped_column(exact(AUTHOR.max_length))
    import_tag: Mapped[str | None] = mapped_column(exact(IMPORT_TAG.max_length))
    content_hash: Mapped[bytes | None] = mapped_column(Sha256)
    markup_words: Mapped[str | None] = mapped_column(Text)
    created_by: Mapped[int | None] = mapped_column(Key)
    updated_by: Mapped[int | None] = mapped_column(Key)
    origin: Mapped[Origin | None] = mapped_column(enum_column(Origin, "origin"))
    # The default is for what other programs and earlier releases write.
    review_state: Mapped[ReviewState] = mapped_column(
        enum_column(ReviewState, "review_state"), server_default=ReviewState.UNREVIEWED.value
    )
    reviewed_by: Mapped[int | None] = mapped_column(Key)
    reviewed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ConversationVersionRow(Base):
    """The content of a conversation in an earlier version; the current one is in the conversation's row.

    The foreign key deletes it with the conversation, whoever deletes that. `changed_at` and `changed_by` are when and
    by whom this version was made.
    """

    __tablename__ = "conversation_versions"
    __table_args__ = (_TABLE,)

    # By the convention its name would be longer than MySQL allows.
    conversation_id: Mapped[int] = mapped_column(
        Key,
        ForeignKey(ConversationRow.id, ondelete="CASCADE", name="fk_conversation_versions_conversation_id"),
        primary_key=True,
        autoincrement=False,
    )
    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    changed_by: Mapped[int | None] = mapped_column(Key)
    question: Mapped[str] = mapped_column(MediumText)
    answer: Mapped[str] = mapped_column(MediumText)
    question_sentiment: Mapped[Sentiment] = mapped_column(enum_column(Sentiment, "question_sentiment"))
    answer_sentiment: Mapped[Sentiment] = mapped_column(enum_column(Sentiment, "answer_sentiment"))
    source_url: Mapped[str | None] = mapped_column(exact(SOURCE_URL.max_length))
    source_date: Mapped[date | None] = mapped_column(Date)
    category: Mapped[str | None] = mapped_column(exact(CATEGORY.max_length))
    author: Mapped[str | None] = mapped_column(exact(AUTHOR.max_length))


class ImportLockRow(Base):
    """A content that a transaction is about to add, so that another one waits before it adds the same.

    What counts is the lock on the row, until the commit. Rows are deleted only some time later, as transactions that
    wait for a row which is deleted may deadlock. SQLite does not use them.
    """

    __tablename__ = "import_locks"
    __table_args__ = (_TABLE,)

    content_hash: Mapped[bytes] = mapped_column(Sha256, primary_key=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ImportUpdateRow(Base):
    """A conversation that an import updated instead of adding it once more, and the version that this made."""

    __tablename__ = "import_updates"
    __table_args__ = (_TABLE,)

    import_tag: Mapped[str] = mapped_column(exact(IMPORT_TAG.max_length), primary_key=True)
    conversation_id: Mapped[int] = mapped_column(Key, primary_key=True, autoincrement=False)
    version: Mapped[int] = mapped_column(Integer)


class OutboxRow(Base):
    """A job to publish to the worker. Written in the transaction of the change, deleted once the broker has the job."""

    __tablename__ = "index_outbox"
    __table_args__ = (
        Index("ix_index_outbox_kind_source_id_ordinal_id", "kind", "source_id", "ordinal", "id"),
        {**_TABLE, "sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True, autoincrement=True)
    kind: Mapped[str] = mapped_column(exact(MAX_KIND))
    source_id: Mapped[int] = mapped_column(Key)
    ordinal: Mapped[int] = mapped_column(Integer)
    job: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    claimed_by: Mapped[str | None] = mapped_column(String(64))
    claimed_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # The traceparent of the request that made the change.
    trace_context: Mapped[str | None] = mapped_column(String(MAX_TRACEPARENT))


class IndexRunRow(Base):
    """A run over the whole index, with its lease.

    `message_due_at` is when the next message about the run is sent to the worker; null once the run has finished.
    """

    __tablename__ = "index_runs"
    __table_args__ = (
        Index("ix_index_runs_status_id", "status", "id"),
        Index("ix_index_runs_message_due_at", "message_due_at"),
        {**_TABLE, "sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True, autoincrement=True)
    kind: Mapped[IndexRunKind] = mapped_column(enum_column(IndexRunKind, "kind"))
    status: Mapped[IndexRunStatus] = mapped_column(enum_column(IndexRunStatus, "status"))
    force: Mapped[bool] = mapped_column(Boolean)
    since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    requested_at: Mapped[datetime] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    checked: Mapped[int] = mapped_column(BigInteger)
    missing: Mapped[int] = mapped_column(BigInteger)
    stale: Mapped[int] = mapped_column(BigInteger)
    orphaned: Mapped[int] = mapped_column(BigInteger)
    repaired: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str | None] = mapped_column(String(500))
    owner: Mapped[str | None] = mapped_column(String(64))
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    message_due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ExperimentRow(Base):
    """An evaluation of search or of answers. `configuration`, `metrics` and `per_case` are JSON, without texts."""

    __tablename__ = "experiments"
    __table_args__ = (
        Index("ix_experiments_data_set_sha256_id", "data_set_sha256", "id"),
        {**_TABLE, "sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True, autoincrement=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    kind: Mapped[str] = mapped_column(String(16), server_default=ExperimentKind.SEARCH.value)
    name: Mapped[str] = mapped_column(String(200))
    configuration: Mapped[str] = mapped_column(MediumText)
    data_set_name: Mapped[str] = mapped_column(String(200))
    data_set_sha256: Mapped[str] = mapped_column(String(64))
    data_set_cases: Mapped[int] = mapped_column(Integer)
    metrics: Mapped[str] = mapped_column(MediumText)
    per_case: Mapped[str] = mapped_column(MediumText)
    duration_seconds: Mapped[float] = mapped_column(Double)
    note: Mapped[str | None] = mapped_column(Text)


class HistoryRow(Base):
    """A user's question, its answer, and the user's feedback.

    It belongs to an account, or to a person without one, for whom an account's keys act or whom anybody named while
    there were no accounts; never to both, and to nobody if nobody was named.

    `filters`, `hits`, `usage` and `risk_categories` are JSON. Members of enums that may still grow are plain text.
    """

    __tablename__ = "query_history"
    __table_args__ = (
        UniqueConstraint("answer_id"),
        Index("ix_query_history_account_id_id", "account_id", "id"),
        Index("ix_query_history_identity_id_id", "identity_id", "id"),
        Index("ix_query_history_created_at", "created_at"),
        {**_TABLE, "sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True, autoincrement=True)
    answer_id: Mapped[str] = mapped_column(String(36))
    account_id: Mapped[int | None] = mapped_column(Key, ForeignKey("users.id", ondelete="CASCADE"))
    identity_id: Mapped[int | None] = mapped_column(Key, ForeignKey("user_identities.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    question: Mapped[str] = mapped_column(MediumText)
    standalone_query: Mapped[str | None] = mapped_column(MediumText)
    filters: Mapped[str] = mapped_column(MediumText)
    hits: Mapped[str] = mapped_column(MediumText)
    answer: Mapped[str] = mapped_column(MediumText)
    model: Mapped[str] = mapped_column(String(200))
    prompt_version: Mapped[str | None] = mapped_column(String(200))
    usage: Mapped[str] = mapped_column(Text)
    latency_ms: Mapped[float] = mapped_column(Double)
    risk_level: Mapped[str | None] = mapped_column(String(32))
    risk_categories: Mapped[str | None] = mapped_column(Text)
    withheld: Mapped[str | None] = mapped_column(String(32))
    rating: Mapped[Rating | None] = mapped_column(enum_column(Rating, "rating"))
    comment: Mapped[str | None] = mapped_column(Text)
    risk_notice: Mapped[str | None] = mapped_column(String(32))
    feedback_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class IdempotencyKeyRow(Base):
    """A processed POST, without its body: its response is rebuilt from the repeated request and `result_ids`.

    These are JSON: the ids, or an object with them and what happened to each.
    """

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("ix_idempotency_keys_created_at", "created_at"), _TABLE)

    # Compared byte by byte: with a case-insensitive collation, "a" and "A" would be the same key.
    key: Mapped[str] = mapped_column(exact(255), primary_key=True)
    request_hash: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    result_ids: Mapped[str] = mapped_column(Text)


class UserRow(Base):
    """An account of a person or of a program."""

    __tablename__ = "users"
    __table_args__ = (UniqueConstraint("username"), {**_TABLE, "sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(Key, primary_key=True, autoincrement=True)
    # Compared byte by byte: with a case-insensitive collation, "é" and "e" would be the same user.
    username: Mapped[str] = mapped_column(exact(128))
    display_name: Mapped[str | None] = mapped_column(String(200))
    email: Mapped[str | None] = mapped_column(String(254))
    password_hash: Mapped[str | None] = mapped_column(String(255))
    role: Mapped[Role] = mapped_column(enum_column(Role, "role"))
    kind: Mapped[AccountKind] = mapped_column(enum_column(AccountKind, "kind"))
    state: Mapped[AccountState] = mapped_column(enum_column(AccountState, "state"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_login_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    version: Mapped[int] = mapped_column(Integer)


class UserIdentityRow(Base):
    """Who an account's owner, or somebody on whose behalf it acts, is elsewhere.

    `issuer` is the address of an OpenID provider, or names the account whose keys act for outside users.
    """

    __tablename__ = "user_identities"
    __table_args__ = (
        UniqueConstraint("issuer", "subject"),
        Index("ix_user_identities_user_id_id", "user_id", "id"),
        {**_TABLE, "sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True, autoincrement=True)
    # None: of the time before there were accounts.
    user_id: Mapped[int | None] = mapped_column(Key, ForeignKey(UserRow.id, ondelete="CASCADE"))
    # Compared byte by byte: with a case-insensitive collation, "u1" and "U1" would be the same user.
    issuer: Mapped[str] = mapped_column(exact(255))
    subject: Mapped[str] = mapped_column(exact(255))
    email: Mapped[str | None] = mapped_column(String(254))
    email_verified: Mapped[bool] = mapped_column(Boolean)
    linked_at: Mapped[datetime] = mapped_column(UtcDateTime)


class OidcSignInRow(Base):
    """That a browser was sent to the OpenID provider to sign in. Of state and cookie it has the hashes only."""

    __tablename__ = "oidc_sign_ins"
    __table_args__ = _TABLE

    state_hash: Mapped[bytes] = mapped_column(Sha256, primary_key=True)
    browser_hash: Mapped[bytes] = mapped_column(Sha256)
    return_to: Mapped[str] = mapped_column(String(500))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class TeamRow(Base):
    """A group of people who share what is meant for the group only."""

    __tablename__ = "teams"
    __table_args__ = (UniqueConstraint("name"), {**_TABLE, "sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(Key, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(exact(200))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    version: Mapped[int] = mapped_column(Integer)


class TeamMemberRow(Base):
    """That an account belongs to a team. A lead changes its members."""

    __tablename__ = "team_members"
    __table_args__ = (Index("ix_team_members_user_id", "user_id"), _TABLE)

    team_id: Mapped[int] = mapped_column(Key, ForeignKey(TeamRow.id, ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[int] = mapped_column(Key, ForeignKey(UserRow.id, ondelete="CASCADE"), primary_key=True)
    lead: Mapped[bool] = mapped_column(Boolean)


class UserSessionRow(Base):
    """Where somebody is signed in. It ends at `expires_at`, or at `idle_until` if it is not used before."""

    __tablename__ = "sessions"
    __table_args__ = (
        UniqueConstraint("token_hash"),
        Index("ix_sessions_user_id", "user_id"),
        Index("ix_sessions_expires_at", "expires_at"),
        {**_TABLE, "sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True, autoincrement=True)
    token_hash: Mapped[bytes] = mapped_column(Sha256)
    user_id: Mapped[int] = mapped_column(Key, ForeignKey(UserRow.id, ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    idle_until: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ip: Mapped[str | None] = mapped_column(String(45))
    user_agent: Mapped[str | None] = mapped_column(String(255))


class ApiKeyRow(Base):
    """A key of a program. `scopes` are as granted, separated by spaces; revoked keys are kept, to say who had them."""

    __tablename__ = "api_keys"
    __table_args__ = (
        UniqueConstraint("token_hash"),
        Index("ix_api_keys_user_id_id", "user_id", "id"),
        {**_TABLE, "sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True, autoincrement=True)
    token_hash: Mapped[bytes] = mapped_column(Sha256)
    shown: Mapped[str] = mapped_column(String(32))
    name: Mapped[str] = mapped_column(String(200))
    user_id: Mapped[int] = mapped_column(Key, ForeignKey(UserRow.id))
    created_by: Mapped[int] = mapped_column(Key)
    scopes: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class InstallationRow(Base):
    """The one row about this installation: the hash of the setup token, until it is used."""

    __tablename__ = "installation"
    __table_args__ = (_TABLE,)

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    setup_token_hash: Mapped[bytes | None] = mapped_column(Sha256)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    set_up_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
