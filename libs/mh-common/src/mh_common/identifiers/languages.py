"""Guesses the language of a line by its function words."""

from typing import Final

from mh_common.identifiers import vocabulary

_MARKERS: Final = {
    "en": vocabulary.words(
    """
    the and of to a in is was he she with his her for on that my i at has have had not be been it you are
    from by they an
    """
),
    "de": vocabulary.words(
    """
    und der die das ist nicht ich sie mit von ein eine einen den dem im auf hat zu für bei er wir seit wurde
    sich nach aus ihre
    """
),
    "es": vocabulary.words(
    """
    el la los las de que y en un una con por su para es se del al no lo como más pero está fue mi
    """
),
    "fr": vocabulary.words(
    """
    le la les de et des est une un dans avec pour que qui il elle sa son au du je pas mon ma en sur chez
    depuis
    """
),
}  # fmt: skip
LANGUAGES: Final = tuple(_MARKERS)


def language_of(words: list[str]) -> str | None:
    """Return "en", "de", "es" or "fr", or None if these words (in lower case) do not show it."""
    counts = {language: sum(word in markers for word in words) for language, markers in _MARKERS.items()}
    best = max(LANGUAGES, key=lambda language: counts[language])
    return best if counts[best] >= 2 else None
