"""A plan put into a named model, with both in one file."""

from pathlib import Path

from narrower.data.datasets import load_data_set
from narrower.evaluate.bias_correction import with_corrected_biases
from narrower.export.compressed import check_plan, save_compressed
from narrower.models.stored_formats import formats_in, with_stored
from narrower.plan.plan import Plan
from narrower.study.resized_files import arguments_of, planned_model

CORRECTED_ON = 512  # training samples


def save_transformed(
    name: str, weights: Path, plan: Plan, output: Path, *, corrected_on: str | None = None
) -> Plan:
    """Write the model with the plan; return the plan with the formats that the file of weights holds.

    ``corrected_on`` names a data set on whose training samples biases are corrected.

    Raises:
        NarrowerError: the file cannot be read or written, or the model cannot have this plan.
    """
    plan = with_stored(plan, formats_in(weights), weights)
    planned = planned_model(name, weights, plan)
    arguments = arguments_of(name, weights)
    check_plan(planned, plan, arguments)
    if corrected_on is not None:
        data = load_data_set(corrected_on)
        planned = with_corrected_biases(
            planned, plan.formats, [argument[:CORRECTED_ON] for argument in data.train.arguments]
        )
    save_compressed(planned, name, plan, output, arguments)
    return plan
