"""Error responses (RFC 9457) and readiness, the same for every service."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field


class FieldProblem(BaseModel):
    """One validation error of a request."""

    field: str = Field(description="Path of the field, for example items.3.question; empty for the whole body.")
    message: str
    row: int | None = Field(default=None, description="In bulk requests: index of the row, from 0.")


class Problem(BaseModel):
    """A problem document (RFC 9457, application/problem+json)."""

    model_config = ConfigDict(extra="allow")

    type: str = "about:blank"
    title: str
    status: int
    detail: str | None = None
    instance: str | None = None
    request_id: str | None = None
    errors: list[FieldProblem] | None = None


class DependencyHealth(BaseModel):
    """Result of one dependency's readiness check."""

    ok: bool
    detail: str | None = Field(default=None, description="What is wrong; null when ok.")


class Readiness(BaseModel):
    """Whether a service is ready, with each dependency by name."""

    ready: bool
    checked_at: datetime
    dependencies: dict[str, DependencyHealth]
