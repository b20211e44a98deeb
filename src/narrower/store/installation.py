"""What of the program's requirements is installed, and what is missing for what?"""

import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version

PROGRAM = "narrower"
# What each extra is for, in a user's words.
PURPOSES = {
    "latency": "time models in ONNX Runtime: narrower latency, profile --latency",
    "pandas": "trials as data frames: to_pandas()",
    "png": "plots as PNG files: report --png",
    "tensorboard": "trainings and searches in TensorBoard",
    "mlflow": "searches in MLflow: search --tracker mlflow",
    "wandb": "searches in Weights & Biases: search --tracker wandb",
    "hf": "models in folders of HuggingFace: hf:FOLDER",
    "hdf5": "data in HDF5 files",
    "parquet": "data in Parquet files",
    "pictures": "data in folders of pictures",
    "qonnx": "plans as QONNX: export --to qonnx",
    "timm": "models of timm: timm:NAME",
    "torchvision": "models of torchvision: torchvision:NAME",
    "hls4ml": "compile exported QONNX with hls4ml",
    "ray": "searches on a Ray cluster: --backend ray",
    "rtl": "Verilog, and the luts of a plan: export --to verilog",
}
DEVELOPMENT = ("dev", "docs")
_REQUIREMENT = re.compile(r"(?P<package>[\w.-]+)[^;]*(;.*extra == ['\"](?P<extra>[\w-]+)['\"])?")


@dataclass(frozen=True, slots=True)
class Installed:
    """A package that the program asks for; ``version`` is None where it is not there."""

    package: str
    version: str | None


@dataclass(frozen=True, slots=True)
class Extra:
    """An extra of the program: what it is for, and its packages."""

    name: str
    purpose: str
    packages: tuple[Installed, ...]

    @property
    def is_there(self) -> bool:
        """Whether all of its packages are installed."""
        return all(one.version is not None for one in self.packages)


def core_packages() -> tuple[Installed, ...]:
    """What every user has, the program first."""
    core = [package for package, extra in _requirements() if extra is None]
    return tuple(Installed(package, version_of(package)) for package in (PROGRAM, *core))


def extras() -> tuple[Extra, ...]:
    """The extras for users, in the order of their purposes."""
    packages: dict[str, list[str]] = {}
    for package, extra in _requirements():
        if extra is not None and extra not in DEVELOPMENT:
            packages.setdefault(extra, []).append(package)
    return tuple(
        Extra(
            name,
            PURPOSES.get(name, ""),
            tuple(Installed(package, version_of(package)) for package in packages[name]),
        )
        for name in sorted(packages, key=lambda name: list(PURPOSES).index(name) if name in PURPOSES else 99)
    )


def version_of(package: str) -> str | None:
    """The version that is installed; None where there is none."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _requirements() -> list[tuple[str, str | None]]:
    """Packages with the extra that asks for them."""
    found = []
    for text in requires(PROGRAM) or ():
        match = _REQUIREMENT.match(text)
        assert match is not None, text
        found.append((match["package"], match["extra"]))
    return found
