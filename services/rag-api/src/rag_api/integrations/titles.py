"""Titles of conversations and chats, where a program wants one."""


def title_of(text: str, length: int) -> str:
    """Return the beginning of a text on one line: whole words, at most `length` characters with the "…" that ends it.

    A first word that is longer, as in a script without blanks, is cut.
    """
    line = " ".join(text.split())
    if len(line) <= length:
        return line
    beginning = line[: length - 1]
    whole_words = beginning if line[length - 1] == " " else beginning.rpartition(" ")[0]
    return f"{whole_words.rstrip() or beginning}…"
