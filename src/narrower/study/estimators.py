"""Scikit-learn estimators: train a small network, search its number formats, keep the cheapest."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn

from narrower.data.parts import DataSet, Part
from narrower.data.prepared import Scaling, of_arguments
from narrower.data.splitting import moments
from narrower.errors import RunError
from narrower.study.api import search
from narrower.tasks.catalogue import TASKS
from narrower.tasks.task import leading
from narrower.training.one_model import train_weights
from narrower.training.recipe import Recipe

if TYPE_CHECKING:
    from narrower.report.record import Member
    from narrower.study.result import SearchResult

LEAST_SAMPLES = 10  # for three parts that each hold something
BATCHES = 4  # at least, where there are few samples
SHARES = (0.2, 0.2)  # of all samples the test part; of the rest those that plans are scored on
Floats = NDArray[np.float32]


class _Narrow(BaseEstimator):  # type: ignore[misc] # scikit-learn is not typed here
    """What both have in common: the arguments, and how the network, its weights and its plan are found."""

    _task = ""

    def __init__(  # noqa: PLR0913 - scikit-learn wants every choice as an argument of its own
        self,
        hidden: Sequence[int] = (16, 16),
        *,
        weight_widths: Sequence[int] = (2, 3, 4, 6, 8),
        data_widths: Sequence[int] = (4, 6, 8),
        cost: str = "bitops",
        max_drop: float = 0.01,
        n_trials: int = 60,
        max_epochs: int = 30,
        batch_size: int = 256,
        learning_rate: float = 0.01,
        random_state: Any = None,
    ) -> None:
        self.hidden = hidden
        self.weight_widths = weight_widths
        self.data_widths = data_widths
        self.cost = cost
        self.max_drop = max_drop
        self.n_trials = n_trials
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.random_state = random_state

    def _fit_network(self, inputs: NDArray[Any], targets: NDArray[Any], names: tuple[str, ...]) -> None:
        """Train, search, keep the cheapest plan that loses at most ``max_drop``."""
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        data = self._data(inputs, targets, names, seed)
        batch = max(2, min(self.batch_size, len(data.train) // BATCHES))
        recipe = Recipe(
            max_epochs=self.max_epochs, batch_size=batch, learning_rate=self.learning_rate, seed=seed
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            untrained = _network(inputs.shape[1], tuple(self.hidden), len(names))
        self.float_model_: nn.Module = train_weights(untrained, data.train, recipe)
        operands: dict[str, Sequence[Any]] = {
            "weight": list(self.weight_widths),
            "data": list(self.data_widths),
            "bias": [8],
        }
        space = {
            "linear": {**operands, "data_frac": ["auto"], "weight_frac": ["auto"], "bias_frac": ["auto"]}
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of the export; nothing is exported yet
            self.result_: SearchResult = search(
                self.float_model_,
                data,
                space,
                [leading(data.task).name, self.cost],
                by="type",
                n_trials=self.n_trials,
                seed=seed,
                allow_uncounted=True,
            )
        self.member_: Member = self._chosen()
        self.model_: nn.Module = self.result_.model(self.member_)

    def _chosen(self) -> "Member":
        try:
            return self.result_.cheapest(self.max_drop)
        except RunError:  # every plan loses more
            return self.result_.best()

    def _data(
        self, inputs: NDArray[Any], targets: NDArray[Any], names: tuple[str, ...], seed: int
    ) -> DataSet:
        """Parts to train, to score plans on, and to look at the front with; standardised by the first."""
        rows = np.arange(len(inputs))
        rest, test = _split(rows, targets, SHARES[0], seed)
        train, validation = _split(rest, targets, SHARES[1], seed)
        self._mean, self._deviation = moments(inputs[train])
        tensor = self._standardised(inputs)
        task = TASKS[self._task]
        parts = [Part(tensor[r], torch.from_numpy(targets[r]), (), task) for r in (train, validation, test)]
        scaled = of_arguments([Scaling.of(self._mean, self._deviation)])
        prepared = replace(scaled, outputs=self._scaling_of_targets())
        return DataSet("X", parts[0], parts[1], parts[2], names, prepared=prepared)

    def _scaling_of_targets(self) -> Scaling | None:
        """What targets were standardised by, where they were."""
        return None

    def _standardised(self, inputs: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(((inputs - self._mean) / self._deviation).astype(np.float32))

    def _outputs(self, X: Any) -> torch.Tensor:  # noqa: N803 - scikit-learn's name
        check_is_fitted(self)
        inputs = validate_data(self, X, reset=False, dtype=np.float64)
        with torch.no_grad():
            outputs: torch.Tensor = self.model_(self._standardised(inputs))
        return outputs

    def __getstate__(self) -> dict[str, Any]:
        """Without the search, which holds open what cannot be kept; the network and its plan are kept."""
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name != "result_"}


class NarrowClassifier(ClassifierMixin, _Narrow):  # type: ignore[misc]
    """Fits the narrowest multilayer perceptron that classifies as well as float32, but for ``max_drop``.

    After ``fit``: ``result_`` is the search with its whole front, ``member_`` the plan that was kept,
    ``model_`` the network that computes it (of standardised inputs), ``float_model_`` the one before.
    """

    _task = "classification"

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803
        """Train on samples [N, F] and search on others of them."""
        inputs, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=LEAST_SAMPLES)
        check_classification_targets(y)
        self.classes_, targets = np.unique(y, return_inverse=True)
        if len(self.classes_) == 1:
            raise ValueError(f"Classifier can't train when only one class is present: {self.classes_[0]!r}")
        self._fit_network(inputs, targets.astype(np.int64), tuple(map(str, self.classes_)))
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """The probability [N, C] of each of ``classes_``."""
        return np.asarray(self._outputs(X).double().softmax(dim=1), dtype=np.float64)

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """The most likely class of each sample."""
        check_is_fitted(self)
        found: NDArray[Any] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return found


class NarrowRegressor(RegressorMixin, _Narrow):  # type: ignore[misc]
    """Fits the narrowest multilayer perceptron that foretells as well as float32, but for ``max_drop``.

    What is kept after ``fit`` is as of ``NarrowClassifier``; ``model_`` foretells standardised targets.
    """

    _task = "regression"

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803
        """Train on samples [N, F] and search on others of them."""
        inputs, y = validate_data(
            self, X, y, dtype=np.float64, y_numeric=True, ensure_min_samples=LEAST_SAMPLES
        )
        values = np.asarray(y, dtype=np.float64)
        self._centre, self._spread = float(values.mean()), float(values.std()) or 1.0
        targets = ((values - self._centre) / self._spread).astype(np.float32)
        self._fit_network(inputs, targets, ("y",))
        return self

    def _scaling_of_targets(self) -> Scaling:
        return Scaling((self._centre,), (self._spread,), ())

    def predict(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """The value of each sample."""
        outputs = self._outputs(X).double().reshape(-1)
        return np.asarray(outputs, dtype=np.float64) * self._spread + self._centre


def _network(features: int, hidden: tuple[int, ...], outputs: int) -> nn.Module:
    layers: list[nn.Module] = []
    for before, after in zip((features, *hidden), hidden, strict=False):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear((features, *hidden)[-1], outputs))


def _split(
    rows: NDArray[Any], targets: NDArray[Any], share: float, seed: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Cut rows in two; every class in both, where there are samples enough."""
    of_class = targets[rows] if np.issubdtype(targets.dtype, np.integer) else None
    kept = round(len(rows) * share)
    if of_class is not None:
        counts = np.bincount(of_class)
        if counts[counts > 0].min() < 2 or kept < (counts > 0).sum():  # noqa: PLR2004 - one for each side
            of_class = None
    first, second = train_test_split(rows, test_size=max(1, kept), random_state=seed, stratify=of_class)
    return first, second
