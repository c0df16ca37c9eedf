"""Look, before the API starts, whether its stores can be used."""

from contextlib import AsyncExitStack
from functools import partial

from mh_common.startup import Store, redis_store, wait_for_stores
from sqlalchemy.exc import DBAPIError

from conversations_api.database import check_database, make_read_engine, ping
from conversations_api.database_errors import DatabaseNotReadyError, is_locked
from conversations_api.models import Base
from conversations_api.settings import Settings

_REMEDY = "start its server, or correct DATABASE_URL, DATABASE_USER and DATABASE_PASSWORD"


async def wait_until_usable(settings: Settings) -> None:
    """Return when the database has this release's tables and Redis answers. Raises `StoreError`.

    Redis too: a running service does without it, but a wrong address would go unnoticed as long as nobody searches.
    """
    async with AsyncExitStack() as stack:
        engine = make_read_engine(settings.database)
        stack.push_async_callback(engine.dispose)
        database = Store("The database", _REMEDY, partial(check_database, engine, Base.metadata))
        await wait_for_stores([database, redis_store(settings.redis)], settings.startup.timeout)


async def wait_until_migratable(settings: Settings) -> None:
    """Return when the database answers, with whatever tables it has. Raises `StoreError`.

    One that is locked answers: who migrates waits for the lock itself, for as long as the operator chose.
    """
    async with AsyncExitStack() as stack:
        engine = make_read_engine(settings.database.model_copy(update={"lock_timeout": 1}))
        stack.push_async_callback(engine.dispose)

        async def look() -> None:
            try:
                await ping(engine)
            except DatabaseNotReadyError as error:
                if not (isinstance(error.__cause__, DBAPIError) and is_locked(error.__cause__)):
                    raise

        await wait_for_stores([Store("The database", _REMEDY, look)], settings.startup.timeout)
