"""The conversations table."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, TypeAlias, cast

from mh_common.errors import NotFoundError
from mh_common.fields import FIELDS, FILTERS, Operator
from mh_common.models import (
    Conversation,
    ConversationCreate,
    ConversationStats,
    FoundAdvice,
    IndexStatus,
    MonthCount,
    RiskLevel,
    Sentiment,
    SentimentPairCount,
)
from mh_common.units import CONVERSATION
from sqlalchemy import (
    Column,
    ColumnElement,
    CursorResult,
    Integer,
    Result,
    Select,
    String,
    Table,
    and_,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    text,
)
from sqlalchemy.dialects.mysql import match
from sqlalchemy.ext.asyncio import AsyncSession

from conversations_api.conversations import full_text
from conversations_api.conversations.contents import computed
from conversations_api.conversations.cursor import Position
from conversations_api.conversations.filters import ConversationFilters, Sort
from conversations_api.models import ConversationRow, IndexStateRow

MAX_STATEMENT_BYTES: Final = 400_000
"""Maximum bytes of text in one INSERT. The driver joins rows into statements of up to 1,024,000 bytes, and escaping can
double the text."""

# Reads use Core statements that are built once; loading ORM objects would take twice as long.
_TABLE: Final = cast(Table, ConversationRow.__table__)
_ROW: Final = _TABLE.c
_STATES: Final = cast(Table, IndexStateRow.__table__)
# A conversation is a single unit with ordinal 0: that unit's state is the conversation's. A conversation that another
# program wrote to the database has no state yet.
_UNIT: Final = and_(_STATES.c.kind == CONVERSATION, _STATES.c.source_id == _ROW.id, _STATES.c.ordinal == 0)
_WITH_STATE: Final = _TABLE.outerjoin(_STATES, _UNIT)
_DERIVED: Final = [_STATES.c[field.name] for field in FIELDS if field.derived]
_COLUMNS: Final = {column.name: column for column in (*_ROW, *_DERIVED)}
"""What filters compare, by the name of the field: what the platform finds out is with the state, not in the row."""
_SHOWN: Final = [_ROW[name] for name in Conversation.model_fields if name in _ROW]
_CONVERSATION: Final = select(
    *_SHOWN, func.coalesce(_STATES.c.status, IndexStatus.PENDING).label("index_status"), *_DERIVED
).select_from(_WITH_STATE)
_BY_ID: Final = _CONVERSATION.where(_ROW.id == bindparam("id"))
_LOCKED: Final = select(ConversationRow).where(ConversationRow.id == bindparam("id")).with_for_update()
_INSERT: Final = insert(_TABLE)

FilterShape: TypeAlias = tuple[tuple[str, bool | None], ...]
"""The names of the given filters; with the value for boolean ones, else with None. All other values are bound
parameters, so that one statement serves for all of them."""


class ConversationRepository:
    """Reads and writes conversations in a session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def get(self, conversation_id: int) -> Conversation:
        """Return a conversation. Raises `NotFoundError`."""
        found = _conversations(await self._session.execute(_BY_ID, {"id": conversation_id}))
        if not found:
            raise _not_found(conversation_id)
        return found[0]

    async def lock(self, conversation_id: int) -> ConversationRow:
        """Return a conversation, locked against other writers until the commit. Raises `NotFoundError`."""
        row = (await self._session.scalars(_LOCKED, {"id": conversation_id})).one_or_none()
        if row is None:
            raise _not_found(conversation_id)
        return row

    async def list(
        self, filters: ConversationFilters, sort: Sort, after: Position | None, limit: int
    ) -> Sequence[Conversation]:
        """Return at most `limit` conversations that match the filters, starting after the position `after`."""
        given = _given(filters)
        query = _page(sort, after is None, _shape_of(given))
        if filters.q is not None:
            query = query.where(*self._text_conditions(filters.q))
        position = {} if after is None else {"after_id": after.id, "after_at": after.at}
        return _conversations(await self._session.execute(query, {"most": limit, **position, **given}))

    async def count(self, filters: ConversationFilters) -> int:
        """Return how many conversations match the filters."""
        given = _given(filters)
        derived = any(FILTERS[name].field.derived for name in given)
        source = _WITH_STATE if derived else _TABLE
        query = select(func.count()).select_from(source).where(*_conditions(_shape_of(given)))
        if filters.q is not None:
            query = query.where(*self._text_conditions(filters.q))
        return int((await self._session.execute(query, given)).scalar_one())

    async def stats(
        self,
        indexed: int,
        failed: int,
        risk_levels: Mapping[RiskLevel, int],
        unsafe_advice: Mapping[FoundAdvice, int],
    ) -> ConversationStats:
        """Count conversations by sentiments and month, in one pass over the table.

        `indexed` and `failed` are the numbers of conversations with that index status, the others are pending;
        `risk_levels` and `unsafe_advice` those at each level and with each kind, the others are not screened.
        """
        question, answer = _ROW.question_sentiment, _ROW.answer_sentiment
        month = func.substr(_ROW.created_at, 1, 7, type_=String).label("month")
        query = select(question, answer, month, func.count()).group_by(question, answer, "month")
        counted = _sum_up(await self._session.execute(query), indexed, failed)
        return counted.model_copy(update={"risk_level": dict(risk_levels), "unsafe_advice": dict(unsafe_advice)})

    @property
    def _dialect(self) -> str:
        return self._session.get_bind().dialect.name

    def _text_conditions(self, text: str) -> Iterator[ColumnElement[bool]]:
        words = full_text.split(text)
        question, answer = _ROW.question, _ROW.answer
        if self._dialect == "sqlite":
            for word in words.all:
                folded = word.casefold()
                yield or_(*(func.instr(func.folded(column), folded) > 0 for column in (question, answer)))
            return
        if words.indexed:
            required = " ".join(f"+{word}" for word in words.indexed)
            yield match(question, answer, against=required).in_boolean_mode()
        for word in words.others:
            yield or_(question.contains(word, autoescape=True), answer.contains(word, autoescape=True))
        hidden = _ROW.markup_words
        yield or_(hidden.is_(None), ~or_(*(hidden.contains(f" {word} ", autoescape=True) for word in words.all)))

    async def add(
        self, items: Sequence[ConversationCreate], at: datetime, provenance: Mapping[str, Any]
    ) -> Sequence[int]:
        """Insert conversations with version 1; return their ids in the order of the items.

        `provenance` are columns that have the same values in all of them: who added them, and how.
        """
        same = {"version": 1, "created_at": at, "updated_at": at, **provenance}
        rows = [{**dict(item), **computed(item.question, item.answer), **same} for item in items]
        return [key for chunk in _chunks(rows) for key in await self._insert(chunk)]

    async def _insert(self, rows: Sequence[Mapping[str, Any]]) -> Sequence[int]:
        if self._dialect == "sqlite" and len(rows) > 1:
            # SQLite's driver would send one statement for each row and not return the ids.
            inserted = await self._session.execute(insert(_TABLE).values(rows))
        else:
            # MySQL's driver joins the rows into one statement; ORM objects would be inserted one by one.
            inserted = await self._session.execute(_INSERT, rows)
        return await self._keys(cast(CursorResult[Any], inserted).lastrowid, len(rows))

    async def _keys(self, reported: int, count: int) -> Sequence[int]:
        """Return the ids of `count` rows inserted by one statement; the driver reports only one of them.

        The ids of one statement are consecutive even with concurrent writers: InnoDB reserves as many as there are
        rows, and SQLite allows only one writer at a time.
        """
        if self._dialect == "sqlite":
            return range(reported - count + 1, reported + 1)
        if count == 1:
            return [reported]
        # Greater than 1 on clusters in which each server assigns ids of its own.
        step = (await self._session.execute(text("SELECT @@auto_increment_increment"))).scalar_one()
        return range(reported, reported + count * step, step)

    async def delete(self, ids: Sequence[int]) -> Sequence[int]:
        """Delete conversations; return the ids of those that existed."""
        # Locked in the order of their ids, so that concurrent deletes wait for each other instead of deadlocking.
        query = select(ConversationRow.id).where(ConversationRow.id.in_(ids)).order_by(ConversationRow.id)
        found = (await self._session.execute(query.with_for_update())).scalars().all()
        if found:
            await self._session.execute(delete(ConversationRow).where(ConversationRow.id.in_(found)))
        return found


