"""Entity tags: `"VERSION-INDEX_STATUS"`, or `"VERSION-INDEX_STATUS-RISK_LEVEL-UNSAFE_ADVICE"` of what is screened.

What was approved or rejected says so at the end. `If-Match` compares only the version.
"""

import re
from collections.abc import Sequence
from typing import Final

from mh_common.errors import InvalidRequestError, VersionConflictError
from mh_common.fields import ReviewState
from mh_common.models import Conversation, FieldProblem

_TAG: Final = re.compile(r'(?P<weak>W/)?"(?P<opaque>[\x21\x23-\x7e\x80-\xff]*)"')
_SEPARATOR: Final = re.compile(r"[ \t]*(,[ \t]*)+")
_VERSION: Final = re.compile(r"([0-9]+)(-[a-z_]+){0,4}")


def etag_of(conversation: Conversation) -> str:
    """Return the entity tag of this representation."""
    found = (conversation.risk_level, conversation.unsafe_advice)
    review = None if conversation.review_state is ReviewState.UNREVIEWED else conversation.review_state
    parts = (str(conversation.version), conversation.index_status, *found, review)
    return f'"{"-".join(part for part in parts if part)}"'


def is_unmodified(if_none_match: Sequence[str] | None, etag: str) -> bool:
    """Return whether the client already has this representation. Raises `InvalidRequestError`."""
    if if_none_match is None:
        return False
    tags = _parse("If-None-Match", if_none_match)
    return tags is None or any(f'"{opaque}"' == etag for _, opaque in tags)


def require_version(if_match: Sequence[str] | None, current: int) -> None:
    """Check that the client's version, if it sent one, is the current one.

    Raises:
        VersionConflictError: The header lists only other versions. Weak tags never match.
        InvalidRequestError: The header is not a list of entity tags.
    """
    if if_match is None:
        return
    tags = _parse("If-Match", if_match)
    if tags is None:
        return
    versions = [_VERSION.fullmatch(opaque) for weak, opaque in tags if not weak]
    if not any(found is not None and found[1] == str(current) for found in versions):
        raise VersionConflictError(f"The conversation is now at version {current}. Read it again before changing it.")


def _parse(header: str, lines: Sequence[str]) -> list[tuple[bool, str]] | None:
    """Return the header's tags as (weak, opaque part); None for `*`, which matches any."""
    text = ",".join(lines).strip(" \t,")
    if text == "*":
        return None
    tags, position = [], 0
    while found := _TAG.match(text, position):
        tags.append((found["weak"] is not None, found["opaque"]))
        separator = _SEPARATOR.match(text, found.end())
        position = separator.end() if separator else found.end()
        if not separator:
            break
    if not tags or position != len(text):
        problem = FieldProblem(field=header, message='must be a comma-separated list of tags like "3-indexed", or *')
        raise InvalidRequestError(f"The header {header} is invalid.", [problem])
    return tags
