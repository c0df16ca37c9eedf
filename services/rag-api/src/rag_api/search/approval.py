"""Which conversations may be sources: quoted, or given to a language model, here or in another program.

It is asked twice: of the index, so that other conversations take the place of those that may not be used, and of the
rows that the conversations API confirms, since the index may lag behind a decision.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mh_common.fields import REVIEW_STATE, RISK_LEVEL, ReviewState, RiskLevel
from mh_common.models import Conversation, SearchHit
from mh_common.wording import counted

from rag_api.search.filters import And, Condition, In, Or

MAX_COUNTED: Final = 20
"""Conversations that are counted if all that were found may not be used."""

_NEEDS_APPROVAL: Final = [level for level in RiskLevel if level.needs_notice]
_APPROVED: Final = In(REVIEW_STATE.name, [ReviewState.APPROVED])
# A row without a state counts as unreviewed.
_NOT_REJECTED: Final = In(REVIEW_STATE.name, [ReviewState.REJECTED], negated=True)
_NO_RISK: Final = In(RISK_LEVEL.name, _NEEDS_APPROVAL, negated=True)

CRISIS_PROTOCOL: Final = "If the patient may be at risk, follow your crisis protocol."
ONE_WAITS: Final = "1 conversation is about this, but not yet approved: a curator can review it."
WAITING: Final = "{count} are about this, but not yet approved: a curator can review them."
REJECTED: Final = "What was found about this was rejected when it was reviewed."


@dataclass(frozen=True)
class ApprovalRule:
    """Which conversations may be sources. What was rejected never may.

    Attributes:
        approved_only: only what was approved may.
        risk_needs_approval: what speaks of elevated or acute risk may only if it was approved.
    """

    approved_only: bool = False
    risk_needs_approval: bool = False

    @property
    def condition(self) -> Condition:
        """What the index must say of a conversation that may be a source."""
        if self.approved_only:
            return _APPROVED
        return And([_NOT_REJECTED, Or([_APPROVED, _NO_RISK])]) if self.risk_needs_approval else _NOT_REJECTED

    def allows(self, row: Conversation) -> bool:
        """Return whether a conversation, as it is stored now, may be a source."""
        if self.approved_only or row.review_state is not ReviewState.UNREVIEWED:
            return row.review_state is ReviewState.APPROVED
        return not (self.risk_needs_approval and row.risk_level in _NEEDS_APPROVAL)


@dataclass(frozen=True)
class HeldBack:
    """Conversations about a question that may not be sources, if there are no others.

    Attributes:
        waiting: how many could be approved, at most MAX_COUNTED.
        rejected: how many were rejected, at most MAX_COUNTED.
        score: the highest score of one of them.
    """

    waiting: int = 0
    rejected: int = 0
    score: float = 0.0

    @classmethod
    def of(cls, hits: Iterable[SearchHit]) -> "HeldBack":
        """Return what these hits, which may not be sources, are."""
        found = list(hits)
        states = Counter(hit.review_state is ReviewState.REJECTED for hit in found)
        return cls(states[False], states[True], max((hit.score for hit in found), default=0.0))

    def as_text(self) -> str:
        """Return why there is no source, and what can be done; empty if nothing was held back."""
        if self.waiting == 1:
            return ONE_WAITS
        if self.waiting:
            more = "At least " if self.waiting + self.rejected >= MAX_COUNTED else ""
            return WAITING.format(count=f"{more}{counted(self.waiting, 'conversation')}")
        return REJECTED if self.rejected else ""


NOTHING_HELD_BACK: Final = HeldBack()
