"""A task of the user's own: ``package.module:name`` gives a loss and metrics."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from narrower.errors import DataError, SettingsError
from narrower.own_code.called import called
from narrower.own_code.failures import own_code
from narrower.own_code.imported import import_object
from narrower.tasks.own.all_samples import metric_of_all
from narrower.tasks.own.of_samples import Function, loss_of_each, number_of_each, truth_of_each
from narrower.tasks.task import LOSS, Ending, Loss, SampleMetric, Words

if TYPE_CHECKING:
    from torch import Tensor

KINDS = ("mean", "share", "all")
DIRECTIONS = ("maximize", "minimize")
KEYS = ("loss", "metrics", "outputs")
PAIR = 2  # a direction and a function
FORM = (
    "expected a dictionary, or an object with attributes: loss, a function of outputs and targets that gives "
    "a number of each sample; metrics, as in {'error': ('minimize', function)}; outputs, names, if you like"
)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class OwnTask:
    """What a module of the user's says of outputs and targets; two are the same that have one name.

    ``output_names`` are empty where nothing is said of them.
    """

    reference: str
    metrics: tuple[SampleMetric, ...] = field(compare=False)
    trained_by: Function = field(compare=False)
    output_names: tuple[str, ...] = field(default=(), compare=False)

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return own_task, (self.reference,)

    @property
    def words(self) -> Words:
        """It is called as it is named."""
        return Words(self.reference, "output", "outputs", "a task of your own")

    def loss(self, _ending: Ending) -> Loss:
        """Theirs, whatever a model ends in."""
        return Loss(
            f"the loss of {self.reference}", partial(loss_of_each, f"{self.reference}: loss", self.trained_by)
        )

    def check(
        self,
        targets: NDArray[Any],
        names: Sequence[str] | None = None,
        *,
        outputs: "Tensor | None" = None,
        teaches: bool = False,  # noqa: ARG002 - the user alone knows what can be learned
    ) -> tuple[str, ...]:
        """Targets may be any numbers; loss and metrics must take them with the outputs.

        Raises:
            DataError: targets are no numbers, or the user's functions do not take them, or give what is none.
        """
        if targets.dtype.kind not in "fiu" or targets.ndim < 1 or 0 in targets.shape:
            raise DataError(
                f"the targets are {targets.dtype} of shape {targets.shape}; expected numbers [N, ...]"
            )
        if outputs is not None:
            self._try(outputs, targets)
        if names is not None:
            return tuple(names)
        count = 1 if targets.ndim == 1 else targets[0].size
        return self.output_names or tuple(f"output_{number}" for number in range(count))

    def _try(self, outputs: "Tensor", targets: NDArray[Any]) -> None:
        wanted = outputs.double().new_tensor(targets.tolist())
        wanted = wanted.float() if targets.dtype.kind == "f" else wanted.long()
        with own_code(f"task {self.reference!r}", DataError):
            self.loss(Ending()).of_samples(outputs, wanted)
            for metric in self.metrics:
                if metric.of_all is None:
                    metric.contributions(outputs, wanted)


def own_task(reference: str) -> OwnTask:
    """Import a task; a function or class is called without arguments.

    Raises:
        SettingsError: it cannot be imported, or is no task.
    """
    made: Any = import_object(reference, SettingsError)
    where = f"task {reference!r}"
    if (callable(made) and not _has_form(made)) or isinstance(made, type):
        made = called(where, reference, made, SettingsError)
    if not _has_form(made):
        raise SettingsError(f"{where} is {type(made).__name__} without loss and metrics; {FORM}")
    loss, metrics, names = (_part(made, key) for key in KEYS)
    if isinstance(made, Mapping) and (unknown := [key for key in made if key not in KEYS]):
        raise SettingsError(f"{where}: unknown key {unknown[0]!r}; {FORM}")
    if not callable(loss):
        raise SettingsError(f"{where}: loss is {type(loss).__name__}, no function; {FORM}")
    if not isinstance(metrics, Mapping) or not metrics:
        raise SettingsError(f"{where}: metrics is {type(metrics).__name__}; {FORM}")
    found = [_metric(where, reference, name, entry) for name, entry in metrics.items()]
    by = SampleMetric(LOSS, f"the loss of {reference}", "minimize", partial(number_of_each, reference, loss))
    return OwnTask(reference, (found[0], by, *found[1:]), loss, _names(where, names))


def _has_form(made: object) -> bool:
    return all(_part(made, key) is not None for key in KEYS[:2])


def _part(made: object, key: str) -> Any:
    return made.get(key) if isinstance(made, Mapping) else getattr(made, key, None)


def _names(where: str, names: object) -> tuple[str, ...]:
    if names is None:
        return ()
    if (
        isinstance(names, str)
        or not isinstance(names, Sequence)
        or not all(isinstance(n, str) for n in names)
    ):
        raise SettingsError(f"{where}: outputs is {names!r}; expected names, as in ['low', 'high']")
    return tuple(names)


def _metric(where: str, reference: str, name: object, entry: object) -> SampleMetric:
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name == LOSS:
        raise SettingsError(
            f"{where}: a metric is called {name!r}; expected letters, digits and _, and not {LOSS!r}"
        )
    given = tuple(entry) if isinstance(entry, tuple | list) else ()
    rest: tuple[Any, ...] = ("mean",) if len(given) == PAIR else (None,) * len(KINDS)
    direction, function, kind, *_ = (*given, *rest)
    if len(given) > len(KINDS) or direction not in DIRECTIONS or not callable(function) or kind not in KINDS:
        raise SettingsError(
            f"{where}: metric {name!r} is {_shown(entry)}; expected ('maximize' or 'minimize', function), "
            "and behind them, if you like, what the function gives: 'mean' (a number of each sample), "
            "'share' (True or False of each sample) or 'all' (one number of all samples)"
        )
    said = f"of {reference}"
    if kind == "all":
        return metric_of_all(f"{reference}: {name}", name, said, direction, function)
    is_share = kind == "share"
    of_samples = partial(truth_of_each if is_share else number_of_each, f"{reference}: {name}", function)
    return SampleMetric(name, said, direction, of_samples, is_share=is_share)


def _shown(entry: object) -> str:
    return (
        f"{type(entry).__name__} of {len(entry)}" if isinstance(entry, tuple | list) else type(entry).__name__
    )
