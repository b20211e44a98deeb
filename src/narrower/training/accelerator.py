"""Which accelerators this machine has, by Lightning's names."""

import torch


def accelerators() -> dict[str, bool]:
    """Every accelerator that can be named, and whether it is here."""
    has_mps = torch.backends.mps.is_available()
    return {"cpu": True, "auto": True, "gpu": torch.cuda.is_available() or has_mps, "mps": has_mps}


def device_of(accelerator: str) -> torch.device:
    """Where tensors lie that an accelerator computes with; "auto" takes the fastest that is here."""
    if accelerator in ("auto", "gpu") and torch.cuda.is_available():
        return torch.device("cuda")
    if accelerator == "mps" or (accelerator != "cpu" and torch.backends.mps.is_available()):
        return torch.device("mps")
    return torch.device("cpu")
