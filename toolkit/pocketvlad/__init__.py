"""pocketvlad: compress place-recognition models, and any torch module, and run them on Android phones."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from pocketvlad.api import (
        Program,
        compress,
        evaluate,
        export,
        fit,
        import_checkpoint,
        load,
        open_program,
        package,
        save,
    )
    from pocketvlad.compress.compressed import Compressed
    from pocketvlad.compress.recipe import Recipe, load_recipe
    from pocketvlad.errors import PocketvladError
    from pocketvlad.model.network import Network
    from pocketvlad.steps.places import Places, build_index, open_index
    from pocketvlad.steps.whitening import whiten

__all__ = [
    "Compressed",
    "Network",
    "Places",
    "PocketvladError",
    "Program",
    "Recipe",
    "build_index",
    "compress",
    "evaluate",
    "export",
    "fit",
    "import_checkpoint",
    "load",
    "load_recipe",
    "open_index",
    "open_program",
    "package",
    "save",
    "whiten",
]

_HOMES = {
    "Compressed": "pocketvlad.compress.compressed",
    "Network": "pocketvlad.model.network",
    "Places": "pocketvlad.steps.places",
    "PocketvladError": "pocketvlad.errors",
    "Recipe": "pocketvlad.compress.recipe",
    "build_index": "pocketvlad.steps.places",
    "load_recipe": "pocketvlad.compress.recipe",
    "open_index": "pocketvlad.steps.places",
    "whiten": "pocketvlad.steps.whitening",
}


def __getattr__(name: str) -> Any:
    """The public names, imported when they are first used: torch takes seconds."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pocketvlad.errors import missing_package

    try:
        found = getattr(import_module(_HOMES.get(name, "pocketvlad.api")), name)
    except ModuleNotFoundError as error:
        raise missing_package(error) from error
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])


class _Package(ModuleType):
    """Keeps a room of the package from hiding the public function of its name, as ``compress`` would."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in __all__ and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
