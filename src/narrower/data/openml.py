"""Fetch the public table of jets from OpenML once and keep it."""

import os
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

from narrower.errors import AbsentDataError, DataError
from narrower.store.files import replacing

DATA_ID = 42468
# As the public HDF5 file is called: it is looked for below the working directory.
PUBLIC_FILE = Path("data") / "processed-pythia82-lhc13-all-pt1-50k-r1_h022_e0175_t220_nonu_truth.z"
URL = f"https://api.openml.org/api/v1/json/data/{DATA_ID}"
ANSWER_SECONDS = 4.0  # until a server has to answer at all
STALL_SECONDS = 30.0  # of silence within a download


def openml_columns() -> dict[str, NDArray[Any]]:
    """The columns of the table, ``class`` among them; from the cache where it was fetched before.

    Raises:
        AbsentDataError: it cannot be downloaded.
        DataError: what an earlier download left is damaged.
    """
    kept = kept_file()
    home = kept.parent
    if kept.is_file():
        try:
            with np.load(kept, allow_pickle=False) as archive:
                return {name: archive[name] for name in archive.files}
        except Exception as error:  # a damaged archive raises whatever zipfile and the array parser raise
            raise DataError(f"{kept}: damaged ({error}); delete it, and it is downloaded again") from error
    downloaded = home / "openml" / "openml.org" / "api" / "v1" / "json" / "data" / f"{DATA_ID}.gz"
    if not downloaded.is_file():
        _ask(URL, ANSWER_SECONDS)
    columns = _fetch()
    # The download is text that takes a minute to parse: keep the numbers.
    with replacing(kept) as partial:
        np.savez_compressed(partial, allow_pickle=False, **columns)
    return columns


def kept_file() -> Path:
    """Where the table lies once it was downloaded: in scikit-learn's folder of data sets."""
    home = os.environ.get("SCIKIT_LEARN_DATA") or "~/scikit_learn_data"
    return Path(home).expanduser() / f"narrower-openml-{DATA_ID}.npz"


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


def _unavailable(reason: str) -> AbsentDataError:
    return AbsentDataError(
        f"the data set 'jsc' (OpenML {DATA_ID}) is not here and cannot be downloaded: {reason}; looked for "
        f"{PUBLIC_FILE} below the working directory and {kept_file()}. Without a network give a local "
        "copy with --data-path or data_path (HDF5, NPZ, ARFF, CSV), or use the data set 'jets', which ships "
        "with the package"
    )


@contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
