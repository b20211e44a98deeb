"""Scikit-learn's own sets as columns of a table; nothing is downloaded."""

from typing import Any

import numpy as np

from narrower.data.raw_columns import Columns
from narrower.errors import AbsentDataError, unknown_name

SETS = ("breast_cancer", "california", "diabetes", "digits", "iris", "wine")
TARGET = "target"


def sklearn_columns(name: str) -> Columns:
    """The features of a set by their names, and the column "target": numbers, or the names of classes.

    Raises:
        UnknownNameError: there is no such set.
        AbsentDataError: scikit-learn would have to download it.
    """
    from sklearn import datasets

    if name not in SETS:
        raise unknown_name("data set of scikit-learn", name, SETS)
    if name == "california":
        try:
            bunch: Any = datasets.fetch_california_housing(download_if_missing=False)
        except OSError as error:
            raise AbsentDataError(
                f"scikit-learn's 'california' is not on this machine ({error}); "
                "sklearn.datasets.fetch_california_housing() downloads it"
            ) from error
    else:
        bunch = getattr(datasets, f"load_{name}")(**({"scaled": False} if name == "diabetes" else {}))
    columns = {str(feature): bunch.data[:, number] for number, feature in enumerate(bunch.feature_names)}
    is_class = name not in ("california", "diabetes")
    names = np.array([str(name) for name in getattr(bunch, "target_names", [])], dtype=object)
    columns[TARGET] = names[bunch.target] if is_class else bunch.target.astype(float)
    return columns
