"""Which accelerators this machine has, by Lightning's names."""

import torch


def accelerators() -> dict[str, bool]:
    """Every accelerator that can be named, and whether it is here."""
    has_mps = torch.backends.mps.is_available()
    return {"cpu": True, "auto": True, "gpu": torch.cuda.is_available() or has_mps, "mps": has_mps}
