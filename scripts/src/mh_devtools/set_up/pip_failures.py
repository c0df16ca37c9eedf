"""What pip failed on and how to go on, in plain words, from what it printed.

Only the standard library, as in `set_up`.
"""

import platform
import re

MISSING = r"No matching distribution found for (\S+)"
"""What pip says, too, when it could not ask the index."""
AGAIN = "run the same command again: what was fetched is kept"


def explained(output: str, version: tuple[int, int] | None) -> str:
    """Return in plain words what the pip of a Python of this version failed on, and how to go on."""
    errors = re.findall(r"^\s*(?:ERROR|error): (.+)", output, re.MULTILINE)
    said = errors[-1] if errors else last_line(output)
    here = f"Python {dotted(version or ())} on {platform.system().replace('Darwin', 'macOS')} {platform.machine()}"
    mirror = "name a mirror of the package index (PIP_INDEX_URL=https://...)"
    if changed := re.search(r"DO NOT MATCH THE HASHES.*?\n\s+(\S+) from (\S+)", output, re.DOTALL):
        what = f"{changed[1]} is not the file that is pinned, and was not installed: its hash differs."
        cure = f"A proxy, a mirror or a broken download changed it: {mirror}, or {AGAIN}."
        said = f"{changed[1]} from {changed[2]} does not match its hash"
    elif "No space left on device" in output:
        what, cure = f"The disk is full{_at(output)}.", f"Make room and {AGAIN}."
    elif built := re.search(r"Failed (?:building wheel for|to build) '?([\w.-]+)|error: metadata-generation", output):
        what = f"{built[1] or _collected(output)} is not ready-made for {here}, and could not be compiled."
        cure = "Take another Python (make PYTHON=python3.12), or install a C compiler and Python's headers."
    elif trouble := _trouble(output):
        what, said = f"{_collected(output)} could not be downloaded.", trouble
        cure = f"Check the network and its proxy (HTTPS_PROXY), or {mirror}, and {AGAIN}."
    elif missing := re.search(MISSING, output):
        what = f"The package index has no {missing[1]} for {here}."
        cure = f"Take another Python (make PYTHON=python3.12), or {mirror} that has it."
    else:
        what, cure = f"pip failed{_at(output)}.", f"Mend what it says and {AGAIN}."
    return f"{what}\n{cure}\npip said: {said[:300]}"


def _collected(output: str) -> str:
    """Return the package that pip looked for last."""
    found = re.findall(rf"{MISSING}|^\s*Collecting (\S+)", output, re.MULTILINE)
    return found[-1][0] or found[-1][1] if found else "A package"


def _at(output: str) -> str:
    return "" if "Installing collected packages" in output else f" at {_collected(output)}"


def _trouble(output: str) -> str | None:
    """Return what kept pip from reaching the index or from having a file whole, if that was it."""
    package = re.sub(r"[-_.]+", "-", _collected(output).partition("==")[0]).lower()
    # That an index does not know a package (404) is no trouble on the way to it.
    unreached = rf"Could not fetch URL \S*/{package}/: (?!404)(.+?)(?: - skipping)?$"
    patterns = (
        r"connection broken by (.+)$",
        unreached,
        r"ERROR: (.*(?:HTTP error|Connection|timed out|Timeout|IncompleteRead|incomplete).*)$",
        r"^\s*(?:\S+\.)?(\w*(?:TimeoutError|ConnectionError|ProtocolError|SSLError|IncompleteRead)\b.*)$",
    )
    for pattern in patterns:
        if found := re.findall(pattern, output, re.MULTILINE | re.IGNORECASE):
            return str(found[-1])
    return None


def dotted(version: tuple[int, ...]) -> str:
    """Return a version as it is written."""
    return ".".join(map(str, version))


def last_line(text: str) -> str:
    """Return the last line that says something."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "it said nothing")
