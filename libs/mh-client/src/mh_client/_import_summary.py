"""What `mh import` prints at the end: what became of the rows, and how to take the import back."""

import json
import shlex
from pathlib import Path

from mh_common.wording import counted

from mh_client._cli_common import print_text
from mh_client._import_facts import FactsShown
from mh_client.importing import FileCheck, ImportProgress


def print_done(file: Path, url: str | None, done: ImportProgress, *, as_json: bool) -> None:
    """Print what an import did; `url` is the platform's, if the command was given one."""
    undo = _undo_command(done.tag, url) if done.tag is not None and (done.added or done.updated) else None
    if as_json:
        counts = {name: getattr(done, name) for name in ("added", "updated", "skipped", "rejected")}
        rejects = str(done.rejects) if done.rejects else None
        print(json.dumps({"file": str(file), "import_tag": done.tag, **counts, "rejects": rejects, "undo": undo}))
        return
    print_text(f"{_counts(done, '')}.")
    if undo:
        print_text(f"Import tag: {done.tag}. To take this import back: {undo}")


def print_check(check: FileCheck, *, as_json: bool) -> None:
    """Print what an import would do."""
    if as_json:
        counts = {name: getattr(check, name) for name in ("added", "updated", "skipped", "rejected")}
        rejects = [{"line": line, "reason": reason} for line, reason in check.rejects]
        print(json.dumps({"dry_run": True, **counts, "rejects": rejects, "unasked": check.unasked}))
        return
    for line in FactsShown().lines(check.facts, is_end=True):
        print_text(line)
    for at, reason in check.rejects:
        print_text(f"line {at}: {reason}")
    if check.rejected > len(check.rejects):
        print_text(f"and {counted(check.rejected - len(check.rejects), 'more row')} that cannot be imported")
    if check.unasked is not None:
        print_text(f"The platform could not be asked what it has already: {check.unasked}")
    print_text(f"{_counts(check, 'would be ')}. Nothing was stored.")


def _counts(counts: ImportProgress | FileCheck, would_be: str) -> str:
    earlier = f" ({counts.earlier:,} imported earlier)" if counts.earlier else ""
    stored = f"{counted(counts.added, 'row')} {would_be}added, {counts.updated:,} updated"
    return f"{stored}, {counts.skipped:,} skipped{earlier}, {counts.rejected:,} rejected"


def _undo_command(tag: str, url: str | None) -> str:
    return shlex.join(["mh", *(("--url", url) if url else ()), "import", "--undo", tag])
