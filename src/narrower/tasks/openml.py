"""Fetch the public table of jets from OpenML once and keep it."""

import socket
import threading
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrower.errors import DataError
from narrower.files import replacing

DATA_ID = 42468
URL = f"https://api.openml.org/api/v1/json/data/{DATA_ID}"
ANSWER_SECONDS = 4.0  # until a server has to answer at all
STALL_SECONDS = 30.0  # of silence within a download


def openml_columns() -> dict[str, NDArray[Any]]:
    """The columns of the table, ``class`` among them; from the cache where it was fetched before.

    Raises:
        DataError: it cannot be downloaded.
    """
    from sklearn.datasets import get_data_home

    home = Path(get_data_home())
    kept = home / f"narrower-openml-{DATA_ID}.npz"
    if kept.is_file():
        with np.load(kept, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    downloaded = home / "openml" / "openml.org" / "api" / "v1" / "json" / "data" / f"{DATA_ID}.gz"
    if not downloaded.is_file():
        _ask(URL, ANSWER_SECONDS)
    columns = _fetch()
    # The download is text that takes a minute to parse: keep the numbers.
    with replacing(kept) as partial:
        np.savez_compressed(partial, allow_pickle=False, **columns)
    return columns


def _fetch() -> dict[str, NDArray[Any]]:
    from sklearn.datasets import fetch_openml

    try:
        with _socket_timeout(STALL_SECONDS), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="A network error occurred", category=UserWarning)
            bunch = fetch_openml(data_id=DATA_ID, as_frame=False, parser="liac-arff", n_retries=1, delay=0.1)
    except (urllib.error.URLError, OSError) as error:
        raise _unavailable(str(error)) from error
    columns = {
        str(name): bunch.data[:, index].astype(np.float32) for index, name in enumerate(bunch.feature_names)
    }
    return {**columns, "class": np.asarray(bunch.target).astype(str)}


def _ask(url: str, seconds: float) -> None:
    """Raise unless the server answers in time; name resolution, which no socket timeout bounds, included."""
    outcome: list[str] = []

    def ask() -> None:
        try:
            urllib.request.urlopen(url, timeout=seconds).close()
        except Exception as error:  # whatever a broken network or proxy makes of it
            outcome.append(str(error))
        else:
            outcome.append("")

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    reason = outcome[0] if outcome else f"no answer within {seconds:g} seconds"
    if reason:
        raise _unavailable(reason)


def _unavailable(reason: str) -> DataError:
    return DataError(
        f"the data set 'jsc' (OpenML {DATA_ID}) cannot be downloaded: {reason}. Without a network use the "
        "data set 'jets', which ships with the package, or a local copy with --data-path (HDF5, CSV, NPZ)"
    )


@contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
