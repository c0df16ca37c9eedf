"""Checks every name, path, link and number in the Markdown pages: `python -m mh_devtools.docs.check`.

It checks links with their anchors, and in code spans and shell blocks: paths, make targets, `mh` commands with their
options, routes, metrics, environment variables, modules and what they define, and all other identifiers. A number is
checked if it follows its constant, as in `RUN_LEASE` (30 s). On the pages in `STRICT`, every quantity must follow a
constant.

Prints one line per fault that says what to change, and exits with 1 if there are any.
"""

import re
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from mh_devtools.docs.foreign import FOREIGN
from mh_devtools.docs.known import PACKAGES, Known, template
from mh_devtools.docs.pages import Page, pages
from mh_devtools.paths import ROOT

HISTORY: Final = ("CHANGELOG.md",)
"""Pages that may contain names of earlier releases; only their links are checked."""
STRICT: Final = ("docs/architecture.md", "docs/contracts.md")
"""Pages on which each quantity must follow the constant or setting with its value."""

_SUPERSEDED: Final = re.compile(r"^\*\*Status\.\*\* Superseded", re.MULTILINE)
_URL: Final = re.compile(r"https?:|mailto:")
_SUFFIX: Final = re.compile(
    r"\.(py|md|ya?ml|json|jsonl|toml|txt|jinja|env|csv|conf|tpl|js|html|css|template|ini|lock|onnx|svg|png)$"
)
_PATH: Final = re.compile(r"[\w.*@-]+(/[\w.*@{}-]+)*/?")
_PLACEHOLDER: Final = re.compile(r"(^|/)(?!README|CHANGELOG|CONTRIBUTING)[A-Z]+\.\w+$")
_ELSEWHERE: Final = re.compile(
    r"/?(tmp|proc|run|path|etc|var|dev|usr)(/|$)|~/|\.venv/|[a-z]+\.[a-z]+/|text/|application/|\d{4}/"
)
"""Paths outside the repository: of the system or a running platform; and media types."""
_ROUTE: Final = re.compile(r"(?:((?:GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS)(?:, [A-Z]+)*) )?([/…][\w/{}.*…-]*)(\?.*)?")
_DOTTED: Final = re.compile(r"([a-z_]\w*(?:\.\w+)+)(?:\(.*\))?")
_MODULE_RUN: Final = re.compile(r"python3?(?: -\S+)* -m ([\w.]+)")
_MAKE: Final = re.compile(r"(?:^|[\s`;&(])make (?!PYTHON)([a-z][a-z-]*)((?: +[A-Z_]+=(?:'[^']*'|\"[^\"]*\"|\S+))*)")
_MH: Final = re.compile(r"(?:^|[\s;&])(?:\.venv/bin/)?mh ((?:[^\n#;&|<>]|(?<=\w)\|(?=\w))*)")
_UPPER: Final = re.compile(r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]*[A-Z0-9]\b")
_COMPOUND: Final = re.compile(r"\b(?:[A-Za-z]\w*_\w*|[A-Z][a-z]+[A-Z][a-z]\w*)\b")
_METRIC: Final = re.compile(r"mh_[a-z_]+")
_ADR: Final = re.compile(r"\bADR\s+0*(\d+)")
_UNITS: Final = {
    "ms": 0.001,
    "s": 1,
    "seconds": 1,
    "minutes": 60,
    "hours": 3600,
    "days": 86_400,
    "KB": 1000,
    "MB": 1_000_000,
}
_NUMBER: Final = r"(\d[\d,]*(?:\.\d+)?)"
_NAMED: Final = re.compile(
    rf"`((?:[a-z_]+\.)?[A-Z][A-Z0-9_]+)`\s+\({_NUMBER}(?:\s+(ms|s|seconds|minutes|hours|days|KB|MB))?(?=[),;])"
)
_QUANTITY: Final = re.compile(
    rf"\b{_NUMBER}\s+(ms|s|seconds|minutes|hours|days|bytes|KB|MB|GB|ids|rows|units|characters|records|pages?|levels)\b"
)


def faults(page: Page, known: Known) -> Iterator[str]:
    """Yield the faults of a page, one line each."""
    for line, message in _faults(page, known):
        yield f"{page.path.as_posix()}:{line}: {message}"


def _faults(page: Page, known: Known) -> Iterator[tuple[int, str]]:
    yield from _links(page, known)
    if page.path.as_posix() in HISTORY or _SUPERSEDED.search(page.text):
        return
    for line, match in page.lines_of(_ADR):
        if int(match[1]) not in known.decisions:
            yield line, f"ADR {match[1]} does not exist: docs/adr/README.md lists the existing ones."
    for line, span in page.spans:
        for message in _span(span, page, known):
            yield line, message
    for number, text in enumerate(page.plain.splitlines(), start=1):
        for name in _UPPER.findall(text):
            if fault := _variable(name, known):
                yield number, fault
    for line, language, text in page.blocks:
        if language in ("sh", "", "text"):
            for offset, command in enumerate(text.splitlines()):
                for message in (*_commands(command, known), *_addresses(command, known)):
                    yield line + offset, message
    yield from _numbers(page, known)


