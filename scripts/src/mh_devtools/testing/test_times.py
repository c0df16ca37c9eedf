"""Report where a test run spent its time, from its JUnit file: by package, and the slowest tests.

    make test ARGS=--junitxml=var/tests.xml
    .venv/bin/python -m mh_devtools.testing.test_times var/tests.xml

Times are wall-clock seconds of each test with its fixtures. Tests run in parallel, so their sum is more than the
duration of the run.
"""

import argparse
import re
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree

SLOWEST = 20


def read(file: Path) -> dict[str, list[tuple[float, str]]]:
    """Return seconds and name of each test, by package: `libs/mh-client`, `services/rag-api` or `tests`."""
    tests = defaultdict(list)
    for case in ElementTree.parse(file).iter("testcase"):  # noqa: S314 - written by the local pytest
        place = case.attrib["classname"].split(".")
        package = place[0] if place[0] == "tests" else "/".join(place[:2])
        # pytest-xdist may append @group to the name, and a test's parameters may contain an @ too.
        name = f"{place[-1]}::{re.sub('@[^]]*$', '', case.attrib['name'])}"
        tests[package].append((float(case.attrib["time"]), name))
    return tests


def table(tests: dict[str, list[tuple[float, str]]]) -> str:
    """Return the time of each package, and the slowest tests overall."""
    rows = [
        f"  {package:<28} {len(cases):>5} tests {sum(t for t, _ in cases):>8.1f} s" for package, cases in tests.items()
    ]
    slowest = sorted((case for cases in tests.values() for case in cases), reverse=True)[:SLOWEST]
    rows += [f"The {SLOWEST} slowest:", *(f"  {seconds:>6.1f} s  {name}" for seconds, name in slowest)]
    return "\n".join(rows)


def main() -> None:
    """Print the table for a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="file written by pytest --junitxml")
    print(table(read(parser.parse_args().file)))


if __name__ == "__main__":
    main()
