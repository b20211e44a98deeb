"""A member of a learned front as an artefact, proved equal to what was scored."""

import json
from pathlib import Path
from typing import Any

from narrower.data.datasets import load_data_set
from narrower.errors import RunError
from narrower.export.deliver import export_plan
from narrower.export.manifest import Manifest
from narrower.export.subject import Subject, Wishes
from narrower.preparation.learning.chain_file import load_chain
from narrower.preparation.learning.plan_form import as_model, plan_of
from narrower.store.files import check_output_directory
from narrower.study.learned_front import RECORD


def export_member(
    run: Path, number: int, kind: str, directory: Path, wishes: Wishes, *, data_path: Path | None = None
) -> Manifest:
    """Write a member as ONNX, QONNX, Verilog or safetensors, run it, and say what was compared.

    Raises:
        RunError: the run has no such member, or its data are others now.
        ExportError: the artefact computes something else.
        MissingExtraError: what writes or runs it is not installed.
    """
    record = _record(run)
    files = {member["number"]: member["file"] for member in record["members"]}
    if number not in files:
        raise RunError(f"{run}: no member {number}; there are {len(files):,}, from 0 to {len(files) - 1:,}")
    check_output_directory(directory)
    model, names = as_model(chain := load_chain(run / files[number]))
    data = load_data_set(record["data_set"], path=data_path)
    if data.content_hash != record["data_hash"]:
        raise RunError(f"{run}: the data set {data.name!r} has changed since the run")
    subject = Subject(model, f"{run.name}, member {number}", plan_of(chain, names), data, number)
    return export_plan(subject, kind, directory, wishes)


def _record(run: Path) -> dict[str, Any]:
    path = run / RECORD
    try:
        record: dict[str, Any] = json.loads(path.read_bytes())
        _ = [(member["number"], member["file"]) for member in record["members"]]
        _ = record["data_set"], record["data_hash"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path}: cannot be read as the record of a learned front: {error}") from None
    return record
