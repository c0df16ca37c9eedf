"""A streamed chat completion in OpenAI's format."""

import json
import re
from collections.abc import Sequence
from typing import Any


def words(reply: str) -> list[str]:
    """Split a reply into words, each with the whitespace before it."""
    return re.findall(r"\s*\S+|\s+$", reply)


def chat_events(head: dict[str, Any], pieces: Sequence[str], usage: dict[str, int] | None) -> list[str]:
    """Return the server-sent events: role, pieces, finish reason, usage if requested, and the final [DONE]."""
    contents = [{"content": piece} for piece in pieces]
    deltas: list[dict[str, str]] = [{"role": "assistant", "content": ""}, *contents, {}]
    chunks: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": delta, "finish_reason": None if delta else "stop"}]} for delta in deltas
    ]
    if usage:
        chunks.append({"choices": [], "usage": usage})
    whole = ({**head, "object": "chat.completion.chunk", **chunk} for chunk in chunks)
    return [*(f"data: {json.dumps(chunk)}\n\n" for chunk in whole), "data: [DONE]\n\n"]
