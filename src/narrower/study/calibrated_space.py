"""A space whose automatic ranges are found on training samples, and how far finding them is."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from narrower.data.parts import DataSet
from narrower.evaluate.calibration import Calibration
from narrower.evaluate.edge_calibration import EdgeCalibration
from narrower.graph.edges import edges_of
from narrower.graph.groups import Channels
from narrower.graph.lower import lower
from narrower.graph.program import Program
from narrower.plan.formats.affine import Affine
from narrower.plan.formats.known_data import AnyEdges, InChannels, KnownData
from narrower.searching.build_space import build_space, unsigned_data
from narrower.searching.space import Space
from narrower.searching.space_settings import SpaceSettings
from narrower.tasks.task import OfSamplesBy

# Opens what shows progress; the report takes a name, what is done, and of how much.
Calibrating = Callable[[], AbstractContextManager[Callable[..., None]]]
NAME = "calibration"
Key = tuple[Any, ...]  # what is asked: a layer, an operand and a width, say


def calibrated_space(
    program: Program,
    data: DataSet,
    settings: SpaceSettings,
    channels: Channels | None,
    taught: OfSamplesBy | None,
    calibrating: Calibrating | None = None,
) -> Space:
    """Build the space of a program that has its weights; ``calibrating`` shows how many ranges are found."""
    with _telling(program, settings, channels, calibrating) as tell:
        lowered = lower(program)
        calibration = Calibration(
            lowered,
            *data.train.arguments,
            rounding=settings.rounding,
            unsigned=unsigned_data(program.network, settings),
            settings=settings.calibration,
            taught=taught,
        )
        known = _Told(calibration, tell)
        edges = _Told(_known_edges(lowered, data, settings, taught), tell) if settings.on_edges else None
        return build_space(program.network, settings, known.fraction, channels, known, edges)


@contextmanager
def _telling(
    program: Program, settings: SpaceSettings, channels: Channels | None, calibrating: Calibrating | None
) -> Iterator[Callable[[Key], None]]:
    """What is told of each range that is found; nothing is shown where there is none to find."""
    counted = _Counted()
    if calibrating is not None:
        build_space(program.network, settings, counted.fraction, channels, counted, counted)
    if calibrating is None or not counted.asked:
        yield lambda _key: None
        return
    with calibrating() as report:
        yield _Teller(report, len(counted.asked))


class _Counted(AnyEdges):
    """Stands in for calibration to see what it will be asked."""

    def __init__(self) -> None:
        self.asked: set[Key] = set()

    def fraction(self, *key: Any) -> int:
        self.asked.add(key)
        return int(key[-1]) // 2

    def affine(self, layer: str, width: int, *, symmetric: bool, scales: str) -> Affine:
        self.asked.add((layer, width, symmetric, scales))
        return super().affine(layer, width, symmetric=symmetric, scales=scales)

    def weight(self, layer: str, wanted: InChannels, method: str) -> InChannels:
        self.asked.add((layer, wanted, method))
        return wanted


class _Teller:
    """Counts answers, each once."""

    def __init__(self, report: Callable[..., None], total: int) -> None:
        self._report, self._total, self._done = report, total, set[Key]()
        report(NAME, 0, total)

    def __call__(self, key: Key) -> None:
        if key not in self._done:
            self._done.add(key)
            self._report(NAME, len(self._done), self._total)


class _Told:
    """Calibration that tells of each range that it has found."""

    def __init__(self, known: Calibration | EdgeCalibration, tell: Callable[[Key], None]) -> None:
        self._known, self._tell = known, tell

    def fraction(self, *key: Any) -> int:
        found = self._known.fraction(*key)
        self._tell(key)
        return found

    def known_data(self, layer: str, /) -> KnownData:
        return self._known.known_data(layer)

    def affine(self, layer: str, width: int, *, symmetric: bool, scales: str) -> Affine:
        found = self._known.affine(layer, width, symmetric=symmetric, scales=scales)
        self._tell((layer, width, symmetric, scales))
        return found

    def weight(self, layer: str, wanted: InChannels, method: str) -> InChannels:
        found = self._known.weight(layer, wanted, method)
        self._tell((layer, wanted, method))
        return found


def _known_edges(
    lowered: Program, data: DataSet, settings: SpaceSettings, taught: OfSamplesBy | None
) -> EdgeCalibration:
    """What edges hold; those that must agree together, by the name of the first."""
    found = edges_of(lowered.network)
    groups = {group[0]: group for group in found.groups} if settings.agree else {}
    is_auto = settings.sign == "auto"
    return EdgeCalibration(
        lowered,
        *data.train.arguments,
        unsigned=frozenset(edge.name for edge in found.edges if edge.has_no_sign and is_auto),
        groups=groups,
        rounding=settings.rounding,
        settings=settings.calibration,
        taught=taught,
    )
