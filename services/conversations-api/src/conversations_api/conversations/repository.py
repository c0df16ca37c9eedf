"""The conversations table."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final, cast

from mh_common.errors import NotFoundError
from mh_common.models import (
    Conversation,
    ConversationCreate,
    ConversationStats,
    IndexStatus,
    MonthCount,
    Sentiment,
    SentimentPairCount,
)
from sqlalchemy import (
    ColumnElement,
    CursorResult,
    Integer,
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
    update,
)
from sqlalchemy.dialects.mysql import match

from conversations_api.conversations import full_text
from conversations_api.conversations.cursor import Position
from conversations_api.conversations.filters import ConversationFilters, Sort
from conversations_api.database import Executor, Read, Session
from conversations_api.models import ConversationRow, IndexStateRow

MAX_STATEMENT_BYTES: Final = 400_000
"""Text in one INSERT. The driver makes one statement of rows up to 1,024,000 bytes, in which escaping can double it."""

# Plain tables rather than mapped classes: a read then costs half as much.
_TABLE: Final = cast(Table, ConversationRow.__table__)
_STATES: Final = cast(Table, IndexStateRow.__table__)
_ROW: Final = _TABLE.c

# A scalar subquery rather than a join: FOR UPDATE then locks the conversation alone.
_STATUS: Final = select(_STATES.c.status).where(_STATES.c.conversation_id == _ROW.id).scalar_subquery()
_CONVERSATION: Final = select(*_ROW, func.coalesce(_STATUS, IndexStatus.PENDING).label("index_status"))
_BY_ID: Final = _CONVERSATION.where(_ROW.id == bindparam("id"))
_BY_ID_FOR_UPDATE: Final = _BY_ID.with_for_update()
# Made once, as are the above: their values come as parameters.
_INSERT: Final = insert(_TABLE)
_UPDATE: Final = update(_TABLE).where(_ROW.id == bindparam("key"))


class ConversationQueries:
    """Reads conversations."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def get(self, conversation_id: int, for_update: bool = False) -> Conversation:
        """Return a conversation; `for_update` holds off other writers until the commit. Raises `NotFoundError`."""
        query = _BY_ID_FOR_UPDATE if for_update else _BY_ID
        rows = await self._executor.read(query, {"id": conversation_id})
        if not rows:
            raise NotFoundError(f"There is no conversation {conversation_id}.")
        return Conversation(**rows[0])

    async def list(
        self, filters: ConversationFilters, sort: Sort, after: Position | None, limit: int
    ) -> Sequence[Conversation]:
        """Return at most `limit` conversations that pass the filters, from the first one after `after` on."""
        query = _page(sort, first=after is None)
        position = {} if after is None else {"after_id": after.id, "after_at": after.at}
        parameters: dict[str, Any] = {"most": limit, **position}
        if filters.ids and filters.given == {"ids"}:
            places = _places(filters.ids)
            parameters |= places
            query = _among(sort, after is None, tuple(places))
        elif conditions := tuple(self._conditions(filters)):
            result = await self._executor.execute(query.where(*conditions), parameters)
            return [Conversation(**row) for row in result.mappings()]
        return [Conversation(**row) for row in await self._executor.read(query, parameters)]

    async def count(self, filters: ConversationFilters) -> int:
        """Return how many conversations pass the filters."""
        query = select(func.count()).select_from(_TABLE).where(*self._conditions(filters))
        return int((await self._executor.execute(query)).scalar_one())

    async def stats(self, indexed: int, failed: int) -> ConversationStats:
        """Count conversations by sentiments and month, in one pass over the table.

        `indexed` and `failed` of them are known to be so; the rest is pending.
        """
        question, answer = _ROW.question_sentiment, _ROW.answer_sentiment
        month = func.substr(_ROW.created_at, 1, 7, type_=String).label("month")
        query = select(question, answer, month, func.count()).group_by(question, answer, "month")
        return _sum_up(await self._executor.execute(query), indexed, failed)

    def _conditions(self, filters: ConversationFilters) -> Iterator[ColumnElement[bool]]:
        if filters.question_sentiment:
            yield _ROW.question_sentiment.in_(filters.question_sentiment)
        if filters.answer_sentiment:
            yield _ROW.answer_sentiment.in_(filters.answer_sentiment)
        if filters.created_after is not None:
            yield _ROW.created_at >= filters.created_after
        if filters.created_before is not None:
            yield _ROW.created_at < filters.created_before
        if filters.updated_after is not None:
            yield _ROW.updated_at >= filters.updated_after
        if filters.updated_before is not None:
            yield _ROW.updated_at < filters.updated_before
        if filters.ids:
            yield _ROW.id.in_(filters.ids)
        if filters.q is not None:
            yield from self._text_conditions(full_text.split(filters.q))

    def _text_conditions(self, words: full_text.Words) -> Iterator[ColumnElement[bool]]:
        question, answer = _ROW.question, _ROW.answer
        if self._executor.dialect_name == "sqlite":
            for word in words.all:
                folded = word.casefold()
                yield or_(*(func.instr(func.casefold(column), folded) > 0 for column in (question, answer)))
            return
        if words.indexed:
            required = " ".join(f"+{word}" for word in words.indexed)
            yield match(question, answer, against=required).in_boolean_mode()
        for word in words.others:
            yield or_(question.contains(word, autoescape=True), answer.contains(word, autoescape=True))


