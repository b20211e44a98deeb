"""Plans are scored on an accelerator, where weights and samples stay."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from narrower.errors import ModelError
from narrower.evaluate.backends.backend import Engine, Say
from narrower.evaluate.backends.devices_here import resolved_device
from narrower.evaluate.backends.settings import BackendSettings
from narrower.plan.plan import Plan
from narrower.tasks.quality import Quality

T = TypeVar("T")
PROBED_PLANS = 4
MOST_HALVINGS = 22  # of up to 2**6 plans and then of a batch, which has fewer samples than 2**16


class OneDevice:
    """One engine on the device; the driver's own, on the CPU, says how far results lie apart.

    Products are formed in float32: TF32 stays off. Where memory is short, half as many plans and
    then half as many samples are taken at a time, which is said.
    """

    lost = 0

    def __init__(self, settings: BackendSettings, say: Say) -> None:
        self._device, self._say = resolved_device(settings.device), say
        self._here: Engine | None = None
        self._engine: Engine | None = None  # on the device
        self._halvings = 0
        self._is_probed = False

    def start(self, engine: Engine) -> None:
        """Bring weights and samples to the device."""
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        self._here = engine
        self._fitting(self._moved)

    def score(self, plans: Sequence[Plan], loss: bool) -> list[Quality]:
        """The qualities of plans, in their order."""
        found = self._fitting(lambda: self._moved().score(plans, loss))
        if not self._is_probed and plans:
            self._probe(plans[:PROBED_PLANS], found, loss)
        return found

    def close(self) -> None:
        """Forget what lies on the device."""
        self._engine, self._is_probed = None, False
        if self._device.startswith("cuda"):
            torch.cuda.empty_cache()

    def _moved(self) -> Engine:
        assert self._here is not None, "start comes first"
        if self._engine is None:
            self._engine = self._here.on(self._device, self._halvings)
        return self._engine

    def _fitting(self, work: Callable[[], T]) -> T:
        """Do what needs memory of the device, with half as much at a time where it is short."""
        while True:
            try:
                return work()
            except torch.OutOfMemoryError as error:
                if self._halvings == MOST_HALVINGS:
                    raise ModelError(f"{self._device} has no memory for one sample: {error}") from error
            self._engine = None
            self._halvings += 1
            if self._device.startswith("cuda"):
                torch.cuda.empty_cache()
            self._say(f"{self._device}: out of memory; going on with half as much at a time")

    def _probe(self, plans: Sequence[Plan], found: Sequence[Quality], loss: bool) -> None:
        """Say how far the first results are from those of the CPU."""
        assert self._here is not None
        self._is_probed = True
        pairs = list(zip(self._here.score(plans, loss), found, strict=False))
        both = [(here, there) for here, there in pairs if here.failure is None and there.failure is None]
        apart = []
        for name in both[0][0].metrics if both else ():
            largest = max(abs(here.metrics[name] - there.metrics[name]) for here, there in both)
            apart.append(f"{name} by at most {largest:.2g}")
        if apart:
            plans_words = f"{len(both)} plan{'s' * (len(both) > 1)}"
            self._say(f"{self._device} and cpu differ on {plans_words} in {', '.join(apart)}")
