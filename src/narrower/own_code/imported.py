"""Objects of the user's own, named ``package.module:attribute``."""

import importlib
import sys
from pathlib import Path

from narrower.errors import NarrowerError, nearest
from narrower.own_code.failures import own_code


def import_object(reference: str, error: type[NarrowerError]) -> object:
    """Import ``package.module:attribute``; modules in the working directory are found.

    Raises:
        NarrowerError: of the given type, when the module or the attribute cannot be had.
    """
    module_name, _, attribute = reference.partition(":")
    if not module_name or not attribute:
        raise error(f"{reference!r} is no reference; expected package.module:name")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    with own_code(f"{reference!r}: importing {module_name!r}", error):
        module = importlib.import_module(module_name)
    if not hasattr(module, attribute):
        names = [name for name in vars(module) if not name.startswith("_")]
        raise error(f"{reference!r}: module {module_name!r} has no {attribute!r}{nearest(attribute, names)}")
    found: object = getattr(module, attribute)
    return found
