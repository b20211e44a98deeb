"""Whether a file of ``torch.export.save`` holds tensors and known operators alone, before it is loaded.

``torch.export.load`` unpickles weights and constants that say so (``weights_only=False``), example inputs
that cannot be read otherwise, and objects of TorchBind; it evaluates expressions of sizes as Python, and
looks operators up by any path below ``torch``. A file that needs any of that is refused.
"""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from narrower.errors import CheckpointError

PLACES = ("data/weights/", "data/constants/", "data/sample_inputs/", "models/", "extra/", ".data/")
FILES = ("archive_format", "archive_version", "version", "byteorder")
OPERATOR = re.compile(r"torch\.ops\.aten\.\w+(\.\w+)?")
ON_NUMBERS = re.compile(
    r"_operator\.(getitem|add|sub|mul|floordiv|truediv|mod|neg|pow|and_|or_|ge|gt|le|lt|eq|ne)"
    r"|torch\.sym_(max|min|not|float|int)"
)
NAME = re.compile(r"[\w.]*")
WORD = re.compile(r"[A-Za-z_]\w*")
SYMBOL = re.compile(r"Symbol\('[su]\d+'(, \w+=(True|False))*\)")
SIZE = re.compile(
    r"[su]\d+|Integer|Add|Mul|Pow|Max|Min|Mod|PythonMod|FloorDiv|CleanDiv|CeilDiv|Eq|Ne|Le|Lt|Ge|Gt|True|False"
)
CHARACTERS = re.compile(r"[\w\s+\-*/(),<>=]*")
NOT_READ = ("as_custom_obj", "as_operator", "as_graph", "custom_obj")


def check_archive(path: Path) -> None:
    """Refuse a file that is no such archive, or whose loading could run code of its own.

    Raises:
        CheckpointError: with what it holds.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            root = names[0].partition("/")[0] + "/"
            inside = {name: name.removeprefix(root) for name in names}
            if not any(name.startswith("models/") for name in inside.values()):
                raise CheckpointError(f"{path}: no exported program; torch.export.save writes such files")
            for name, short in inside.items():
                _check_file(path, short, archive.read(name))
    except (OSError, zipfile.BadZipFile, IndexError) as error:
        raise CheckpointError(f"{path}: cannot be read as an exported program: {error}") from error


def _check_file(path: Path, name: str, content: bytes) -> None:
    if name.startswith("data/sample_inputs/"):
        _check_examples(path, content)
    elif name.endswith(".json") and not name.startswith("extra/"):
        try:
            _check_values(path, json.loads(content))
        except (ValueError, RecursionError) as error:
            raise CheckpointError(f"{path}: {name} cannot be read: {error}") from error
    elif not (name.startswith(PLACES) or name in FILES):
        raise CheckpointError(f"{path}: holds {name}, which is no part of a program that is read here")


def _check_examples(path: Path, content: bytes) -> None:
    import torch

    try:
        torch.load(io.BytesIO(content), weights_only=True)
    except Exception as error:
        raise CheckpointError(
            f"{path}: its example inputs are more than tensors, and would be unpickled; it is refused"
        ) from error


def _check_values(path: Path, held: Any) -> None:
    for key, value in _entries(held):
        if key == "use_pickle" and value:
            raise CheckpointError(f"{path}: some tensors are pickles, which could run code; it is refused")
        if key in NOT_READ and value is not None:
            raise CheckpointError(f"{path}: holds {key.removeprefix('as_')}, which is not read here")
        if not isinstance(value, str):
            continue
        if key == "target" and not (OPERATOR.fullmatch(value) or ON_NUMBERS.fullmatch(value)):
            raise CheckpointError(f"{path}: calls {value!r}; allowed are the operators of aten")
        if key == "expr_str" and not _is_expression(value):
            raise CheckpointError(f"{path}: a size is {value[:60]!r}, which is no arithmetic; it is refused")
        if key == "name" and not NAME.fullmatch(value):
            raise CheckpointError(f"{path}: something is called {value[:60]!r}; it is refused")


def _is_expression(text: str) -> bool:
    text = SYMBOL.sub("s0", text)
    return bool(CHARACTERS.fullmatch(text)) and all(SIZE.fullmatch(word) for word in WORD.findall(text))


def _entries(held: Any) -> Iterator[tuple[str, Any]]:
    """Every key of every table, with what it holds."""
    waiting = [held]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield from value.items()
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
