"""A chat completion as OpenAI streams it."""

import json
import re
from collections.abc import Sequence
from typing import Any


def words(reply: str) -> list[str]:
    """Cut a reply into words, each with the blanks before it."""
    return re.findall(r"\s*\S+|\s+$", reply)


def chat_events(head: dict[str, Any], pieces: Sequence[str], usage: dict[str, int] | None) -> list[str]:
    """Return the server-sent events: the role, each piece, the end, the usage if asked for, and the mark of the end."""
    contents = [{"content": piece} for piece in pieces]
    deltas: list[dict[str, str]] = [{"role": "assistant", "content": ""}, *contents, {}]
    chunks: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": delta, "finish_reason": None if delta else "stop"}]} for delta in deltas
    ]
    if usage:
        chunks.append({"choices": [], "usage": usage})
    whole = ({**head, "object": "chat.completion.chunk", **chunk} for chunk in chunks)
    return [*(f"data: {json.dumps(chunk)}\n\n" for chunk in whole), "data: [DONE]\n\n"]
