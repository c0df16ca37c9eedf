"""The built-in recognizer."""

import re
from typing import Final

from mh_common.identifiers.ages import find_ages
from mh_common.identifiers.candidates import with_joined_addresses, without_overlaps
from mh_common.identifiers.dates import find_dates
from mh_common.identifiers.gazetteer import gazetteer
from mh_common.identifiers.labels import find_labelled
from mh_common.identifiers.numbers import find_numbers
from mh_common.identifiers.organisations import find_organisations
from mh_common.identifiers.people import find_people
from mh_common.identifiers.phones import find_phones
from mh_common.identifiers.places import find_towns
from mh_common.identifiers.protocol import Identifier
from mh_common.identifiers.streets import find_streets
from mh_common.identifiers.tokens import tokens_of
from mh_common.identifiers.windows import around_digits
from mh_common.text import INVISIBLE

_INVISIBLE: Final = re.compile(f"[{INVISIBLE}]")


class BuiltInRecognizer:
    """Recognises identifiers by their forms, by what announces them, and by lists of names and places.

    It is made for English, and knows labels, dates, addresses and names in German, Spanish and French as well. The time
    is linear in the text.
    """

    def __init__(self) -> None:
        self._gazetteer = gazetteer()

    def find(self, text: str) -> list[Identifier]:
        """See `Recognizer.find`."""
        if _INVISIBLE.search(text) is None:
            return self._find(text)
        # A reader sees "John" although a soft hyphen is in it. What is invisible at the edges is not hidden.
        places = [place for place, character in enumerate(text) if _INVISIBLE.match(character) is None]
        visible = "".join(text[place] for place in places)
        return [Identifier(places[one.start], places[one.end - 1] + 1, one.kind) for one in self._find(visible)]

    def _find(self, text: str) -> list[Identifier]:
        tokens = tokens_of(text, self._gazetteer)
        parts = around_digits(text)
        found = [*find_numbers(text, parts), *find_labelled(text, parts), *find_phones(text, parts)]
        found += [*find_ages(text, parts), *find_dates(text, parts), *find_streets(text, parts, self._gazetteer)]
        found += find_towns(text, tokens, self._gazetteer)
        found += find_organisations(text, tokens)
        found += find_people(text, tokens, found, self._gazetteer)
        return with_joined_addresses(without_overlaps(found), text)
