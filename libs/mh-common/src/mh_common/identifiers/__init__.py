"""Identifiers in texts, such as names and telephone numbers, and pseudonyms for them.

A text with pseudonyms is not de-identified: what is not recognised stays in it.
"""

from mh_common.identifiers.protocol import Identifier, IdentifierKind, Recognizer
from mh_common.identifiers.pseudonyms import Pseudonyms
from mh_common.identifiers.recognizers import make_recognizer

__all__ = ["Identifier", "IdentifierKind", "Pseudonyms", "Recognizer", "make_recognizer"]
