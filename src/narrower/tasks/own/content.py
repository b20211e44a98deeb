"""Whether a task of the user's own is still the same: what its module holds."""

import hashlib
import inspect
import sys
from pathlib import Path

from narrower.tasks.own.task import OwnTask
from narrower.tasks.task import Task


def content_of(task: Task) -> str | None:
    """The name of a task and a hash of its module's text; None for a task of the program."""
    if not isinstance(task, OwnTask):
        return None
    module = sys.modules.get(task.reference.partition(":")[0])
    file = None if module is None else inspect.getsourcefile(module)
    text = Path(file).read_bytes() if file is not None and Path(file).is_file() else b""
    return f"{task.reference} {hashlib.sha256(text).hexdigest()}"
