"""The names that documents can refer to: files, routes, commands, variables, modules, constants, words.

Each set is read from the declarations, so documents cannot refer to names that were changed or removed.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from mh_devtools.docs import settings_reference
from mh_devtools.docs.pages import tracked_files
from mh_devtools.paths import ROOT

PACKAGES: Final = {
    "mh_common": "libs/mh-common/src",
    "mh_client": "libs/mh-client/src",
    "conversations_api": "services/conversations-api/src",
    "indexer_worker": "services/indexer-worker/src",
    "rag_api": "services/rag-api/src",
    "mh_devtools": "scripts/src",
}
"""The source folder of each of our packages."""

TESTS: Final = "tests/test_documents.py"
"""Contains made-up names on purpose."""

_WORD: Final = re.compile(r"[A-Za-z_]\w*")
_UPPER: Final = re.compile(r"\b[A-Z][A-Z0-9_]{2,}\b")
_DURATION: Final = {"timedelta": {"days": 86_400.0, "hours": 3600.0, "minutes": 60.0, "seconds": 1.0}}
_METHODS: Final = frozenset({"get", "post", "put", "patch", "delete"})


@dataclass(frozen=True)
class Command:
    """A command of `mh`: its options and subcommands."""

    options: frozenset[str]
    below: Mapping[str, "Command"]


class Known:
    """The known names. Each set is computed when it is first used."""

    @cached_property
    def files(self) -> set[str]:
        """Every file, by its path relative to the root."""
        return {path.as_posix() for path in tracked_files()}

    @cached_property
    def folders(self) -> set[str]:
        """Every folder that contains a file."""
        return {parent.as_posix() for name in self.files for parent in Path(name).parents} - {"."}

    @cached_property
    def modules(self) -> dict[str, Path]:
        """Our modules and packages by their dotted name."""
        found = {}
        for package, folder in PACKAGES.items():
            for file in (ROOT / folder / package).rglob("*.py"):
                parts = file.relative_to(ROOT / folder).with_suffix("").parts
                found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
        return found

    @cached_property
    def _trees(self) -> dict[str, ast.Module]:
        return {name: ast.parse(file.read_text(encoding="utf-8")) for name, file in self.modules.items()}

    def defines(self, module: str, name: str) -> bool:
        """Return whether a module defines a name at its top level or, for `CLASS.NAME`, in a class."""
        body: list[ast.stmt] = self._trees[module].body
        for part in name.split("."):
            found = [statement for statement in body if part in _bound(statement)]
            if not found:
                return False
            body = getattr(found[-1], "body", [])
        return True

    @cached_property
    def words(self) -> set[str]:
        """Every identifier in the code, and the words in its strings; for Python without docstrings and comments."""
        found: set[str] = set()
        for name in self.files - {TESTS}:
            path = ROOT / name
            if not path.is_file():  # the chart contains links to folders
                continue
            if path.suffix == ".py":
                found.update(_words_of(ast.parse(path.read_text(encoding="utf-8"))))
            elif path.suffix not in {".md", ".json", ".lock", ".svg", ".png", ".csv", ".onnx", ".txt"}:
                lines = path.read_text(encoding="utf-8", errors="ignore").splitlines()
                found.update(_WORD.findall("\n".join(line for line in lines if not line.lstrip().startswith("#"))))
        return found

    @cached_property
    def variables(self) -> set[str]:
        """Every environment variable that is a setting or occurs in the environment and Compose files."""
        found = {"ENVIRONMENT", "STARTUP_TIMEOUT"}
        for name, group in settings_reference.groups():
            found.update(f"{name}_{field}".upper() for field in group.model_fields)
        found.update(f"{name}_FILE" for name in list(found))
        for name in self.files:
            if name.startswith("infra/") and (ROOT / name).is_file() and not name.endswith(".md"):
                found.update(re.findall(r"\$\{([A-Z][A-Z0-9_]*)", (ROOT / name).read_text(encoding="utf-8")))
            if name == ".env.example" or name.startswith("infra/env/"):
                text = (ROOT / name).read_text(encoding="utf-8")
                found.update(re.findall(r"^(?:# )?([A-Z][A-Z0-9_]*)=", text, re.MULTILINE))
        # The command `mh`, tests and benchmarks read variables with the prefix of a settings group.
        return found | {word for word in self.words if re.fullmatch(r"MH_[A-Z0-9_]+", word)}

    @cached_property
    def prefixes(self) -> set[str]:
        """The prefixes of the variables of each settings group, such as `DATABASE_`.

        Without `MH_`, which also begins the names that the client and the tests read.
        """
        return {f"{name}_".upper() for name, _ in settings_reference.groups()} - {"MH_"}

    @cached_property
    def targets(self) -> set[str]:
        """The targets of the Makefile."""
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        return set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))

    @cached_property
    def mh(self) -> Command:
        """The command `mh` with its subcommands and options."""
        from mh_client._commands import app
        from typer.main import get_command

        return _command(get_command(app))

    @cached_property
    def _openapi(self) -> list[dict[str, Any]]:
        import conversations_api.main
        import rag_api.main
        from conversations_api.settings import FirstAdministratorSettings
        from conversations_api.settings import Settings as ConversationsSettings
        from mh_common.access_settings import AuthSettings
        from rag_api.settings import Settings as RagSettings

        # The routes are the same in both modes.
        apps = (
            conversations_api.main.create_app(ConversationsSettings(auth=FirstAdministratorSettings(mode="open"))),
            rag_api.main.create_app(RagSettings(auth=AuthSettings(mode="open"))),
        )
        return [app.openapi() for app in apps]

    @cached_property
    def routes(self) -> dict[str, set[str]]:
        """The methods of each route of both APIs, by its path with every parameter written as `{}`."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        for document in self._openapi:
            for path, operations in document["paths"].items():
                found[template(path)].update(method for method in operations if method in _METHODS)
        # Not in the OpenAPI documents: MCP describes itself, and the others are for operators.
        found["/mcp"] |= {"get", "post"}
        for path in ("/metrics", "/openapi.json"):
            found[path].add("get")
        return dict(found)

    @cached_property
    def route_descriptions(self) -> list[str]:
        """The description of each route in the OpenAPI documents."""
        paths = [operations for document in self._openapi for operations in document["paths"].values()]
        return [one["description"] for operations in paths for one in operations.values() if "description" in one]

    @cached_property
    def prefixes_of_routes(self) -> set[str]:
        """Paths that are not routes of the APIs: prefixes of routes, and the gateway's own paths."""
        from mh_devtools.embedded.local_gateway import CONVERSATIONS, PAGES, PRIVATE, RAG, ROUTES

        found = {*PAGES, *PRIVATE, *ROUTES, f"/{CONVERSATIONS}", f"/{RAG}"}
        for path in self.routes:
            parts = path.split("/")
            found.update("/".join(parts[:length]) for length in range(2, len(parts)))
        return found

    @cached_property
    def metrics(self) -> set[str]:
        """The names of the metrics that the services export."""
        import conversations_api.metrics
        import indexer_worker.metrics
        import mh_common.embeddings.metrics
        import mh_common.web.metrics
        import rag_api.metrics
        from mh_common.metrics import Counter, Histogram

        found = set()
        for module in (
            conversations_api.metrics,
            indexer_worker.metrics,
            rag_api.metrics,
            mh_common.web.metrics,
            mh_common.embeddings.metrics,
        ):
            for metric in vars(module).values():
                if isinstance(metric, Counter | Histogram):
                    found.add(f"{metric._name}_total" if isinstance(metric, Counter) else metric._name)
        return found | {word for word in self.words if re.fullmatch(r"mh_\w+", word)}

    @cached_property
    def decisions(self) -> dict[int, Path]:
        """The architecture decision records by number."""
        return {int(path.name[:4]): path for path in sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))}

    @cached_property
    def constants(self) -> dict[str, list[Any]]:
        """Our modules' numeric constants; times in seconds. A name can be defined in several modules."""
        found: defaultdict[str, list[Any]] = defaultdict(list)
        for module, tree in self._trees.items():
            for node in tree.body:
                target, value = _assigned(node)
                if target and value is not None and (number := self._number(value)) is not None:
                    found[target].append(number)
                    found[f"{module.rsplit('.', 1)[-1]}.{target}"].append(number)
        for name, group in settings_reference.groups():
            for field_name, field in group.model_fields.items():
                default = field.get_default(call_default_factory=True, validated_data={})
                if isinstance(default, int | float):
                    found[f"{name}_{field_name}".upper()].append(default)
        return dict(found)

    def _number(self, node: ast.expr) -> float | None:
        """Evaluate an expression of numbers, durations and other constants; return None for anything else."""
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
            return node.value
        if isinstance(node, ast.Name):
            values = [self._number(value) for value in self._values_of(node.id)]
            return values[0] if len(set(values)) == 1 else None
        if isinstance(node, ast.BinOp):
            left, right = self._number(node.left), self._number(node.right)
            return None if left is None or right is None else _computed(node.op, left, right)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _DURATION:
            units = _DURATION[node.func.id]
            parts = [(units.get(one.arg or ""), self._number(one.value)) for one in node.keywords]
            if parts and not node.args and all(unit is not None and number is not None for unit, number in parts):
                return sum(unit * number for unit, number in parts if unit is not None and number is not None)
        return None

    def _values_of(self, name: str) -> list[ast.expr]:
        found = []
        for tree in self._trees.values():
            for node in tree.body:
                target, value = _assigned(node)
                if target == name and value is not None:
                    found.append(value)
        return found


