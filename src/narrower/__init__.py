"""Find the bit widths and channel widths at which a neural network still does its job."""

from importlib import import_module
from typing import Any

# Public names and where they live; loaded on first use, since torch takes seconds to import.
_HOMES = {
    "CandidateSettings": "narrower.preparation.settings",
    "FixedPoint": "narrower.plan.formats.fixed",
    "LayerPlan": "narrower.plan.plan",
    "NarrowerError": "narrower.errors",
    "Plan": "narrower.plan.plan",
    "Recipe": "narrower.training.recipe",
    "Subject": "narrower.export.deliver",
    "StopSearch": "narrower.errors",
    "TrackedEnd": "narrower.store.trackers.tracker",
    "TrackedSearch": "narrower.store.trackers.tracker",
    "TrackedTrial": "narrower.store.trackers.tracker",
    "Tracker": "narrower.store.trackers.tracker",
    "TrackerSettings": "narrower.store.trackers.tracker",
    "Wishes": "narrower.export.deliver",
    "build_model": "narrower.models.build",
    "finetune": "narrower.study.finetuned_run",
    "fold_batch_norm": "narrower.graph.folding",
    "export_plan": "narrower.export.deliver",
    "int8_plan": "narrower.evaluate.int8_plan",
    "groups": "narrower.transform.tried_channels",
    "learn": "narrower.study.learned_api",
    "load_compressed": "narrower.export.compressed",
    "load_data_set": "narrower.data.datasets",
    "load_weights": "narrower.models.checkpoints",
    "quantized": "narrower.transform.quantized",
    "load_resized": "narrower.study.resized_files",
    "resize": "narrower.transform.resized",
    "search": "narrower.study.api",
    "trace": "narrower.graph.trace",
    "with_corrected_biases": "narrower.evaluate.bias_correction",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'narrower' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(_HOMES)
