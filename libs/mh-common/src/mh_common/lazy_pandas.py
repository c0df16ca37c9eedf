"""Import pandas on first use, instead of when pymilvus is imported (ADR 37).

pymilvus imports pandas for an interface that nothing here uses, which costs 40 MB of memory per process and a quarter
of a second at startup. `install` registers placeholder modules that provide the names pymilvus needs while it is
imported, and import the real pandas when anything else is used.
"""

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final

PANDAS: Final = "pandas"
_NAMES: Final = (PANDAS, "pandas.api", "pandas.api.types")


class _DataFrameType(type):
    def __instancecheck__(cls, instance: object) -> bool:
        # Without pandas there are no data frames.
        real = sys.modules.get(PANDAS)
        return not isinstance(real, _LazyModule) and real is not None and isinstance(instance, real.DataFrame)


class _DataFrame(metaclass=_DataFrameType):
    """Placeholder for `pandas.DataFrame` in annotations and type checks; creating one returns a real one."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return _load(PANDAS).DataFrame(*args, **kwargs)


class _LazyModule(ModuleType):
    """A module that is imported on first use."""

    def __getattr__(self, name: str) -> Any:
        # Who asks for the version, such as pyarrow, is about to use it.
        if name.startswith("__") and name not in ("__path__", "__version__"):
            raise AttributeError(name)
        return getattr(_load(self.__name__), name)


class _LazyFunctions(_LazyModule):
    """A module of functions; calling one of them imports it."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*args: Any, **kwargs: Any) -> Any:
            return getattr(_load(self.__name__), name)(*args, **kwargs)

        return call


def install() -> None:
    """Make pandas lazy, unless it is already imported. Call this before importing pymilvus."""
    if PANDAS in sys.modules:
        return
    for name in _NAMES:
        module = _LazyFunctions(name) if name == _NAMES[-1] else _LazyModule(name)
        module.__spec__ = ModuleSpec(name, None, is_package=True)
        sys.modules[name] = module
    vars(sys.modules[PANDAS])["DataFrame"] = _DataFrame


def _load(name: str) -> ModuleType:
    for lazy in _NAMES:
        if isinstance(sys.modules.get(lazy), _LazyModule):
            del sys.modules[lazy]
    return import_module(name)