def template(path: str) -> str:
    """Return a route's path with every parameter written as `{}`, and without its query string."""
    return re.sub(r"\{[^}]*\}", "{}", path.split("?")[0])


def _computed(operator: ast.operator, left: float, right: float) -> float | None:
    match operator:
        case ast.Add():
            return left + right
        case ast.Sub():
            return left - right
        case ast.Mult():
            return left * right
        case ast.Div():
            return left / right
        case ast.Pow():
            return float(left**right)
        case _:
            return None


def _assigned(node: ast.stmt) -> tuple[str | None, ast.expr | None]:
    """Return name and value of an assignment to one name."""
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return node.target.id, node.value
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id, node.value
    return None, None


def _bound(statement: ast.stmt) -> set[str]:
    """Return the names that a statement binds."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return {one.asname or one.name for one in statement.names}
    target, _ = _assigned(statement)
    return {target} if target else set()


def _words_of(tree: ast.Module) -> Iterator[str]:
    """Yield the identifiers of a module and the words in its strings, except docstrings."""
    docstrings = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.keyword(arg=str(name)):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.ImportFrom(module=module):
                yield from _WORD.findall(module or "")
                yield from (one.name for one in node.names)
            case ast.Import():
                yield from (word for one in node.names for word in _WORD.findall(one.name))
            case ast.Constant(value=str(text)) if id(node) not in docstrings:
                yield from _WORD.findall(text)
            case _:
                pass


def _command(command: Any) -> Command:
    options = frozenset(name for one in command.params for name in (*one.opts, *one.secondary_opts) if name[0] == "-")
    below = {name: _command(one) for name, one in getattr(command, "commands", {}).items()}
    return Command(options | {"--help"}, below)
