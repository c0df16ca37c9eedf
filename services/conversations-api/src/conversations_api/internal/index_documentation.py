"""OpenAPI documentation of the worker's routes beyond their types: examples and possible problems."""

from typing import Any, Final

from mh_common.units import conversation_unit
from mh_common.web.documentation import answers


def _unit(conversation_id: int) -> dict[str, Any]:
    return conversation_unit(conversation_id)._asdict()


_REPORT: Final = {
    "outcomes": [
        {**_unit(17), "version": 2, "status": "indexed"},
        {**_unit(18), "version": 1, "status": "failed", "reason": "The embedder refused the text."},
        {**_unit(19), "version": 4, "status": "indexed"},
    ],
    "screenings": [
        {
            **_unit(17),
            "version": 2,
            "risk_level": "elevated",
            "unsafe_advice": "none",
            "screened_by": "lexicon-1+advice-1",
        },
        {
            **_unit(18),
            "version": 1,
            "risk_level": "none",
            "unsafe_advice": "medication",
            "screened_by": "lexicon-1+advice-1",
        },
    ],
}
_ANSWER: Final = {
    "versions": [
        {**_unit(17), "version": 2},
        {**_unit(18), "version": 1},
        {**_unit(19), "version": None},
    ]
}
_VERSIONS: Final = {
    "items": [
        {
            **_unit(17),
            "version": 2,
            "status": "indexed",
            "queued_at": "2026-03-02T09:15:00.120000Z",
            "screened_by": "lexicon-1+advice-1",
        },
        {
            **_unit(18),
            "version": 1,
            "status": "pending",
            "queued_at": "2026-03-02T09:16:00.480000Z",
            "screened_by": None,
        },
    ],
    "next_after": {"source_id": 18, "ordinal": 0},
}

REPORTED_JOB: Final = {"job": {"summary": "A job with three units", "value": _REPORT}}
UNITS: Final = {"two": {"summary": "Two units", "value": {"units": [_unit(17), _unit(18)]}}}

REPORTED: Final = answers(_ANSWER, 400, 422)
QUEUED: Final = answers({"queued": 2}, 400, 422, status=202)
VERSIONS: Final = answers(_VERSIONS, 400)
