"""How a search goes about it: which sampler, how long, with what chance."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class LatencyOptions:
    """How latency is measured: samples in a call, threads, and seconds for each distinct graph at most."""

    batch_size: int = 1
    threads: int = 1
    limit_seconds: float = 20.0


@dataclass(frozen=True, slots=True)
class DeviceOptions:
    """The processor that C is written for, and how it packs weights there."""

    processor: str = "cortex-m4"
    pack: Literal["size", "speed"] = "size"


@dataclass(frozen=True, slots=True)
class LogicOptions:
    """The clock that says into how many stages logic is cut."""

    clock_ns: float = 5.0


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """Everything about a search besides what is searched, and where.

    ``trials`` counts distinct evaluated plans, None meaning all; ``batch`` is the number of proposals asked
    for at a time, None meaning what suits the sampler. With ``drop_dominated``, a plan is dropped as soon as
    it can no longer reach the front. ``measure_front`` names metrics that are measured on the artefacts of
    the front's members when the search has ended. Without ``allow_uncounted``, a network is not searched
    where plans reach too little of its work. With ``uniform_first``, plans with the same formats in every
    layer are tried before the sampler begins. With ``sensitivity_first`` the guided sampler begins with plans
    in which layers lose bits in the order of what that loses. ``part`` (3, 8) tries the third of eight shares
    of the plans that the sampler would propose.
    """

    sampler: str = "brute_force"
    trials: int | None = None
    timeout_seconds: float | None = None
    batch: int | None = None
    seed: int = 0
    drop_dominated: bool = False
    measure_front: tuple[str, ...] = ()
    latency: LatencyOptions = LatencyOptions()
    device: DeviceOptions = DeviceOptions()
    logic: LogicOptions = LogicOptions()
    allow_uncounted: bool = False
    uniform_first: bool = False
    sensitivity_first: bool = False
    part: tuple[int, int] | None = None
