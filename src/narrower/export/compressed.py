"""A model with its plan in one safetensors file."""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import nn

from narrower.errors import CheckpointError, NarrowerError
from narrower.plan import Plan, plan_from_dict, plan_to_dict
from narrower.tasks.checkpoints import load_weights, save_weights
from narrower.tasks.models import build_model
from narrower.transform.quantized import quantized

MODEL, PLAN = "narrower.model", "narrower.plan"


def save_compressed(model: nn.Module, model_name: str, plan: Plan, path: Path) -> None:
    """Write the float32 weights, the model's name and the plan.

    Raises:
        NarrowerError: the plan does not fit the model.
    """
    quantized(model, plan)  # what cannot be loaded back is not written
    save_weights(model, path, {MODEL: model_name, PLAN: json.dumps(plan_to_dict(plan))})


def load_compressed(path: Path | str) -> nn.Module:
    """Load what ``save_compressed`` wrote: the model in evaluation mode, rounding as its plan says.

    Raises:
        CheckpointError: not such a file, or its model or plan cannot be had.
    """
    path = Path(path)
    name, plan = _description(path)
    model = load_weights(build_model(name), path)
    return quantized(model, plan).eval()


def _description(path: Path) -> tuple[str, Plan]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: not a safetensors file: {error}") from error
    if MODEL not in metadata or PLAN not in metadata:
        raise CheckpointError(
            f"{path}: holds weights but no plan; it was not written by 'narrower transform'"
        )
    try:
        return metadata[MODEL], plan_from_dict(json.loads(metadata[PLAN]))
    except (ValueError, NarrowerError) as error:
        raise CheckpointError(f"{path}: its plan cannot be read: {error}") from error
