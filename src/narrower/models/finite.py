"""Check that a model's outputs are finite, and name the first layer whose outputs are not."""

import torch
from torch import Tensor, nn

from narrower.data.parts import Part
from narrower.errors import ModelError
from narrower.models.evaluation_mode import evaluation_mode
from narrower.models.rows_at_once import rows_at_once

BATCH = 1024


def check_finite(model: nn.Module, part: Part, what: str) -> None:
    """Refuse a model whose outputs are NaN or infinite for some samples; ``what`` names these samples.

    Raises:
        ModelError: with the first layer whose output is not finite.
    """
    bad, first, rows_together = 0, None, rows_at_once(model, part, BATCH)
    with evaluation_mode(model), torch.inference_mode():
        for start in range(0, len(part), rows_together):
            some = part.between(start, start + rows_together)
            outputs = model(*(argument.clone() for argument in some.arguments))
            rows = ~torch.isfinite(outputs).reshape(len(some), -1).all(dim=1)
            bad += int(rows.sum())
            first = some if first is None and bad else first
    if first is not None:
        raise ModelError(
            f"{type(model).__name__} gives NaN or infinity for {bad:,} of {len(part):,} samples of {what}: "
            f"no metric means anything; {_first_layer(model, first)}"
        )


def _first_layer(model: nn.Module, part: Part) -> str:
    found: list[str] = []

    def look(path: str, module: nn.Module, output: object) -> None:
        if not found and isinstance(output, Tensor) and not torch.isfinite(output).all():
            found.append(f"the first layer whose output is not finite is {path!r} ({type(module).__name__})")

    def hook(path: str) -> torch.utils.hooks.RemovableHandle:
        return model.get_submodule(path).register_forward_hook(lambda m, _, output: look(path, m, output))

    hooks = [hook(path) for path, m in model.named_modules() if path and not any(True for _ in m.children())]
    if any(not torch.isfinite(argument).all() for argument in part.arguments if argument.is_floating_point()):
        found.append("the samples themselves are not finite")
    try:
        with evaluation_mode(model), torch.inference_mode():
            model(*(argument.clone() for argument in part.arguments))
    finally:
        for handle in hooks:
            handle.remove()
    return found[0] if found else "it arises in code outside of its layers"
