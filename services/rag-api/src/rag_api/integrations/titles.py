"""Titles of conversations and chats, for programs that show one."""


def make_title(text: str, length: int) -> str:
    """Return the beginning of a text on one line: whole words, at most `length` characters including a final "…".

    A first word that is longer, as in scripts without spaces, is truncated.
    """
    line = " ".join(text.split())
    if len(line) <= length:
        return line
    beginning = line[: length - 1]
    whole_words = beginning if line[length - 1] == " " else beginning.rpartition(" ")[0]
    return f"{whole_words.rstrip() or beginning}…"
