"""A model with its plan in one safetensors file."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from narrower.errors import CheckpointError, NarrowerError
from narrower.export.bit_packing import pack, pack_sparse, unpack, unpack_sparse
from narrower.export.integers import whole_numbers
from narrower.export.loaded import DeployedAtFirstCall, deployed_model, deployed_module
from narrower.graph.called_modules import trace_or_call
from narrower.graph.lower import lower
from narrower.graph.nodes import is_layout, parameter_behind, rounded_operand
from narrower.graph.program import Program
from narrower.models.arguments import ARGUMENTS, arguments_note, example_of_note
from narrower.models.build import model_of_file
from narrower.models.checkpoints import (
    load_weights,
    own_sizes_in,
    own_sizes_note,
    save_weights,
    structure_note,
    structured_like,
)
from narrower.models.stored_formats import format_tensors, formats_in, without_formats
from narrower.plan.formats.fixed_channels import FixedChannels
from narrower.plan.formats.fixed_each import FixedEach
from narrower.plan.formats.sparse import Sparse
from narrower.plan.formats.text import parse_format
from narrower.plan.plan import OPERANDS, Plan, plan_from_dict, plan_to_dict
from narrower.store.files import replacing
from narrower.transform.new_sizes import with_tensors
from narrower.transform.quantized import quantized
from narrower.transform.quantizers.quantize import quantize_to_steps

MODEL, PLAN, PACKED = "narrower.model", "narrower.plan", "narrower.packed"


def save_compressed(
    model: nn.Module, model_name: str, plan: Plan, path: Path, arguments: Sequence[Tensor] = ()
) -> None:
    """Write the float32 weights, the model's name and the plan; widths are those that ``model`` has already.

    ``arguments`` are samples of what the model takes, where they are known. The plan must fit: see
    ``check_plan``.
    """
    note = {MODEL: model_name, PLAN: json.dumps(plan_to_dict(plan))}
    save_weights(model, path, note | (arguments_note(arguments) if arguments else {}), format_tensors(plan))


def check_plan(model: nn.Module, plan: Plan, arguments: Sequence[Tensor] = ()) -> None:
    """Check that what is written with a plan can be loaded again.

    ``arguments`` are samples of what the model takes, 2 or more; without them the plan must name modules.

    Raises:
        NarrowerError: the plan does not fit the model.
    """
    if arguments:
        deployed_model(model, plan.formats, arguments)
    else:
        quantized(model, plan.formats)


def save_packed(
    model: nn.Module, model_name: str, plan: Plan, path: Path, arguments: Sequence[Tensor]
) -> None:
    """Write the rounded weights, each in as many bits as its format has, with the model's name and the plan.

    What the plan does not round stays float32, and so does what a rounded weight is computed from.
    ``arguments`` are samples of what the model takes, 2 or more.

    Raises:
        NarrowerError: the plan does not fit the model.
    """
    program = lower(trace_or_call(model, arguments))
    deployed_module(model, program, plan.formats)  # what cannot be loaded back is not written
    rounded = _rounded_parameters(program)
    tensors = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in model.state_dict().items()
    }
    packed: dict[str, dict[str, object]] = {}
    for layer, chosen in plan.layers:
        for operand, number_format in (("weight", chosen.weight), ("bias", chosen.bias)):
            for name in _held(program, layer, operand):
                if name not in tensors or name not in rounded:
                    continue
                grid = number_format.grid
                if isinstance(number_format, FixedEach):
                    integers, width = _steps(tensors[name], number_format), number_format.bits + 1
                elif isinstance(number_format, FixedChannels):
                    integers, width = _steps(tensors[name], number_format), number_format.width
                elif grid is not None:
                    integers, width = whole_numbers(tensors[name], number_format), grid.width
                else:
                    continue
                packed[name] = {"format": number_format.text, "shape": list(tensors[name].shape)}
                is_sparse = isinstance(number_format, Sparse)
                tensors[name] = torch.from_numpy((pack_sparse if is_sparse else pack)(integers, width))
    metadata = {
        **structure_note(model),
        **(own_sizes_note(model) if plan.widths else {}),
        MODEL: model_name,
        PLAN: json.dumps(plan_to_dict(plan)),
        PACKED: json.dumps(packed),
        **arguments_note(arguments),
    }
    with replacing(path) as partial:
        save_file(tensors | format_tensors(plan), partial, metadata)


def _held(program: Program, layer: str, operand: str) -> tuple[str, ...]:
    """The names of what a layer reads as its weight or bias: of recurrent layers several."""
    network = program.network
    of = network.weights_of if operand == "weight" else network.biases_of
    held = [p.name for operator in network.rounded_layers.get(layer, ()) for p in of(operator)]
    return tuple(dict.fromkeys([f"{layer}.{operand}", *held]))


def _steps(values: Tensor, number_format: FixedEach | FixedChannels) -> NDArray[np.int64]:
    """Values of a format in the steps of each entry; of those with a sign each, one bit more holds them."""
    steps = torch.empty(values.shape, dtype=torch.float64)
    quantize_to_steps(values, number_format, steps)
    return steps.numpy().astype(np.int64)


def _rounded_parameters(program: Program) -> set[str]:
    """The parameters that are read as a weight or bias of a product, and in no other way."""
    if program.untraced is not None:
        return set(program.tensors)
    read: dict[str, set[bool]] = {}
    for node in program.graph.nodes:
        for source in node.all_input_nodes:
            behind = parameter_behind(source)
            if behind is not None and behind.name in program.parameter_names and not is_layout(node):
                slot = rounded_operand(node, source, program.tensors)
                is_rounded = slot is not None and slot[1] != "data"
                read.setdefault(program.parameter_names[behind.name], set()).add(is_rounded)
    computed = {weight.name for weight in program.folding.weights} if program.folding else set()
    return {name for name, ways in read.items() if ways == {True}} - computed


def load_compressed(
    path: Path | str,
    model: nn.Module | str | None = None,
    example: Tensor | Sequence[Tensor] | None = None,
) -> nn.Module:
    """Load what ``save_compressed`` or ``save_packed`` wrote: a module that computes what was scored.

    It takes the model's arguments for any number of samples and returns the scores, bit for bit those of the
    search at the same batch size and number of threads (see ``Deployed``). ``model`` is the module, or its
    name, where it is not one of the program's own. ``example``, 2 samples or more, is needed only to know the
    module before its first call, of a file that does not say what the model takes.

    Raises:
        CheckpointError: not such a file, or its model or plan cannot be had.
    """
    loaded, plan = load_parts(path, model)
    arguments = example_of_note(_metadata(Path(path)).get(ARGUMENTS))
    if example is not None:
        arguments = (example,) if isinstance(example, Tensor) else tuple(example)
    if arguments is None:
        return DeployedAtFirstCall(loaded, plan.formats)
    try:
        return deployed_model(loaded, plan.formats, arguments)
    except NarrowerError as error:
        raise CheckpointError(f"{path}: {error}") from error


def load_parts(path: Path | str, model: nn.Module | str | None = None) -> tuple[nn.Module, Plan]:
    """The float32 model of such a file, at the widths of its plan, and the plan.

    ``model`` is the module (of any widths), or its name, where it is not one of the program's own.

    Raises:
        CheckpointError: not such a file, or its model or plan cannot be had.
    """
    path = Path(path)
    metadata = _metadata(path)
    try:
        name, plan = metadata[MODEL], _plan_in(path, metadata)
        packed = json.loads(metadata.get(PACKED, "{}"))
    except (ValueError, NarrowerError) as error:
        raise CheckpointError(f"{path}: its plan cannot be read: {error}") from error
    built = model_of_file(path, name, model)
    if not packed and not plan.widths:
        return load_weights(built, path), plan
    built, tensors = structured_like(built, path), without_formats(load_file(path))
    try:
        for tensor, described in packed.items():
            tensors[tensor] = _unpacked(tensors[tensor], described, plan)
        if plan.widths:
            return with_tensors(built, tensors, own_sizes_in(path)), plan
        built.load_state_dict(tensors)
    except (KeyError, TypeError, ValueError, RuntimeError, NarrowerError) as error:
        raise CheckpointError(f"{path} does not fit {name}: {error}") from error
    return built, plan


def plan_of(path: Path) -> Plan | None:
    """The plan in a safetensors file; None where it holds none, or is no such file."""
    try:
        return _plan_in(path, _metadata(path))
    except (ValueError, NarrowerError):
        return None


def _plan_in(path: Path, metadata: Mapping[str, str]) -> Plan:
    """The plan of a file, with the arrays of its formats that lie there."""
    return plan_from_dict(json.loads(metadata[PLAN]), formats_in(path))


def _unpacked(stored: Tensor, described: dict[str, object], plan: Plan) -> Tensor:
    shape, text = described["shape"], str(described["format"])
    operands = {getattr(layer, operand) for _, layer in plan.layers for operand in OPERANDS}
    each = next((f for f in operands if isinstance(f, FixedEach) and f.text == text), None)
    if each is not None and isinstance(shape, list):
        steps = unpack(stored.numpy(), each.bits + 1, int(np.prod(shape)), signed=True).reshape(shape)
        return torch.from_numpy(np.ldexp(steps.astype(np.float64), -each.fracs.astype(np.int64))).float()
    number_format = parse_format(text)
    if isinstance(number_format, FixedChannels) and isinstance(shape, list):
        steps = unpack(stored.numpy(), number_format.width, int(np.prod(shape)), signed=True).reshape(shape)
        fracs, axis = number_format.fracs_along(tuple(shape))
        own = np.array(fracs).reshape(-1, *(1,) * (len(shape) - 1))
        return torch.from_numpy(np.ldexp(steps.astype(np.float64), -np.moveaxis(own, 0, axis))).float()
    grid = number_format.grid
    if grid is None or not isinstance(shape, list):
        raise CheckpointError(f"no packed weight is described by {described}")
    count = int(np.prod(shape))
    undo = unpack_sparse if isinstance(number_format, Sparse) else unpack
    integers = undo(stored.numpy(), grid.width, count, signed=grid.signed)
    return torch.from_numpy(integers.reshape(shape)).float() * grid.step


def _metadata(path: Path) -> dict[str, str]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not a safetensors file: {error}") from error
    if MODEL not in metadata or PLAN not in metadata:
        raise CheckpointError(
            f"{path}: holds weights but no plan; it was not written by 'narrower transform' or "
            "'narrower export'"
        )
    return dict(metadata)
