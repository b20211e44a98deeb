"""A member of a learned front as logic, proved equal to what was scored."""

import json
from pathlib import Path
from typing import Any

from narrower.data.datasets import load_data_set
from narrower.errors import ExportError, RunError
from narrower.export.gate_samples import MOST, gate_samples
from narrower.export.learned_logic import deliver_learned_verilog, learned_luts
from narrower.export.manifest import Check, versions
from narrower.files import check_output_directory, write_json
from narrower.learning.chain_file import load_chain
from narrower.study.learned_front import RECORD


def export_member(
    run: Path, number: int, directory: Path, *, samples: int = MOST, data_path: Path | None = None
) -> tuple[float, tuple[Check, ...]]:
    """Write Verilog and ``manifest.json`` of a member; its look-up tables, and what was compared.

    Raises:
        RunError: the run has no such member, or its data are others now.
        ExportError: the artefact computes something else.
        MissingExtraError: da4ml is not installed.
    """
    record = _record(run)
    files = {member["number"]: member["file"] for member in record["members"]}
    if number not in files:
        raise RunError(f"{run}: no member {number}; there are {len(files):,}, from 0 to {len(files) - 1:,}")
    check_output_directory(directory)
    chain = load_chain(run / files[number])
    data = load_data_set(record["data_set"], path=data_path)
    if data.content_hash != record["data_hash"]:
        raise RunError(f"{run}: the data set {data.name!r} has changed since the run")
    inputs, own = gate_samples(data, samples)
    checks = deliver_learned_verilog(chain, inputs.numpy(), directory)
    luts = learned_luts(chain)
    manifest = {
        "kind": "verilog",
        "member": number,
        "ebops": chain.ebops,
        "luts": luts,
        "passed": all(check.passed("exact") for check in checks),
        "checks": [
            {"runtime": c.runtime, "samples": c.samples, "differing_elements": c.differing_elements}
            for c in checks
        ],
        "samples_of_data_set": min(own, samples),
        "versions": versions(),
    }
    write_json(directory / "manifest.json", manifest)
    for check in checks:
        if not check.passed("exact"):
            raise ExportError(
                f"{directory}: {check.runtime} computes something else than was scored: "
                f"{check.differing_elements:,} of {check.elements:,} output elements differ"
            )
    return luts, checks


def _record(run: Path) -> dict[str, Any]:
    path = run / RECORD
    try:
        record: dict[str, Any] = json.loads(path.read_bytes())
        _ = [(member["number"], member["file"]) for member in record["members"]]
        _ = record["data_set"], record["data_hash"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path}: cannot be read as the record of a learned front: {error}") from None
    return record
