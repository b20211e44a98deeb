"""The ways in which the most important channels of a layer can be chosen."""

from typing import Literal

Importance = Literal["l2", "batch_norm", "taylor"]
