"""By what the most important channels of a layer are chosen."""

from typing import Literal, get_args

Importance = Literal["l2", "batch_norm", "taylor"]
IMPORTANCES: tuple[str, ...] = get_args(Importance)
