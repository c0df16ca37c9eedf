"""The experiments table."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, cast

from mh_common.errors import NotFoundError
from mh_common.models import Experiment, ExperimentCreate, ExperimentDetail
from sqlalchemy import CursorResult, Row, delete, insert, select

from conversations_api.database import Executor
from conversations_api.models import ExperimentRow

_ROW: Final = ExperimentRow
# Without the values case by case, which are most of it.
_FIELDS: Final = (
    *(_ROW.id, _ROW.created_at, _ROW.name, _ROW.configuration, _ROW.metrics, _ROW.duration_seconds, _ROW.note),
    *(_ROW.data_set_name, _ROW.data_set_sha256, _ROW.data_set_cases),
)


class ExperimentRepository:
    """Reads and writes experiments; what it writes, within the session's transaction."""

    def __init__(self, session: Executor) -> None:
        self.session = session

    async def add(self, content: ExperimentCreate, at: datetime) -> int:
        """Insert an experiment; return its key."""
        row = {
            **content.model_dump(include={"name", "duration_seconds", "note"}),
            "created_at": at,
            "configuration": json.dumps(content.configuration, ensure_ascii=False),
            "data_set_name": content.data_set.name,
            "data_set_sha256": content.data_set.sha256,
            "data_set_cases": content.data_set.cases,
            "metrics": content.metrics.model_dump_json(),
            "per_case": json.dumps(content.per_case),
        }
        inserted = await self.session.execute(insert(ExperimentRow).values(row))
        return int(cast(CursorResult[Any], inserted).lastrowid)

    async def get(self, experiment_id: int) -> ExperimentDetail:
        """Return an experiment. Raises `NotFoundError`."""
        query = select(*_FIELDS, _ROW.per_case).where(_ROW.id == experiment_id)
        row = (await self.session.execute(query)).one_or_none()
        if row is None:
            raise _absent(experiment_id)
        return ExperimentDetail.model_validate({**_values(row), "per_case": json.loads(row.per_case)})

    async def list(self, before: int | None, limit: int, data_set_sha256: str | None) -> list[Experiment]:
        """Return at most `limit` experiments with keys below `before`, newest first."""
        query = select(*_FIELDS).order_by(_ROW.id.desc()).limit(limit)
        if before is not None:
            query = query.where(_ROW.id < before)
        if data_set_sha256 is not None:
            query = query.where(_ROW.data_set_sha256 == data_set_sha256)
        return [Experiment.model_validate(_values(row)) for row in await self.session.execute(query)]

    async def delete(self, experiment_id: int) -> None:
        """Delete an experiment. Raises `NotFoundError`."""
        deleted = await self.session.execute(delete(ExperimentRow).where(_ROW.id == experiment_id))
        if not cast(CursorResult[Any], deleted).rowcount:
            raise _absent(experiment_id)


def _values(row: Row[*tuple[Any, ...]]) -> Mapping[str, Any]:
    return {
        "id": row.id,
        "created_at": row.created_at,
        "name": row.name,
        "configuration": json.loads(row.configuration),
        "data_set": {"name": row.data_set_name, "sha256": row.data_set_sha256, "cases": row.data_set_cases},
        "metrics": json.loads(row.metrics),
        "duration_seconds": row.duration_seconds,
        "note": row.note,
    }


def _absent(experiment_id: int) -> NotFoundError:
    return NotFoundError(f"There is no experiment {experiment_id}.")
