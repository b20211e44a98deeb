"""The trackers by name."""

from collections.abc import Callable

from narrower.errors import require_extra, unknown_name
from narrower.store.trackers.event_file import TensorBoard
from narrower.store.trackers.mlflow_server import MlflowServer
from narrower.store.trackers.text_files import CsvFile, JsonLines
from narrower.store.trackers.tracker import Tracker, TrackerSettings
from narrower.store.trackers.weights_and_biases import WeightsAndBiases

TRACKERS: dict[str, Callable[[TrackerSettings], Tracker]] = {
    "csv": lambda _: CsvFile(),
    "jsonl": lambda _: JsonLines(),
    "tensorboard": lambda _: TensorBoard(),
    "mlflow": MlflowServer,
    "wandb": WeightsAndBiases,
}
WANDB_MODES = ("offline", "online", "disabled")


_EXTRAS = ("tensorboard", "mlflow", "wandb")  # each the name of a package as well


def build_trackers(settings: TrackerSettings) -> dict[str, Tracker]:
    """Those that are asked for, by name; nothing is opened yet.

    Raises:
        UnknownNameError: there is no such tracker.
        MissingExtraError: what it needs is not installed.
    """
    for name in settings.names:
        if name not in TRACKERS:
            raise unknown_name("tracker", name, TRACKERS)
        if name in _EXTRAS:
            require_extra(name, name, f"the tracker {name!r}")
    return {name: TRACKERS[name](settings) for name in settings.names}
