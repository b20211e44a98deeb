"""The public table of jets from local files: the content says what kind of file it is, not the name."""

import gzip
import re
from pathlib import Path

import numpy as np
import pytest

from narrower.data.jsc_table import CLASSES, FEATURES, jsc
from narrower.errors import AbsentDataError, DataError

h5py = pytest.importorskip("h5py", reason="HDF5 needs the extra narrower[hdf5]")


def table(rows: int = 60) -> tuple[np.ndarray, np.ndarray]:
    chance = np.random.default_rng(0)
    return chance.normal(size=(rows, 16)).astype(np.float32), np.arange(rows) % 5


def lines(features: np.ndarray, labels: np.ndarray, quote: str = "") -> list[str]:
    return [
        ",".join([*(repr(float(value)) for value in row), f"{quote}{CLASSES[label]}{quote}"])
        for row, label in zip(features, labels, strict=True)
    ]


def write_csv(path: Path, features: np.ndarray, labels: np.ndarray) -> None:
    heading = ",".join(f'"{name}"' for name in [*FEATURES, "class"])
    path.write_text("\n".join(["\ufeff" + heading, *lines(features, labels, "'")]), encoding="utf-8")


def write_csv_of_more_columns(path: Path, features: np.ndarray, labels: np.ndarray) -> None:
    """As pandas writes the HDF5 table: with an index, columns that nobody asks for, and one-hot classes."""
    heading = ["", "j_pt", *(f"j_{name}" for name in (*reversed(FEATURES), *"wztqg"))]
    rows = [
        ",".join(
            [
                str(number),
                "nan",
                *map(repr, map(float, row[::-1])),
                *(str(int(c == CLASSES[label])) for c in "wztqg"),
            ]
        )
        for number, (row, label) in enumerate(zip(features, labels, strict=True))
    ]
    path.write_text("\n".join([",".join(heading), *rows]), encoding="utf-8")


def write_arff(path: Path, features: np.ndarray, labels: np.ndarray) -> None:
    header = ["% from OpenML", "", "@RELATION 'hls4ml jets'", ""]
    header += [
        f"@ATTRIBUTE '{name}' NUMERIC" if i % 2 else f"@attribute {name} real"
        for i, name in enumerate(FEATURES)
    ]
    header += ["@ATTRIBUTE class {g, q, t, w, z}", "", "@DATA", "% the rows", ""]
    path.write_text("\n".join([*header, *lines(features, labels)]), encoding="utf-8")


def write_npz(path: Path, features: np.ndarray, labels: np.ndarray) -> None:
    columns = {name: features[:, index] for index, name in enumerate(FEATURES)}
    with path.open("wb") as file:
        np.savez(file, **columns, **{"class": np.array(CLASSES)[labels]})


def write_npz_of_arrays(path: Path, features: np.ndarray, labels: np.ndarray) -> None:
    with path.open("wb") as file:
        np.savez(file, features=features, labels=labels)


