"""Values that are held for later, up to a number of bytes."""

from collections import OrderedDict
from collections.abc import Container, Hashable
from typing import Any

from torch import Tensor

OBJECT_BYTES = 2**10  # of a value besides its elements


class ValueCache:
    """The values that were used last, by key."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._values: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._bytes = 0
        self._evicted = 0

    def get(self, key: Hashable) -> Any | None:
        """The value of a key, which counts as a use; None where it is not held."""
        found = self._values.get(key)
        if found is None:
            return None
        self._values.move_to_end(key)
        return found[0]

    def put(self, key: Hashable, value: Any, pinned: Container[Hashable] = ()) -> None:
        """Hold a value; what was not used for the longest time goes, but for ``pinned`` keys."""
        size = held_bytes(value) + OBJECT_BYTES
        self._values[key] = value, size
        self._bytes += size
        if self._bytes > self._capacity:
            self.shrink(pinned)

    def shrink(self, pinned: Container[Hashable] = ()) -> None:
        """Let go what does not fit; ``pinned`` keys last."""
        for _ in range(len(self._values)):
            if self._bytes <= self._capacity:
                return
            key = next(iter(self._values))
            if key in pinned:
                self._values.move_to_end(key)
            else:
                self._drop(key)
        while self._bytes > self._capacity:
            self._drop(next(iter(self._values)))

    def take_evicted(self) -> int:
        """Bytes that were let go since this was last asked."""
        evicted, self._evicted = self._evicted, 0
        return evicted

    def _drop(self, key: Hashable) -> None:
        size = self._values.pop(key)[1]
        self._bytes -= size
        self._evicted += size

    def clear(self) -> None:
        """Let go everything."""
        self._values.clear()
        self._bytes = 0


def held_bytes(value: Any) -> int:
    """Bytes that stay allocated while a value is held; a view holds all that it looks at."""
    if isinstance(value, Tensor):
        return value.untyped_storage().nbytes()
    if isinstance(value, tuple | list):
        return sum(held_bytes(item) for item in value)
    return 0
