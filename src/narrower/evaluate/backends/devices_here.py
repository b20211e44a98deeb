"""Which device of this machine a name means, and how it is called in words."""

from narrower.errors import SettingsError


def resolved_device(name: str) -> str:
    """The device that a name means here: "auto" is the fastest.

    Raises:
        SettingsError: it is not here.
    """
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    here = [f"cuda:{number}" for number in range(count)]
    here += ["mps"] if torch.backends.mps.is_available() else []
    here.append("cpu")
    found = here[0] if name == "auto" else "cuda:0" if name == "cuda" else name
    if found not in here:
        raise SettingsError(f"device: found {name!r}, which is not here; here: {', '.join(here)} (or auto)")
    return found


def device_words(device: str) -> str:
    """A device as a run records it: which one computes, decides how sums are rounded."""
    import torch

    return f"{device} ({torch.cuda.get_device_name(device)})" if device.startswith("cuda") else device
