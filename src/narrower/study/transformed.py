"""A plan put into a named model, with both in one file."""

from collections.abc import Collection
from pathlib import Path

from narrower.data.datasets import load_data_set
from narrower.evaluate.adjustments import adjusted
from narrower.export.compressed import check_plan, save_compressed
from narrower.models.stored_formats import formats_in, with_stored
from narrower.plan.formats.calibration import ADJUSTED_ON
from narrower.plan.plan import Plan
from narrower.study.resized_files import arguments_of, planned_model


def save_transformed(
    name: str,
    weights: Path,
    plan: Plan,
    output: Path,
    *,
    ways: Collection[str] = (),
    adjusted_on: str | None = None,
) -> Plan:
    """Write the model with the plan; return the plan with the formats that the file of weights holds.

    ``ways`` are those of ``ADJUSTMENTS`` in which weights are changed for the plan, on training samples of
    the data set ``adjusted_on``.

    Raises:
        NarrowerError: the file cannot be read or written, or the model cannot have this plan.
    """
    plan = with_stored(plan, formats_in(weights), weights)
    planned = planned_model(name, weights, plan)
    arguments = arguments_of(name, weights)
    check_plan(planned, plan, arguments)
    if ways and adjusted_on is not None:
        data = load_data_set(adjusted_on)
        samples = [argument[:ADJUSTED_ON] for argument in data.train.arguments]
        planned = adjusted(planned, plan.formats, samples, ways)
    save_compressed(planned, name, plan, output, arguments)
    return plan