def _links(page: Page, known: Known) -> Iterator[tuple[int, str]]:
    for line, target in page.links:
        if _URL.match(target):
            continue
        file, _, anchor = target.partition("#")
        path = ((ROOT / page.path).parent / file).resolve() if file else ROOT / page.path
        name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)
        if file and name not in known.files and name not in known.folders:
            yield line, f"The link {target} points to {name}, which does not exist: correct the link."
        elif anchor and path.suffix == ".md":
            target_page = page if not file else Page(Path(name), path.read_text(encoding="utf-8"))
            if anchor not in target_page.anchors:
                yield (
                    line,
                    f"The link {target} points to a heading that {name} does not have: correct the part after #.",
                )


def _span(span: str, page: Page, known: Known) -> Iterator[str]:
    if span in FOREIGN:
        return
    if commands := list(_commands(span, known)):
        yield from commands
        return
    if _MAKE.search(span) or _MH.search(span) or _MODULE_RUN.search(span):
        return
    name = span.split("=")[0]
    if re.fullmatch(r"[0-9a-f]{12,64}", span):  # a commit
        return
    if _UPPER.fullmatch(name) or re.fullmatch(r"[A-Z]{3,}", span):
        if message := _variable(name, known):
            yield message
    elif _METRIC.fullmatch(span) and span not in PACKAGES:
        if span not in known.metrics:
            yield f"`{span}` is not a metric: see the metrics.py of each service."
    elif route := _ROUTE.fullmatch(span):
        yield from _route(route[1], route[2], known)
    elif _PATH.fullmatch(span) and ("/" in span or _SUFFIX.search(span)) and span.split(".")[0] not in PACKAGES:
        if not _is_path(span, page, known):
            yield f"`{span}` is not a file or folder here: correct the path. {_OR_FOREIGN}"
    elif dotted := _DOTTED.fullmatch(span):
        if not _is_dotted(dotted[1], known):
            yield f"`{span}` is neither one of our modules nor defined in one: correct the name. {_OR_FOREIGN}"
    elif re.fullmatch(r"\w+(\(\))?", span):
        word = span.removesuffix("()")
        if not word[0].isdigit() and word not in known.words and word not in known.variables:
            yield f"`{span}` does not occur in the code: correct the name. {_OR_FOREIGN}"
    else:
        words = span.split()
        files = [word for word in words if _PATH.fullmatch(word) and _SUFFIX.search(word)]
        for file in files:
            if not _is_path(file, page, known):
                yield f"`{file}` in `{span}` is not a file here: correct the path. {_OR_FOREIGN}"
        for word in _COMPOUND.findall(" ".join(word for word in words if word not in files)):
            if word not in known.words and word not in known.variables and word not in FOREIGN:
                yield f"`{word}` in `{span}` does not occur in the code: correct the name. {_OR_FOREIGN}"


_OR_FOREIGN: Final = "If it belongs to another program, add it to mh_devtools/docs/foreign.py."


def _variable(name: str, known: Known) -> str | None:
    """Return the fault of an environment variable or constant, or None."""
    if name.replace("__", "_") in known.variables or name in known.constants or name in FOREIGN:
        return None
    if name in known.words and not any(name.startswith(prefix) for prefix in known.prefixes):
        return None
    if name in known.words and name not in known.variables and _is_constant(name, known):
        return None
    return f"{name} is neither a setting nor a constant: docs/settings.md lists the settings. {_OR_FOREIGN}"


def _is_constant(name: str, known: Known) -> bool:
    return any(known.defines(module, name) for module in known.modules)


def _route(methods: str | None, path: str, known: Known) -> Iterator[str]:
    if _ELSEWHERE.match(path):
        return
    for prefix in ("/conversations-api/", "/rag-api/"):
        path = path.removeprefix(prefix.rstrip("/")) if path.startswith(prefix) else path
    if path.startswith("/{"):  # `GET /{id}`: the end of a route
        path = f"…{path}"
    pattern = template(path.rstrip("/").replace("/*", "")).replace("…", "*").replace("[", "[[]")
    found = [one for one in known.routes if fnmatchcase(one, pattern)] if pattern else ["/"]
    if not found and methods is None and pattern in known.prefixes_of_routes:
        return
    if not found:
        yield f"`{path}` is neither a route of the APIs nor a page of the gateway: see the OpenAPI documents."
    for method in re.split(", ", methods or ""):
        if found and method and not any(method.lower() in known.routes.get(one, ()) for one in found):
            yield f"`{path}` does not support {method}: see its OpenAPI document."


