"""A chat model without judgement, to prove that a prompt's structure alone prevents prompt injection.

    stub.reply = ObedientModel("PWNED")

It reads a prompt as the system message says: text between lines that begin with <<<MARK is data. It obeys everything
else.
"""

import re
from collections.abc import Iterator
from typing import Any

_MARK = re.compile(r"begin with <<<(\S+) and end with >>>")
_ANY_FENCE = re.compile(r"\s*<{3,}(.*?)>{3,}\s*")
# Servers of open models interpret these as the end of one message and the start of the next.
_ROLE_MARKS = re.compile(r"<\|[a-z_]+\|>|</?s>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>")


class ObedientModel:
    """Returns a chat model's reply to a request's JSON.

    Args:
        order: if this text occurs among the instructions, the reply contains it.
        reply: the reply otherwise.
        gullible: treat every line that looks like a fence as one, whatever its mark.
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
                # A fence with the word "end" closes the data; any other one opens it.
                inside = "end" not in fence[1].replace(mark or "", "").split()
            elif not inside:
                yield line
