"""Which rounding a new search takes where its settings name none."""

from collections.abc import Iterable
from dataclasses import replace

from narrower.searching.objective import CLOCKED_METRICS
from narrower.settings.load import LoadedSettings
from narrower.settings.schema import SPACE_KINDS, RunSettings

LOGIC_METRICS = frozenset({"luts", *CLOCKED_METRICS})
HALF_UP = "half_up"
NOTE = (
    "search_space.setup.rounding: logic is counted, so ties go upwards (half_up): logic rounds like that, "
    "and every chain of linear layers can be built; rounding = 'half_even' takes them to the even step"
)


def with_rounding(loaded: LoadedSettings) -> LoadedSettings:
    """The settings of a new search: half_up where logic is counted, which a note says."""
    space = loaded.settings.search.search_space
    if space.setup.rounding is not None or not _counts_logic(loaded.settings):
        return loaded
    setup = space.setup.model_copy(update={"rounding": HALF_UP})
    search = loaded.settings.search.model_copy(
        update={"search_space": space.model_copy(update={"setup": setup})}
    )
    settings = loaded.settings.model_copy(update={"search": search})
    return replace(loaded, settings=settings, notes=(*loaded.notes, NOTE))


def default_rounding(metrics: Iterable[str]) -> str:
    """The rounding of a search for some metrics where none is asked for."""
    return HALF_UP if LOGIC_METRICS.intersection(metrics) else "half_even"


def _counts_logic(settings: RunSettings) -> bool:
    strategy = settings.search.strategy
    wanted = (*strategy.metrics, *strategy.constraints, *(strategy.hw_runner.measure_front or ()))
    is_rounded = SPACE_KINDS[settings.search.search_space.name] != "resize"
    return is_rounded and default_rounding(wanted) == HALF_UP
