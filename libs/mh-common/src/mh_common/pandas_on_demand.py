"""pandas, loaded when somebody uses it instead of when pymilvus is imported (ADR 37).

pymilvus imports it for the data frames of an interface that nothing here uses; that takes 40 MB of each process and a
quarter of a second of each start. `install` puts modules in its place that hold what pymilvus names while it is
imported, and load the real one at the first use of anything else.
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
        # Where pandas is not loaded nothing is one.
        real = sys.modules.get(PANDAS)
        return not isinstance(real, _OnDemand) and real is not None and isinstance(instance, real.DataFrame)


class _DataFrame(metaclass=_DataFrameType):
    """Stands for `pandas.DataFrame` in annotations and type checks; to make one makes a real one."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return _load(PANDAS).DataFrame(*args, **kwargs)


class _OnDemand(ModuleType):
    """A module that is loaded at its first use."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__path__":
            raise AttributeError(name)
        return getattr(_load(self.__name__), name)


class _Functions(_OnDemand):
    """A module of functions, each of which loads it when it is called."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*args: Any, **kwargs: Any) -> Any:
            return getattr(_load(self.__name__), name)(*args, **kwargs)

        return call


def install() -> None:
    """Put pandas off, unless it is loaded already. To be called before pymilvus is imported."""
    if PANDAS in sys.modules:
        return
    for name in _NAMES:
        module = _Functions(name) if name == _NAMES[-1] else _OnDemand(name)
        module.__spec__ = ModuleSpec(name, None, is_package=True)
        sys.modules[name] = module
    vars(sys.modules[PANDAS])["DataFrame"] = _DataFrame


def _load(name: str) -> ModuleType:
    for put_off in _NAMES:
        if isinstance(sys.modules.get(put_off), _OnDemand):
            del sys.modules[put_off]
    return import_module(name)
