"""By what the most important channels of a layer are chosen."""

from typing import Literal

Importance = Literal["l2", "batch_norm", "taylor"]
