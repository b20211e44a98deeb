"""Find the bit widths and channel widths at which a neural network still does its job."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the same names, for type checkers and editors
    from narrower.data.datasets import load_data_set as load_data_set
    from narrower.errors import NarrowerError as NarrowerError
    from narrower.errors import StopSearch as StopSearch
    from narrower.evaluate.adjustments import adjusted as adjusted
    from narrower.evaluate.bias_correction import with_corrected_biases as with_corrected_biases
    from narrower.evaluate.int8_plan import int8_plan as int8_plan
    from narrower.evaluate.learned_rounding import with_learned_rounding as with_learned_rounding
    from narrower.evaluate.norm_estimation import with_estimated_norms as with_estimated_norms
    from narrower.export.compressed import load_compressed as load_compressed
    from narrower.export.deliver import export_plan as export_plan
    from narrower.export.subject import Subject as Subject
    from narrower.export.subject import Wishes as Wishes
    from narrower.graph.folding import fold_batch_norm as fold_batch_norm
    from narrower.graph.trace import trace as trace
    from narrower.models.build import build_model as build_model
    from narrower.models.checkpoints import load_weights as load_weights
    from narrower.plan.formats.fixed import FixedPoint as FixedPoint
    from narrower.plan.plan import LayerPlan as LayerPlan
    from narrower.plan.plan import Plan as Plan
    from narrower.preparation.settings import CandidateSettings as CandidateSettings
    from narrower.searching.by_hand import AskedPlan as AskedPlan
    from narrower.store.trackers.tracker import (
        TrackedEnd as TrackedEnd,
    )
    from narrower.store.trackers.tracker import (
        TrackedSearch as TrackedSearch,
    )
    from narrower.store.trackers.tracker import (
        TrackedTrial as TrackedTrial,
    )
    from narrower.store.trackers.tracker import (
        Tracker as Tracker,
    )
    from narrower.store.trackers.tracker import (
        TrackerSettings as TrackerSettings,
    )
    from narrower.study.api import search as search
    from narrower.study.by_hand import Study as Study
    from narrower.study.estimators import NarrowClassifier as NarrowClassifier
    from narrower.study.estimators import NarrowRegressor as NarrowRegressor
    from narrower.study.finetuned_run import finetune as finetune
    from narrower.study.learned_api import learn as learn
    from narrower.study.resized_files import load_resized as load_resized
    from narrower.training.recipe import Recipe as Recipe
    from narrower.training.search_after_fit import AfterFit as AfterFit
    from narrower.transform.pruned import without_pruned as without_pruned
    from narrower.transform.quantized import quantized as quantized
    from narrower.transform.resized import resize as resize
    from narrower.transform.tried_channels import groups as groups

# Public names and where they live; loaded on first use, since torch takes seconds to import.
_HOMES = {
    "AfterFit": "narrower.training.search_after_fit",
    "AskedPlan": "narrower.searching.by_hand",
    "CandidateSettings": "narrower.preparation.settings",
    "FixedPoint": "narrower.plan.formats.fixed",
    "LayerPlan": "narrower.plan.plan",
    "NarrowerError": "narrower.errors",
    "NarrowClassifier": "narrower.study.estimators",
    "NarrowRegressor": "narrower.study.estimators",
    "Plan": "narrower.plan.plan",
    "Recipe": "narrower.training.recipe",
    "Study": "narrower.study.by_hand",
    "Subject": "narrower.export.subject",
    "StopSearch": "narrower.errors",
    "TrackedEnd": "narrower.store.trackers.tracker",
    "TrackedSearch": "narrower.store.trackers.tracker",
    "TrackedTrial": "narrower.store.trackers.tracker",
    "Tracker": "narrower.store.trackers.tracker",
    "TrackerSettings": "narrower.store.trackers.tracker",
    "Wishes": "narrower.export.subject",
    "adjusted": "narrower.evaluate.adjustments",
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
    "with_estimated_norms": "narrower.evaluate.norm_estimation",
    "with_learned_rounding": "narrower.evaluate.learned_rounding",
    "without_pruned": "narrower.transform.pruned",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'narrower' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(_HOMES)