def _conversations(result: Result[*tuple[Any, ...]]) -> list[Conversation]:
    names = tuple(result.keys())
    return [Conversation(**dict(zip(names, row, strict=True))) for row in result]


def _not_found(conversation_id: int) -> NotFoundError:
    return NotFoundError(f"There is no conversation {conversation_id}.")


def _given(filters: ConversationFilters) -> dict[str, Any]:
    """Return the values of the given filters by name."""
    values = {name: getattr(filters, name) for name in FILTERS}
    return {name: value for name, value in values.items() if value not in (None, [])}


def _shape_of(given: Mapping[str, Any]) -> FilterShape:
    return tuple((name, value if isinstance(value, bool) else None) for name, value in given.items())


@lru_cache(maxsize=256)
def _page(sort: Sort, first: bool, shape: FilterShape) -> Select[*tuple[Any, ...]]:
    """Return the SELECT for the first page in this order, or for the page after `after_id` and `after_at`."""
    key = _key(shape)
    ordering = [key] if sort.field == "id" else [_ROW[sort.field], _ROW.id]
    query = _CONVERSATION.order_by(*(column.desc() if sort.descending else column for column in ordering))
    position = () if first else (_after_position(sort, key),)
    return query.where(*position, *_conditions(shape)).limit(bindparam("most", type_=Integer))


