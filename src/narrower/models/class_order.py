"""In which order a model gives its classes: as the data number them, or as its user says.

Libraries number classes by first appearance, by the alphabet, or as someone listed them. A model that was
trained with another order is scored as if it confused the classes.
"""

import json
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from narrower.data.parts import DataSet, Part
from narrower.errors import CheckpointError, SettingsError, nearest
from narrower.models.evaluation_mode import evaluation_mode
from narrower.models.rows_at_once import rows_at_once
from narrower.tasks.classification.better_order import BetterOrder, better_order, fits_as_it_is
from narrower.tasks.classification.task import CLASSIFICATION

NO_CLASS = "-"  # in an order: an output that stands for no class of the data
LEAST_SAMPLES, MOST_SAMPLES, SAMPLES_OF_A_CLASS = 1024, 4096, 20
BATCH = 256


def in_class_order(data: DataSet, order: Sequence[str]) -> DataSet:
    """The data with classes numbered as they are in ``order``: all names, once; "-" stands for no class.

    Raises:
        SettingsError: beginning with the key, where it is no order of these classes.
    """
    if data.task != CLASSIFICATION:
        raise SettingsError(
            f"class_order: data set {data.name!r} is a {data.task.words.name}, without classes"
        )
    known = ", ".join(data.output_names)
    for position, name in enumerate(order):
        if name != NO_CLASS and name not in data.output_names:
            raise SettingsError(
                f"class_order: found {name!r}{nearest(name, data.output_names)}; the classes of data set "
                f"{data.name!r} are {known}"
            )
        if name != NO_CLASS and name in order[:position]:
            raise SettingsError(f"class_order: {name!r} is named twice; the classes are {known}")
    if missing := [name for name in data.output_names if name not in order]:
        raise SettingsError(f"class_order: {', '.join(missing)} missing; the classes are {known}")
    if tuple(order) == data.output_names:
        return data
    places = torch.tensor([list(order).index(name) for name in data.output_names])
    train, validation, test = (replace(part, targets=places[part.targets]) for part in data.parts.values())
    return replace(
        data, train=train, validation=validation, test=test, output_names=tuple(order), content_hash=""
    )


def check_class_order(model: nn.Module, data: DataSet, source: str) -> None:
    """Refuse weights whose classes are in another order than the data's; it is tried on training samples.

    ``source`` says where the weights come from.

    Raises:
        CheckpointError: with the order that fits, and the setting that says it.
    """
    if problem := class_order_problem(model, data):
        raise CheckpointError(f"{source}: {problem}")


def class_order_problem(model: nn.Module, data: DataSet) -> str | None:
    """What to say of a model whose classes seem to be in another order than the data's; None of others."""
    if data.task != CLASSIFICATION:
        return None
    classes = len(data.output_names)
    part = _spread(data.train, min(MOST_SAMPLES, max(LEAST_SAMPLES, SAMPLES_OF_A_CLASS * classes)))
    first = _outputs(model, part.first(BATCH))
    if first is None or fits_as_it_is(first, part.first(BATCH).targets, classes):
        return None  # a model that is right shows it soon
    outputs = _outputs(model, part)
    better = None if outputs is None else better_order(outputs, part.targets, classes)
    return None if better is None else _said(better, data, first.shape[1])


def _said(better: BetterOrder, data: DataSet, outputs: int) -> str:
    order = [NO_CLASS] * outputs
    for name, output in zip(data.output_names, better.output_of_class, strict=True):
        order[output] = name
    as_it_is, as_found = better.right_as_it_is / better.samples, better.right / better.samples
    return (
        f"its classes seem to be in another order than those of data set {data.name!r}: of "
        f"{better.samples:,} training samples it gets {as_it_is:.1%} right in the order "
        f"{', '.join(data.output_names)}, and {as_found:.1%} in the order {', '.join(order)}. Say which one "
        f"is its own: class_order = {json.dumps(order, ensure_ascii=False)} in the settings file, or "
        f"--class-order {','.join(order)}"
    )


def _spread(part: Part, count: int) -> Part:
    """Samples from all over a part: own data may be sorted by class. In a fixed random order."""
    chosen = torch.randperm(len(part), generator=torch.Generator().manual_seed(0))[:count]
    return Part(part.inputs[chosen], part.targets[chosen], tuple(other[chosen] for other in part.more))


def _outputs(model: nn.Module, part: Part) -> Tensor | None:
    """The model's outputs in double precision; None where they are not all numbers."""
    found, rows = [], rows_at_once(model, part, BATCH)
    with evaluation_mode(model), torch.inference_mode():
        for start in range(0, len(part), rows):
            some = part.between(start, start + rows)
            found.append(model(*(argument.clone() for argument in some.arguments)).double())
    outputs = torch.cat(found)
    return outputs.clone() if torch.isfinite(outputs).all() else None
