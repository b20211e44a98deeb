"""Which class prepares plans for which settings; it is imported when it is built."""

from importlib import import_module

from narrower.preparation.preparation import Preparation, Subject
from narrower.preparation.settings import (
    AdjustedSettings,
    CandidateSettings,
    CrossValidatedSettings,
    LearnedSettings,
    LearnedShapesSettings,
    PreparationSettings,
    RetrainedSettings,
    SharedSettings,
)

PREPARATIONS: dict[type, str] = {
    SharedSettings: "narrower.preparation.shared:Shared",
    AdjustedSettings: "narrower.preparation.adjusted:Adjusted",
    RetrainedSettings: "narrower.preparation.retrained:Retrained",
    CrossValidatedSettings: "narrower.preparation.in_folds:InFolds",
    CandidateSettings: "narrower.preparation.resized:Resized",
    LearnedShapesSettings: "narrower.preparation.learned_shapes:LearnedShapes",
    LearnedSettings: "narrower.preparation.learned:Learned",
}


def build_preparation(settings: PreparationSettings, subject: Subject) -> Preparation:
    """What prepares the plans of a search as its settings say."""
    module, name = PREPARATIONS[type(settings)].split(":")
    preparation: Preparation = getattr(import_module(module), name)(subject, settings)
    return preparation
