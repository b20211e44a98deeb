"""Files of weights that were written before are still read: names of arrays are part of their form."""

from narrower.plan.formats.stored_each import TENSORS


def test_arrays_of_formats_lie_in_files_under_the_names_that_they_always_had() -> None:
    assert TENSORS == "narrower.formats."
