"""How often a caller may do what: quotas by scope, and how settings change them. No I/O."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from mh_common.auth.roles import Scope

PERIODS: Final[Mapping[str, int]] = {"minute": 60, "hour": 3600, "day": 86400}
"""Seconds of each period."""
ANSWERS_OF_A_DAY: Final = "answers:day"
"""Name of the quota that counts answers for each person, of an account or without one."""


@dataclass(frozen=True)
class Quota:
    """At most `most` requests in a period, which is the same for all: minutes and hours of the clock, days of UTC.

    Attributes:
        name: what is counted and the period: `answers:minute`.
        noun: what is counted, in words.
        scope: the scope whose use is counted; None: something else.
    """

    name: str
    most: int
    noun: str
    scope: Scope | None = None

    @property
    def period(self) -> str:
        """`minute`, `hour` or `day`."""
        return self.name.rpartition(":")[2]

    @property
    def seconds(self) -> int:
        """The length of the period."""
        return PERIODS[self.period]


def _of(scope: Scope, most: int, noun: str, period: str = "minute") -> Quota:
    return Quota(f"{scope}:{period}", most, noun, scope)


DEFAULTS: Final = (
    _of(Scope.CONVERSATIONS_READ, 1200, "reads of conversations"),
    _of(Scope.CONVERSATIONS_WRITE, 600, "changes of conversations"),
    _of(Scope.CONVERSATIONS_DELETE, 600, "deletions of conversations"),
    _of(Scope.CONVERSATIONS_EXPORT, 10, "exports", "hour"),
    _of(Scope.SEARCH, 300, "searches"),
    _of(Scope.ANSWERS, 60, "answers"),
    Quota(ANSWERS_OF_A_DAY, 500, "answers"),
    _of(Scope.HISTORY_OWN, 600, "requests of the history"),
    _of(Scope.EXPERIMENTS_READ, 600, "reads of experiments"),
    _of(Scope.EXPERIMENTS_WRITE, 600, "changes of experiments"),
    _of(Scope.INDEX_OPERATE, 600, "requests about the index"),
    _of(Scope.USERS_MANAGE, 600, "requests about accounts"),
)
"""The quotas of every account. `internal` has none: the platform's own services work as fast as they can."""

NO_LIMIT: Final = "none"
_ENTRY: Final = re.compile(rf"\s*([a-z:-]+)\s*=\s*([1-9]\d{{0,8}}|{NO_LIMIT})\s*")


def changed(text: str, quotas: Iterable[Quota] = DEFAULTS) -> Mapping[str, Quota]:
    """Return the quotas by name, with the changes of a text such as `search:minute=600, answers:day=none`.

    `none` alone ends all of them.

    Raises:
        ValueError: it has another form, or names no quota.
    """
    if text.strip() == NO_LIMIT:
        return {}
    known = {quota.name: quota for quota in quotas}
    found = dict(known)
    for entry in filter(str.strip, text.split(",")):
        match = _ENTRY.fullmatch(entry)
        if match is None:
            raise ValueError(f"must look like `search:minute=600, answers:day={NO_LIMIT}`, or be {NO_LIMIT}")
        name, most = match.groups()
        if name not in known:
            raise ValueError(f"must name quotas among {', '.join(known)}")
        if most == NO_LIMIT:
            found.pop(name, None)
        else:
            found[name] = replace(known[name], most=int(most))
    return found
