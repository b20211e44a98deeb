"""What a candidate of a stack needs to be trained on, in another stack: named tensors, ready for a file."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from narrower.training.core import Core
from narrower.training.flat import FlatWeights
from narrower.training.stack import Stack

COUNTS = ("step", "epochs", "done")
SHARED = ("step", "epochs", "done", "order", "chance", "optimizer.step")  # the same for all that are stacked

CURVE = "curve"  # [E, 4]: what Core.curve says of one candidate

CandidateState = dict[str, Tensor]


def candidate_states(core: Core) -> list[CandidateState]:
    """The states of all candidates, each by itself; whatever its neighbours are, they are the same."""
    stack = _stack(core)
    order, done = core.batches.state()
    shared = {
        "step": torch.tensor(core.step),
        "epochs": torch.tensor(core.epochs),
        "done": torch.tensor(done),
        "order": order.clone(),
        "chance": torch.get_rng_state(),
        "optimizer.step": _optimizer_step(core),
    }
    states: list[CandidateState] = [dict(shared) for _ in range(len(stack))]
    for number, (weights, vectors) in enumerate(_vectors(core)):
        for name, vector in vectors.items():
            rows = _rows(vector, weights, len(stack))
            for state, row in zip(states, rows, strict=True):
                state[f"{name}.{number}"] = row.clone()
    for name, buffer in core.model.named_buffers():
        for state, row in zip(states, buffer, strict=True):
            state[f"buffer.{name}"] = row.clone()
    if core.curve:
        for state, rows in zip(states, torch.stack(core.curve, dim=1), strict=True):
            state[CURVE] = rows.clone()
    return states


def go_on_from(core: Core, states: Sequence[CandidateState]) -> None:
    """Take up the states of the candidates of a stack, which have all made as many steps."""
    _stack(core)
    first = states[0]
    assert all(torch.equal(state["step"], first["step"]) for state in states), "the same steps"
    core.step, core.epochs = int(first["step"]), int(first["epochs"])
    core.batches.go_on_from(first["order"], int(first["done"]))
    torch.set_rng_state(first["chance"])
    _prepare_optimizers(core, first)
    with torch.no_grad():
        for number, (weights, vectors) in enumerate(_vectors(core)):
            for name, vector in vectors.items():
                _write_rows([state[f"{name}.{number}"] for state in states], weights, vector)
        for name, buffer in core.model.named_buffers():
            buffer.copy_(torch.stack([state[f"buffer.{name}"] for state in states]))
    for optimizer in core.optimizers:
        for held in optimizer.state.values():
            if "step" in held:
                held["step"].copy_(first["optimizer.step"])
    if CURVE in first:
        core.curve = list(torch.stack([state[CURVE] for state in states], dim=1))


def _stack(core: Core) -> Stack:
    assert isinstance(core.model, Stack), "only the candidates of a stack are told apart"
    return core.model


def _optimizer_step(core: Core) -> Tensor:
    for optimizer in core.optimizers:
        for held in optimizer.state.values():
            if "step" in held:
                step: Tensor = held["step"].clone()
                return step
    return torch.tensor(float(core.step))


def _masters(weights: FlatWeights) -> list[Tensor]:
    """The parts of a vector that the optimizer steps, in their order."""
    return [*weights.decaying, *weights.others]


def _vectors(core: Core) -> Iterator[tuple[FlatWeights, Mapping[str, "Tensor | list[Tensor]"]]]:
    """For each vector of parameters itself, its average, and what the optimizer keeps for each number."""
    (optimizer,) = core.optimizers  # muon has two, and stacks no candidates
    for number, weights in enumerate(core.weights):
        found: dict[str, Tensor | list[Tensor]] = {"exact": weights.exact}
        if core.average:
            found["average"] = core.average[number]
        masters = _masters(weights)
        for name in sorted({key for master in masters for key in optimizer.state.get(master, {})} - {"step"}):
            found[name] = [optimizer.state[master][name] for master in masters]
        yield weights, found


def _prepare_optimizers(core: Core, state: CandidateState) -> None:
    """Give the optimizer what it keeps before its first step, where a state has it."""
    (optimizer,) = core.optimizers
    for number, weights in enumerate(core.weights):
        kept = {name.rpartition(".")[0] for name in state if name.endswith(f".{number}")}
        for master in _masters(weights):
            held = optimizer.state[master]
            for name in kept & {"exp_avg", "exp_avg_sq", "momentum_buffer"}:
                held.setdefault(name, torch.zeros_like(master))
            if "exp_avg" in kept:
                held.setdefault("step", torch.zeros((), dtype=torch.float32))


def _rows(vector: "Tensor | list[Tensor]", weights: FlatWeights, count: int) -> Tensor:
    """The numbers of each candidate, [C, P]."""
    whole = torch.cat([part.flatten() for part in vector]) if isinstance(vector, list) else vector
    return torch.cat([whole[leaf.part].view(count, -1) for leaf in weights.leaves], dim=1)


def _write_rows(rows: Sequence[Tensor], weights: FlatWeights, vector: "Tensor | list[Tensor]") -> None:
    stacked, start, parts = torch.stack(list(rows)), 0, []
    for leaf in weights.leaves:
        length = leaf.parameter.numel() // len(rows)
        parts.append(stacked[:, start : start + length].flatten())
        start += length
    whole = torch.cat(parts)
    if not isinstance(vector, list):
        vector.copy_(whole)
        return
    start = 0
    for part in vector:
        part.copy_(whole[start : start + part.numel()].view(part.shape))
        start += part.numel()
