"""Which modules of the user's own a command imports, which it says before their code runs."""

from collections.abc import Iterable

from narrower.cli.console import note
from narrower.data.catalogue import is_own
from narrower.models.catalogue import FILES, NOT_OWN
from narrower.own_code.imported import is_module


def say_imports(dataset: str, others: Iterable[str]) -> None:
    """Say of a data set, and of models, metrics or tasks, which modules of the user's they import."""
    for module in _own_modules(dataset, others):
        note(f"imports your module {module!r}, whose code runs")


def _own_modules(dataset: str, others: Iterable[str]) -> list[str]:
    """Those that are there: what is not is an error, and imports nothing."""
    plain = [name.partition("?")[0] for name in others]
    names = [name for name in plain if not name.startswith(NOT_OWN) and not name.endswith(FILES)]
    if is_own(dataset):
        names.append(dataset)
    modules = {name.partition(":")[0] for name in names if ":" in name}
    return sorted(filter(is_module, modules))
