"""A connection to a Ray cluster, and what its workers need to import the same modules."""

import os
import sys
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import GetTimeoutError
from ray.util import register_serializer

from narrower.errors import SettingsError
from narrower.evaluate.backends.ray_worker import operator
from narrower.evaluate.backends.settings import BackendSettings

NOT_SENT = (".git", ".venv", "runs", "__pycache__")  # of the current directory, with the user's own modules


def connect(settings: BackendSettings) -> None:
    """Connect to the cluster, or begin one that ends with this process.

    Raises:
        SettingsError: there is no such cluster.
    """
    quiet = {"log_to_driver": False, "configure_logging": False}
    try:
        if settings.address == "local":
            ray.init(address="local", num_cpus=settings.max_workers, include_dashboard=False, **quiet)
        else:
            ray.init(address=settings.address, **quiet)
    except (ConnectionError, RuntimeError, ValueError, GetTimeoutError) as error:
        raise SettingsError(
            f"the backend 'ray' found no cluster at address {settings.address!r}: {error}; "
            'start one with "ray start --head", or take address = "local"'
        ) from error


def send_operators() -> None:
    """PyTorch's operators, which do not say how they are sent, go by their names."""
    from torch import _ops

    register_serializer(_ops.OpOverload, serializer=str, deserializer=operator)


def own_modules() -> list[str]:
    """The modules that were imported from the current directory: the user's own."""
    here = Path.cwd()
    found = []
    for name, module in list(sys.modules.items()):
        file = Path(getattr(module, "__file__", None) or "/")
        if file.is_relative_to(here) and not set(NOT_SENT) & set(file.relative_to(here).parts):
            found.append(name)
    return sorted(found)


def environment(settings: BackendSettings) -> dict[str, Any]:
    """What a worker needs to import the same modules: the same paths, or a copy of the current directory."""
    paths = [str(Path(path).resolve()) for path in sys.path if not path.endswith(".zip")]
    variables = {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    if settings.address == "local" or not own_modules():
        return {"env_vars": variables}
    return {"env_vars": variables, "working_dir": str(Path.cwd()), "excludes": list(NOT_SENT)}