def _is_path(span: str, page: Page, known: Known) -> bool:
    if _ELSEWHERE.match(span) or _PLACEHOLDER.search(span):
        return True
    wanted = span.rstrip("/")
    near = (page.path.parent / wanted).as_posix()
    names = known.folders if span.endswith("/") else known.files | known.folders
    if re.search(r"[*{]|(^|/)(NAME|SERVICE)(/|$)", wanted):
        pattern = re.sub(r"\{[^}]*\}|\b(NAME|SERVICE)\b", "*", wanted)
        return any(fnmatchcase(name, pattern) or fnmatchcase(name, f"*/{pattern}") for name in names)
    return wanted in names or near in names or any(name.endswith(f"/{wanted}") for name in names)


def _is_dotted(name: str, known: Known) -> bool:
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        head, rest = ".".join(parts[:length]), ".".join(parts[length:])
        modules = [head] if parts[0] in PACKAGES else [one for one in known.modules if one.endswith(f".{head}")]
        for module in modules:
            if module in known.modules and (not rest or known.defines(module, rest)):
                return True
    if parts[0] in PACKAGES:
        return False
    if any(one.endswith(f".{parts[0]}") for one in known.modules):
        # `milvus.uri` is a setting by its path; anything else would have to be in that module.
        return "_".join(parts).upper() in known.variables
    # An attribute of an object, such as `client.history`.
    return all(part in known.words for part in parts)


def _commands(text: str, known: Known) -> Iterator[str]:
    """Yield the faults of the commands in a shell line or a code span."""
    for module in _MODULE_RUN.findall(text):
        if module.split(".")[0] in PACKAGES and module not in known.modules:
            yield f"The module {module} does not exist: correct the name."
    for target, variables in _MAKE.findall(re.sub(r"\b(apt-get|brew) install .*", "", text)):
        if target not in known.targets:
            yield f"`make {target}` is not a target: `make help` lists them."
        for name in re.findall(r"([A-Z_]+)=", variables):
            if name not in known.words and name not in known.variables:
                yield f"`make {target}` has no variable {name}: see the Makefile."
    for line in _MH.findall(text):
        yield from _mh(line, known)


def _mh(line: str, known: Known) -> Iterator[str]:
    command, path = known.mh, "mh"
    for word in re.sub(r"'[^']*'|\"[^\"]*\"", "TEXT", line.split("`")[0]).split():
        if word.startswith("-") and len(word) > 1:
            option = word.split("=")[0].rstrip(",.")
            if option not in command.options and option not in known.mh.options:
                yield f"`{path}` has no option {option}: see `{path} --help`."
        elif command.below:
            names = word.split("|")
            for name in names:
                if name not in command.below and not (name.isupper() or name in ("…", "...", "TEXT")):
                    yield f"`{path}` has no command {name}: see `{path} --help`."
            if len(names) == 1 and word in command.below:
                command, path = command.below[word], f"{path} {word}"


def _addresses(line: str, known: Known) -> Iterator[str]:
    for path in re.findall(r"http://127\.0\.0\.1:8080(/[\w/.{}…-]*)", line):
        # Replace an id by the parameter.
        if path != "/":
            yield from _route(None, re.sub(r"/\d+(?=/|$)", "/{}", path), known)


def _numbers(page: Page, known: Known) -> Iterator[tuple[int, str]]:
    for line, match in page.lines_of(_NAMED):
        name, said, unit = match[1], float(match[2].replace(",", "")), match[3]
        values = known.constants.get(name)
        if values is None and (
            name in known.words or name in known.variables
        ):  # otherwise its code span is already a fault
            yield line, f"{name} ({match[2]}): none of our modules defines {name} as a number. Correct the name."
        elif values is not None and not any(_same(said, unit, value) for value in values):
            true = " or ".join(f"{value:,g}" for value in sorted(set(values)))
            yield (
                line,
                f"{name} is {true} in the code, not {match[2]} {unit or ''}".rstrip() + ": correct the number.",
            )
    if page.path.as_posix() in STRICT:
        unnamed = _NAMED.sub(lambda match: "\n" * match[0].count("\n"), page.prose)
        for number, text in enumerate(unnamed.splitlines(), start=1):
            for quantity in _QUANTITY.findall(text):
                yield (
                    number,
                    f"{' '.join(quantity)}: name the constant or setting before it, as in `RUN_LEASE` (30 s).",
                )


def _same(said: float, unit: str | None, value: float) -> bool:
    """Return whether a number with its unit equals this value, which is in seconds, bytes or without a unit."""
    in_base_unit = abs(said * _UNITS.get(unit or "", 1) - value) < 1e-9
    return in_base_unit or (abs(said - value) < 1e-9 and unit in ("MB", "KB"))  # a setting in MB


def main() -> None:
    """Print all faults."""
    known = Known()
    found = [fault for page in pages() for fault in faults(page, known)]
    if found:
        sys.exit("\n".join(found))


if __name__ == "__main__":
    main()
