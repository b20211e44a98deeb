"""Objects of the user's own, named ``package.module:attribute``."""

import importlib
import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from narrower.errors import PYTHON, NarrowerError, module_of_file, nearest
from narrower.own_code.failures import own_code


def import_object(reference: str, error: type[NarrowerError]) -> object:
    """Import ``package.module:attribute``; modules in the working directory are found.

    Raises:
        NarrowerError: of the given type, when the module or the attribute cannot be had.
    """
    module_name, _, attribute = reference.partition(":")
    if not module_name or not attribute:
        raise error(f"{reference!r} is no reference; expected package.module:name")
    if module_name.endswith(PYTHON) or "/" in module_name:
        right = module_of_file(module_name)
        raise error(
            f"{reference!r}: write {right}:{attribute}, the module as Python imports it, not its file"
        )
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    with own_code(f"{reference!r}: importing {module_name!r}", error):
        module = importlib.import_module(module_name)
    if not hasattr(module, attribute):
        names = [name for name in vars(module) if not name.startswith("_")]
        raise error(f"{reference!r}: module {module_name!r} has no {attribute!r}{nearest(attribute, names)}")
    found: object = getattr(module, attribute)
    return found


def is_module(name: str) -> bool:
    """Whether Python would find a module, here or installed; nothing of it is run."""
    top, *inner = name.split(".")
    found = PathFinder.find_spec(top, [str(Path.cwd())]) or _found(top, None)
    for part in inner:
        top = f"{top}.{part}"
        places = None if found is None else found.submodule_search_locations
        found = _found(top, list(places)) if places else None
    return found is not None


def _found(name: str, places: list[str] | None) -> ModuleSpec | None:
    """As Python's finders have it, those of packages that are installed from their sources among them."""
    specs = (finder.find_spec(name, places) for finder in sys.meta_path)
    return next(filter(None, specs), None)
