"""Data sets of the user's own: what ``package.module:name`` gives."""

from typing import Any

from narrower.data.given_data import given_data_set
from narrower.data.parts import DataSet
from narrower.data.request import DataRequest
from narrower.data.sources import Table
from narrower.data.torch_sets import is_torch_set
from narrower.errors import DataError
from narrower.own_code.called import called
from narrower.own_code.imported import import_object


def own_data_set(reference: str, request: DataRequest) -> DataSet | Table:
    """Call ``package.module:function``, or take a Dataset that is called so.

    Raises:
        DataError: it cannot be imported, raises, or gives no data.
    """
    found: Any = import_object(reference, DataError)
    where = f"data set {reference!r}"
    if isinstance(found, DataSet) or is_torch_set(found):
        return given_data_set(where, reference, found, request)
    if not callable(found):
        raise DataError(f"{where} is not callable, but {type(found).__name__}")
    made = called(where, reference, found, DataError)
    return given_data_set(where, reference, made, request)
