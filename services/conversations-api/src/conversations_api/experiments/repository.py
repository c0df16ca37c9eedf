"""The experiments table."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from mh_common.errors import NotFoundError
from mh_common.models import Experiment, ExperimentCreate, ExperimentDetail, ExperimentKind
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer

from conversations_api.models import ExperimentRow

# Without the values per case, which are most of the data.
_LISTED: Final = select(ExperimentRow).options(defer(ExperimentRow.per_case, raiseload=True))


class ExperimentRepository:
    """Reads and writes experiments in a session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, content: ExperimentCreate, at: datetime) -> int:
        """Insert an experiment; return its id."""
        row = ExperimentRow(
            **content.model_dump(include={"name", "duration_seconds", "note"}),
            created_at=at,
            kind=content.kind.value,
            configuration=json.dumps(content.configuration, ensure_ascii=False),
            data_set_name=content.data_set.name,
            data_set_sha256=content.data_set.sha256,
            data_set_cases=content.data_set.cases,
            metrics=content.metrics.model_dump_json(),
            per_case=json.dumps(content.per_case),
        )
        self._session.add(row)
        await self._session.flush()
        return row.id

    async def get(self, experiment_id: int) -> ExperimentDetail:
        """Return an experiment. Raises `NotFoundError`."""
        row = await self._find(experiment_id)
        return ExperimentDetail.model_validate({**_values(row), "per_case": json.loads(row.per_case)})

    async def list(
        self, before: int | None, limit: int, data_set_sha256: str | None, kind: ExperimentKind | None
    ) -> list[Experiment]:
        """Return at most `limit` experiments with ids below `before`, newest first."""
        query = _LISTED.order_by(ExperimentRow.id.desc()).limit(limit)
        if before is not None:
            query = query.where(ExperimentRow.id < before)
        if data_set_sha256 is not None:
            query = query.where(ExperimentRow.data_set_sha256 == data_set_sha256)
        if kind is not None:
            query = query.where(ExperimentRow.kind == kind.value)
        return [Experiment.model_validate(_values(row)) for row in await self._session.scalars(query)]

    async def delete(self, experiment_id: int) -> None:
        """Delete an experiment. Raises `NotFoundError`."""
        await self._session.delete(await self._find(experiment_id))

    async def _find(self, experiment_id: int) -> ExperimentRow:
        row = await self._session.get(ExperimentRow, experiment_id)
        if row is None:
            raise NotFoundError(f"There is no experiment {experiment_id}.")
        return row


def _values(row: ExperimentRow) -> Mapping[str, Any]:
    return {
        "id": row.id,
        "created_at": row.created_at,
        "kind": row.kind,
        "name": row.name,
        "configuration": json.loads(row.configuration),
        "data_set": {"name": row.data_set_name, "sha256": row.data_set_sha256, "cases": row.data_set_cases},
        "metrics": json.loads(row.metrics),
        "duration_seconds": row.duration_seconds,
        "note": row.note,
    }
