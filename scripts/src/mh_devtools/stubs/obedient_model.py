"""A chat model without any judgement, to prove that a prompt's structure alone keeps data from giving orders.

    stub.reply = ObedientModel("PWNED")

It reads a prompt as the system message tells it to: what stands between lines that begin with <<<MARK is data. What
stands elsewhere it obeys.
"""

import re
from collections.abc import Iterator
from typing import Any

_MARK = re.compile(r"begin with <<<(\S+) and end with >>>")
_ANY_FENCE = re.compile(r"\s*<{3,}(.*?)>{3,}\s*")
# Servers of open models take these for the end of one message and the beginning of the next.
_ROLE_MARKS = re.compile(r"<\|[a-z_]+\|>|</?s>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>")


class ObedientModel:
    """Gives the reply of a chat model to a request's JSON.

    Args:
        order: whoever writes this where instructions stand is obeyed: the reply holds it.
        reply: what it says otherwise.
        gullible: take every line that looks like a fence for one, whatever its mark.
    """

    def __init__(self, order: str, reply: str = "Rise at the same hour [1].", *, gullible: bool = False) -> None:
        self._order = order
        self._reply = reply
        self._gullible = gullible
        self.read: list[str] = []

    def __call__(self, request: dict[str, Any]) -> str:
        """Return the reply."""
        system, *others = request["messages"]
        mark = _MARK.search(system["content"])
        texts = [system["content"], *(self._outside(one["content"], mark[1] if mark else None) for one in others)]
        instructions = "\n".join(texts)
        self.read.append(instructions)
        injected = any(_ROLE_MARKS.search(one["content"]) for one in request["messages"])
        return f"{self._order}, as you wish." if self._order in instructions or injected else self._reply

    def _outside(self, text: str, mark: str | None) -> str:
        return "\n".join(self._lines_outside(text, mark))

    def _lines_outside(self, text: str, mark: str | None) -> Iterator[str]:
        inside = False
        for line in text.splitlines():
            fence = _ANY_FENCE.fullmatch(line)
            if fence and (self._gullible or (mark is not None and line.startswith(f"<<<{mark} "))):
                # A line "… end of …" closes, every other one opens the next text.
                inside = "end" not in fence[1].replace(mark or "", "").split()
            elif not inside:
                yield line