class ConversationRepository(ConversationQueries):
    """Reads and writes conversations within the session's transaction."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.session = session

    async def add(self, items: Sequence[ConversationCreate], at: datetime) -> Sequence[int]:
        """Insert conversations with version 1; return their keys in the order of the items."""
        return [key for chunk in _chunks(items) for key in await self._insert(chunk, at)]

    async def _insert(self, items: Sequence[ConversationCreate], at: datetime) -> Sequence[int]:
        fixed = {"version": 1, "created_at": at, "updated_at": at}
        rows = [{**dict(item), **fixed} for item in items]
        if self.session.dialect_name == "sqlite" and len(rows) > 1:
            # Its driver sends a statement for each row and tells no key.
            inserted = await self.session.execute(insert(_TABLE).values(rows))
            return await self._keys(cast(CursorResult[Any], inserted).lastrowid, len(rows))
        # The driver makes one statement of all rows, a tenth of the work that SQLAlchemy has with so many values.
        return await self._keys(await self.session.write(_INSERT, rows), len(rows))

    async def _keys(self, reported: int, count: int) -> Sequence[int]:
        """Return the keys that one INSERT of `count` rows made; the driver reports one of them.

        The keys of one statement are consecutive on both, also beside other writers: InnoDB reserves as many as there
        are rows, and in SQLite there is one writer at a time.
        """
        if self.session.dialect_name == "sqlite":
            return range(reported - count + 1, reported + 1)
        if count == 1:
            return [reported]
        # More than 1 on clusters that give each server keys of its own.
        step = (await self.session.execute(text("SELECT @@auto_increment_increment"))).scalar_one()
        return range(reported, reported + count * step, step)

    async def update(self, conversation: Conversation) -> None:
        """Store the conversation's content, version and time of change."""
        values = conversation.model_dump(exclude={"id", "created_at", "index_status"})
        await self.session.write(_UPDATE, [{"key": conversation.id, **values}])

    async def delete(self, ids: Sequence[int]) -> Sequence[int]:
        """Delete conversations, and with each its index state; return the keys of those that existed."""
        # In the order of their keys, so that two deletes at once wait for each other instead of locking each other out.
        query = select(_ROW.id).where(_ROW.id.in_(ids)).order_by(_ROW.id)
        found = (await self.session.execute(query.with_for_update())).scalars().all()
        if found:
            await self.session.execute(delete(_TABLE).where(_ROW.id.in_(found)))
        return found


@cache
def _page(sort: Sort, first: bool) -> Read:
    """Return the SELECT of a page in this order: the first one, or the one after `after_id` and `after_at`."""
    column = _ROW[sort.field]
    ordering = [column] if sort.field == "id" else [column, _ROW.id]
    query = _CONVERSATION.order_by(*(key.desc() if sort.descending else key for key in ordering))
    return query.where(*(() if first else (_beyond(column, sort),))).limit(bindparam("most", type_=Integer))


@cache
def _among(sort: Sort, first: bool, places: tuple[str, ...]) -> Read:
    """Return the SELECT of a page among the conversations whose keys stand in these places."""
    return _page(sort, first).where(_ROW.id.in_([bindparam(place, type_=_ROW.id.type) for place in places]))


def _places(ids: Sequence[int]) -> dict[str, int]:
    """Return keys by place, up to a power of two the last one over and over: a few statements serve for any number."""
    count = 1 << (len(ids) - 1).bit_length()
    return {f"id_{number}": ids[min(number, len(ids) - 1)] for number in range(count)}


def _beyond(column: ColumnElement[Any], sort: Sort) -> ColumnElement[bool]:
    """Return the condition of rows that come later in the order. Its first part bounds the range read of the index."""
    key = _ROW.id
    after_id, after_at = bindparam("after_id", type_=key.type), bindparam("after_at", type_=column.type)
    later_id: ColumnElement[bool] = key < after_id if sort.descending else key > after_id
    if sort.field == "id":
        return later_id
    if sort.descending:
        return and_(column <= after_at, or_(column < after_at, later_id))
    return and_(column >= after_at, or_(column > after_at, later_id))


def _chunks(items: Sequence[ConversationCreate]) -> Iterator[Sequence[ConversationCreate]]:
    """Cut items into runs that fit one statement each."""
    start, size = 0, 0
    for index, item in enumerate(items):
        item_size = len(item.question.encode()) + len(item.answer.encode())
        if index > start and size + item_size > MAX_STATEMENT_BYTES:
            yield items[start:index]
            start, size = index, 0
        size += item_size
    yield items[start:]


def _sum_up(groups: Iterable[tuple[Sentiment, Sentiment, str, int]], indexed: int, failed: int) -> ConversationStats:
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
            # Never below 0: some may have been deleted since the others were counted.
            IndexStatus.PENDING: max(total - indexed - failed, 0),
            IndexStatus.INDEXED: indexed,
            IndexStatus.FAILED: failed,
        },
    )