def _key(shape: FilterShape) -> Column[Any]:
    """Return the id to sort by: the state's, if only conversations with a state match.

    Both have the same values, but MySQL can read only this one in the order of an index of the states. By the other one
    it would sort all matching conversations, with their texts.
    """
    of_states = any(FILTERS[name].field.derived and is_empty is not True for name, is_empty in shape)
    return _STATES.c.source_id if of_states else _ROW.id


def _conditions(shape: FilterShape) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions of these filters; their values are bound parameters with the filters' names."""
    for name, is_empty in shape:
        column, operator = _COLUMNS[FILTERS[name].field.name], FILTERS[name].operator
        if operator is Operator.IS_EMPTY:
            yield column.is_(None) if is_empty else column.is_not(None)
        elif operator is Operator.ANY_OF:
            yield column.in_(bindparam(name, expanding=True, type_=column.type))
        elif operator is Operator.GTE:
            yield column >= bindparam(name, type_=column.type)
        else:
            yield column < bindparam(name, type_=column.type)


def _after_position(sort: Sort, key: Column[Any]) -> ColumnElement[bool]:
    """Return the condition for rows after the position. Its first part limits the range of the index that is read."""
    column = _ROW[sort.field]
    after_id, after_at = bindparam("after_id", type_=key.type), bindparam("after_at", type_=column.type)
    later_id: ColumnElement[bool] = key < after_id if sort.descending else key > after_id
    if sort.field == "id":
        return later_id
    if sort.descending:
        return and_(column <= after_at, or_(column < after_at, later_id))
    return and_(column >= after_at, or_(column > after_at, later_id))


def _chunks(rows: Sequence[Mapping[str, Any]]) -> Iterator[Sequence[Mapping[str, Any]]]:
    """Split rows into chunks that fit into one statement each."""
    start, size = 0, 0
    for index, row in enumerate(rows):
        row_size = sum(len(value.encode()) for value in row.values() if isinstance(value, str))
        if index > start and size + row_size > MAX_STATEMENT_BYTES:
            yield rows[start:index]
            start, size = index, 0
        size += row_size
    if rows:
        yield rows[start:]


def _sum_up(
    groups: Iterable[tuple[Sentiment, Sentiment, str, int]],
    indexed: int,
    failed: int,
) -> ConversationStats:
    pairs = {(question, answer): 0 for question in Sentiment for answer in Sentiment}
    months: dict[str, int] = {}
    for question, answer, month, count in groups:
        pairs[question, answer] += count
        months[month] = months.get(month, 0) + count
    total = sum(pairs.values())
    return ConversationStats(
        total=total,
        question_sentiment={one: sum(pairs[one, other] for other in Sentiment) for one in Sentiment},
        answer_sentiment={one: sum(pairs[other, one] for other in Sentiment) for one in Sentiment},
        pairs=[
            SentimentPairCount(question_sentiment=question, answer_sentiment=answer, count=count)
            for (question, answer), count in pairs.items()
        ],
        per_month=[MonthCount(month=month, count=months[month]) for month in sorted(months)],
        index_status={
            # Never below 0: conversations may have been deleted after their states were counted.
            IndexStatus.PENDING: max(total - indexed - failed, 0),
            IndexStatus.INDEXED: indexed,
            IndexStatus.FAILED: failed,
        },
    )
