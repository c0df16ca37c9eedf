"""Explain pip's failures, from its output, and how to continue.

Uses only the standard library, like `set_up`.
"""

import platform
import re

MISSING = r"No matching distribution found for (\S+)"
"""pip says this also if it could not reach the index."""
AGAIN = "run the same command again: downloads are kept"


def explained(output: str, version: tuple[int, int] | None) -> str:
    """Explain what pip, with a Python of this version, failed on, and how to continue."""
    errors = re.findall(r"^\s*(?:ERROR|error): (.+)", output, re.MULTILINE)
    said = errors[-1] if errors else last_line(output)
    here = f"Python {dotted(version or ())} on {platform.system().replace('Darwin', 'macOS')} {platform.machine()}"
    mirror = "set a mirror of the package index (PIP_INDEX_URL=https://...)"
    if changed := re.search(r"DO NOT MATCH THE HASHES.*?\n\s+(\S+) from (\S+)", output, re.DOTALL):
        what = f"{changed[1]} was not installed: its hash differs from the pinned one."
        hint = f"A proxy, a mirror or a broken download changed it: {mirror}, or {AGAIN}."
        said = f"{changed[1]} from {changed[2]} does not match its hash"
    elif "No space left on device" in output:
        what, hint = f"The disk is full{_at(output)}.", f"Free some space and {AGAIN}."
    elif built := re.search(r"Failed (?:building wheel for|to build) '?([\w.-]+)|error: metadata-generation", output):
        what = f"{built[1] or _collected(output)} has no wheel for {here}, and could not be compiled."
        hint = "Use another Python (make PYTHON=python3.12), or install a C compiler and Python's headers."
    elif trouble := _trouble(output):
        what, said = f"{_collected(output)} could not be downloaded.", trouble
        hint = f"Check the network and the proxy (HTTPS_PROXY), or {mirror}, and {AGAIN}."
    elif missing := re.search(MISSING, output):
        what = f"The package index has no {missing[1]} for {here}."
        hint = f"Use another Python (make PYTHON=python3.12), or {mirror} that has it."
    else:
        what, hint = f"pip failed{_at(output)}.", f"Fix the problem that it reports and {AGAIN}."
    return f"{what}\n{hint}\npip said: {said[:300]}"


def _collected(output: str) -> str:
    """Return the last package that pip looked for."""
    found = re.findall(rf"{MISSING}|^\s*Collecting (\S+)", output, re.MULTILINE)
    return found[-1][0] or found[-1][1] if found else "A package"


def _at(output: str) -> str:
    return "" if "Installing collected packages" in output else f" at {_collected(output)}"


def _trouble(output: str) -> str | None:
    """Return the network error that kept pip from reaching the index or completing a download, if there was one."""
    package = re.sub(r"[-_.]+", "-", _collected(output).partition("==")[0]).lower()
    # A 404 means that the index does not have the package; it is not a network error.
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
    """Return a version with dots."""
    return ".".join(map(str, version))


def last_line(text: str) -> str:
    """Return the last non-empty line."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no output")