def hdf5_rows(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """In the order of the public file: features, then j_g, j_q, j_w, j_z, j_t, then values of particles."""
    names = [*(f"j_{name}" for name in FEATURES), "j_g", "j_q", "j_w", "j_z", "j_t", "j1_pt"]
    rows = np.zeros(len(labels), dtype=[(name, "f4") for name in names])
    for index, name in enumerate(FEATURES):
        rows[f"j_{name}"] = features[:, index]
    for index, name in enumerate(CLASSES):
        rows[f"j_{name}"] = labels == index
    return rows


def write_hdf5(path: Path, features: np.ndarray, labels: np.ndarray) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("t_allpar_new", data=hdf5_rows(features, labels), compression="gzip")


def write_hdf5_behind_a_user_block(path: Path, features: np.ndarray, labels: np.ndarray) -> None:
    with h5py.File(path, "w", userblock_size=512) as file:
        file["t_allpar_new"] = hdf5_rows(features, labels)


WRITERS = [
    write_csv,
    write_csv_of_more_columns,
    write_arff,
    write_npz,
    write_npz_of_arrays,
    write_hdf5,
    write_hdf5_behind_a_user_block,
]


@pytest.mark.parametrize("name", ["nonu_truth.z", "jets", "jets.csv", "JETS.H5"])
@pytest.mark.parametrize("write", WRITERS)
def test_every_kind_of_file_is_the_same_table_whatever_its_name(write: object, name: str) -> None:
    features, labels = table()
    write(Path(name), features, labels)  # type: ignore[operator]
    read = jsc(Path(name))
    np.testing.assert_array_equal(read.inputs, features)
    np.testing.assert_array_equal(read.targets, labels)


def test_a_jet_that_stands_in_several_rows_of_the_hdf5_table_is_one_sample() -> None:
    """The public table has a row for each particle; its jets would be in training and test part at once."""
    features, labels = table(20)
    rows = np.repeat(hdf5_rows(features, labels), 3)
    rows["j1_pt"] = np.arange(60)
    with h5py.File("jets.z", "w") as file:
        file["t_allpar_new"] = rows
    read = jsc(Path("jets.z"))
    np.testing.assert_array_equal(read.inputs, features)
    np.testing.assert_array_equal(read.targets, labels)


def test_the_public_file_is_found_below_the_working_directory() -> None:
    features, labels = table()
    Path("data").mkdir()
    write_hdf5(
        Path("data/processed-pythia82-lhc13-all-pt1-50k-r1_h022_e0175_t220_nonu_truth.z"), features, labels
    )
    np.testing.assert_array_equal(jsc().inputs, features)


HEADING = ",".join([*FEATURES, "class"])
REFUSED: list[tuple[str | bytes, str]] = [
    ("", "empty, expected a heading and rows"),
    ("a,b\n1,2\n", "none of the columns"),
    ("zlogz,class\n1,g\n", "no column 'c1_b0_mmdt' (15 of 16 features are missing)"),
    (HEADING + "\n", "the table has no rows"),
    (HEADING + "\n" + ",".join(["x"] * 16 + ["g"]), "not a table of these columns"),
    (HEADING + "\n" + ",".join(["1"] * 5), "not a table of these columns"),
    (HEADING + "\n" + "\n".join(lines(*table())).replace(",t\n", ",top\n"), "class 'top'; expected g, q, t"),
    (HEADING + "\n" + "\n".join(lines(table()[0], table()[1] * 0)), "all 60 samples are of class 'g'"),
    (HEADING + "\n" + ",".join(["nan"] * 16 + ["g"]), "NaN or infinity"),
    ("@relation jets\n@attribute zlogz numeric\n", "an ARFF header without @DATA"),
    ("@relation jets\n@attribute a numeric\n@data\n1\n", "none of the columns"),
    (b"\x80\x04\x95x", "a Python pickle, which could run any code and is never read"),
    (b"PAR1" + bytes(30), "a Parquet file"),
    (gzip.compress(b"zlogz", mtime=0), "compressed with gzip; unpack it first"),
    (b"\x89HDF\r\n\x1a\n" + bytes(3000), "not a whole HDF5 file"),
    (b"PK\x03\x04 and no more", "not an NPZ file"),
    (bytes(100), "none of what is read: HDF5, NPZ, ARFF and CSV"),
    (b"\xff\xfez\xe9", "CSV"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "said"), REFUSED)
def test_another_file_is_refused_in_a_sentence(content: str | bytes, said: str) -> None:
    path = Path("other.z")
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DataError, match=re.escape(said)) as refused:
        jsc(path)
    assert str(refused.value).startswith("other.z: ")


def test_hdf5_files_with_something_else_inside_are_refused() -> None:
    for number, (name, values, said) in enumerate(
        [
            ("t_other", hdf5_rows(*table()), "no table 't_allpar_new'; it holds: t_other"),
            ("t_allpar_new", np.zeros((3, 2)), "is no table with named columns"),
            ("t_allpar_new/table", hdf5_rows(*table()), "is no table with named columns"),
            ("t_allpar_new", hdf5_rows(*table())[:0], "the table has no rows"),
            ("t_allpar_new", np.zeros(3, dtype=[("other", "f4")]), "no column 'zlogz'"),
            ("t_allpar_new", np.zeros(3, dtype=hdf5_rows(*table()).dtype), "not of exactly one class"),
        ]
    ):
        path = Path(f"{number}.z")
        with h5py.File(path, "w") as file:
            file[name] = values
        with pytest.raises(DataError, match=re.escape(said)):
            jsc(path)


def test_a_file_that_is_not_there_is_told_from_one_that_is_wrong() -> None:
    with pytest.raises(AbsentDataError, match=r"nowhere\.z: no such file"):
        jsc(Path("nowhere.z"))
    with pytest.raises(DataError, match="not a file"):
        jsc(Path())
