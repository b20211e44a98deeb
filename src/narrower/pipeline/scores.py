"""How the plans of a problem get their quality."""

from functools import partial

from narrower.evaluate.evaluator import Evaluator
from narrower.pipeline.problem import Problem
from narrower.pipeline.scorer import Scorer
from narrower.searching.objective import ARTEFACT_METRICS


class SharedScore:
    """All plans are scored with the same weights."""

    training = None

    def __init__(self, problem: Problem, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self.adopt = evaluator.adopt
        self.evaluate = partial(evaluator.evaluate, loss="loss" in problem.seen_metrics)

    @property
    def adopted(self) -> int:
        """Plans whose result came from an earlier search."""
        return self._evaluator.adopted


def build_scorer(problem: Problem, evaluator: Evaluator) -> Scorer:
    """What scores a problem's plans; ``evaluator`` is that of the model as it is."""
    artefacts = sorted(problem.seen_metrics & set(ARTEFACT_METRICS))
    if artefacts:
        from narrower.pipeline.artefacts import Artefacts, MeasuredScore  # as ONNX Runtime does

        scorer = SharedScore(problem, evaluator)
        return MeasuredScore(scorer, Artefacts(problem, evaluator.program), artefacts)
    if problem.candidates is not None:
        from narrower.pipeline.resized_score import ResizedScore  # Lightning takes seconds to import

        return ResizedScore(problem, evaluator.batch_size)
    if problem.retraining is not None:
        from narrower.pipeline.retraining import RetrainingScore

        return RetrainingScore(problem, problem.retraining, evaluator.batch_size)
    return SharedScore(problem, evaluator)
