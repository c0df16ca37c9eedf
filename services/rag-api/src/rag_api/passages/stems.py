"""The words of sentences, as questions are compared with them."""

from functools import lru_cache

from mh_common.stemming import words_of


@lru_cache(maxsize=4096)
def stems_of(sentence: str) -> frozenset[str]:
    """Return the stems of a sentence. Kept, as each one is needed twice, and conversations come up again."""
    return frozenset(word.stem for word in words_of(sentence))
