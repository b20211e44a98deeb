"""What was compared with what, and with which result: the file beside every artefact."""

from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from narrower.data.prepared import Prepared, prepared_dict
from narrower.errors import ExportError
from narrower.export.check import Check, Mode
from narrower.export.ties import Ties
from narrower.tasks.classification.task import CLASSIFICATION
from narrower.tasks.task import Words

VERSIONED = ("narrower", "torch", "numpy", "onnx", "onnxruntime", "qonnx", "da4ml", "safetensors")


@dataclass(frozen=True, slots=True)
class Manifest:
    """An artefact and how far it can be trusted.

    ``mode`` says what must be equal: every output element ("exact"), or, where operators remain that runtimes
    round differently (``inexact``), the predicted class ("class"), or of other tasks the outputs up to
    rounding ("close"). The first of ``checks`` is the gate: the artefact as it runs unless told otherwise.
    ``samples_of_data_set`` of the samples are the data set's own; the others are these with noise.
    ``computed_bytes`` is the metric model_size, ``bytes_on_disk`` what lies there. ``prepared`` says how
    inputs were made of raw numbers, and what outputs are to be multiplied by; None: it is not known. Where
    outputs differ, ``ties`` says how many roundings of the artefact went to the other of two nearest steps.
    """

    artefact: str
    kind: str
    model: str
    trial: int | None
    plan: dict[str, dict[str, str | float]]
    batch_size: int | None
    mode: Mode
    inexact: tuple[str, ...]
    checks: tuple[Check, ...]
    samples_of_data_set: int
    bytes_on_disk: int
    computed_bytes: float
    notes: tuple[str, ...] = ()
    output_names: tuple[str, ...] = ()  # what the outputs stand for, in their order
    words: Words = CLASSIFICATION.words  # of the task
    prepared: Prepared | None = None
    ties: Ties | None = None  # where the gate is passed because of them, or is not in spite of them

    @property
    def passed(self) -> bool:
        """Whether the gate is passed."""
        return self.checks[0].passed(self.mode) or (self.ties is not None and self.ties.explain)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, with the gate's numbers at the top."""
        gate, held = self.checks[0], asdict(self)
        del held["words"], held["prepared"]
        if self.ties is None:
            del held["ties"]
        held[self.words.names_key] = held.pop("output_names")
        return {
            "passed": self.passed,
            "mode": self.mode,
            "samples": gate.samples,
            "differing_elements": gate.differing_elements,
            "differing_classes": gate.differing_classes,
            "largest_difference": gate.largest_difference,
            **held,
            **prepared_dict(self.prepared),
            "versions": versions(),
        }

    def require_passed(self) -> None:
        """Raise unless the artefact does what was evaluated.

        Raises:
            ExportError: with the size of the mismatch.
        """
        gate = self.checks[0]
        if not self.passed:
            what = (
                f"{gate.differing_elements:,} of {gate.elements:,} output elements differ, by at most "
                f"{gate.largest_difference:g}"
                if self.mode in ("exact", "close")
                else f"{gate.differing_classes:,} of {gate.samples:,} samples get another class"
            )
            if self.ties is not None:
                what += f"; {self.ties.note}"
            raise ExportError(
                f"{self.artefact}: {gate.runtime} computes something else than the search did: {what}; "
                "--allow-mismatch keeps it and records this"
            )


def versions() -> dict[str, str]:
    """The versions of what took part."""
    found = {}
    for package in VERSIONED:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
