"""Load the weights of a model from a file, and write them without half-written files."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from safetensors.torch import save_file
from torch import Tensor, nn

from narrower.data.sizes import Sizes, sizes_from_text
from narrower.errors import CheckpointError, ModelError
from narrower.graph.folding import folded_layers, with_folded_layers
from narrower.graph.own_copy import own_copy
from narrower.graph.own_sizes import own_sizes
from narrower.models.checkpoint_files import metadata_of, read_content
from narrower.models.stored_weights import NAMED_PROBLEMS, largest_state_dict, stored_weights
from narrower.store.files import replacing

FOLDED = "narrower.folded"  # metadata: the layer that each folded batch norm is in
OWN_SIZES = "narrower.own_sizes"  # metadata: whole numbers that modules of the user's classes keep
SIZES = "narrower.sizes"  # metadata: the sizes that a model of any size was built for


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read tensors by name from a Lightning checkpoint, a state dict or a safetensors file.

    A prefix that a wrapper put before every name is taken off. No code of the file is run.

    Raises:
        CheckpointError: no such file, not readable, or refused because it holds more than tensors.
    """
    content = read_content(path)
    try:
        return largest_state_dict(content)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None


def load_weights(
    model: nn.Module, path: Path | str, *, say: Callable[[str], None] | None = None
) -> nn.Module:
    """Return a copy of ``model`` with the weights of a file.

    Where batch norms are folded in the file, they are in the copy. ``say`` is told what of the file was
    passed over.

    Raises:
        CheckpointError: the file cannot be read, does not fit the model, or holds NaN or infinity.
    """
    path = Path(path)
    model = structured_like(model, path)
    found = stored_weights(read_content(path), model.state_dict(), path, type(model).__name__)
    if say is not None and found.passed_over:
        more = len(found.passed_over) - NAMED_PROBLEMS
        names = ", ".join(found.passed_over[:NAMED_PROBLEMS]) + (f" and {more} more" if more > 0 else "")
        say(f"{path}: not weights of {type(model).__name__}, and passed over: {names}")
    loaded = own_copy(model)
    loaded.load_state_dict(found.state)
    return loaded


def structured_like(model: nn.Module, path: Path) -> nn.Module:
    """The model, or a copy of it in which those batch norms are folded that are folded in the file.

    Raises:
        CheckpointError: the model does not have the layers that are folded there.
    """
    folded = metadata_of(path).get(FOLDED)
    if folded is None:
        return model
    try:
        layers = json.loads(folded)
        return model if folded_layers(model) == layers else with_folded_layers(model, layers)
    except (ValueError, AttributeError, ModelError) as error:
        raise CheckpointError(f"{path} does not fit {type(model).__name__}: {error}") from error


def structure_note(model: nn.Module) -> dict[str, str]:
    """What the metadata of a file says about a model whose batch norms are folded, or that has any size."""
    folded, sizes = folded_layers(model), getattr(model, "sizes", None)
    note = {FOLDED: json.dumps(folded)} if folded else {}
    return note | {SIZES: sizes.text} if isinstance(sizes, Sizes) else note


def sizes_in(path: Path) -> Sizes | None:
    """The sizes of the model whose weights a file holds; None where it does not say them."""
    text = metadata_of(path).get(SIZES)
    return None if text is None else sizes_from_text(text)


def own_sizes_note(model: nn.Module) -> dict[str, str]:
    """What the metadata of a file says about the whole numbers that a resized model's own classes keep."""
    sizes = own_sizes(model)
    return {OWN_SIZES: json.dumps(sizes)} if sizes else {}


def own_sizes_in(path: Path) -> dict[str, int]:
    """The whole numbers that a file says; none where it says none.

    Raises:
        CheckpointError: what it says are no whole numbers.
    """
    text = metadata_of(path).get(OWN_SIZES, "{}")
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(type(size) is int for size in found.values()):
        raise CheckpointError(
            f"{path}: its note {OWN_SIZES} is {text[:60]!r}; allowed: names and whole numbers"
        )
    return found


def save_weights(
    model: nn.Module,
    path: Path,
    metadata: dict[str, str] | None = None,
    beside: Mapping[str, Tensor] = MappingProxyType({}),
) -> None:
    """Write the model's parameters and buffers, and other tensors ``beside`` them, as safetensors.

    Raises:
        OutputError: they cannot be written.
    """
    tensors, held = {}, set[int]()
    for name, tensor in model.state_dict().items():
        own = tensor.detach().cpu().contiguous()
        storage = own.untyped_storage()
        # Tied parameters share memory, which safetensors refuses: such a name gets a copy of its own.
        if storage.data_ptr() in held or storage.nbytes() != own.nbytes:
            own = own.clone()
        held.add(own.untyped_storage().data_ptr())
        tensors[name] = own
    with replacing(path) as partial:
        save_file(tensors | dict(beside), partial, {**structure_note(model), **(metadata or {})} or None)
