"""Errors (RFC 9457) and readiness, as every service answers them."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field


class FieldProblem(BaseModel):
    """One thing wrong with the request."""

    field: str = Field(description="Path of the field, for example items.3.question; empty for the whole body.")
    message: str
    row: int | None = Field(default=None, description="In bulk requests: the row, counted from 0.")


class Problem(BaseModel):
    """An error, as RFC 9457 has it (application/problem+json)."""

    model_config = ConfigDict(extra="allow")

    type: str = "about:blank"
    title: str
    status: int
    detail: str | None = None
    instance: str | None = None
    request_id: str | None = None
    errors: list[FieldProblem] | None = None


class DependencyHealth(BaseModel):
    """One dependency's answer to a readiness check."""

    ok: bool
    detail: str | None = Field(default=None, description="What is wrong, in plain words; null when ok.")


class Readiness(BaseModel):
    """Whether a service can do its work now, with each dependency by name."""

    ready: bool
    checked_at: datetime
    dependencies: dict[str, DependencyHealth]
