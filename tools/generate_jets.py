"""Make the jets that ship with the package: five kinds of jets from proton-proton collisions.

Needs Pythia 8 and FastJet (`pip install pythia8mc==8.317.0 fastjet numpy`). Same arguments, same bytes:

    python tools/generate_jets.py --per-class 11000 --seed 1 --output src/narrower/data/files/jets.npz
"""

from __future__ import annotations

import argparse
import io
import zipfile
from functools import lru_cache
from multiprocessing import Pool
from pathlib import Path

import numpy as np

from narrower.data.jsc_table import CLASSES, FEATURES

HARD_PROCESSES: dict[str, tuple[str, ...]] = {
    "g": ("HardQCD:gg2gg = on", "HardQCD:qqbar2gg = on"),
    "q": ("HardQCD:qq2qq = on", "HardQCD:qqbar2qqbarNew = on", "HardQCD:gg2qqbar = on"),
    "t": ("Top:gg2ttbar = on", "Top:qqbar2ttbar = on"),
    "w": ("WeakDoubleBoson:ffbar2WW = on",),
    "z": ("WeakDoubleBoson:ffbar2gmZgmZ = on", "WeakZ0:gmZmode = 2"),
}
# Particle Data Group numbers of the particle that gives a jet its label.
LABEL_PARTICLES: dict[str, frozenset[int]] = {
    "g": frozenset({21}),
    "q": frozenset({1, 2, 3, 4, 5}),
    "t": frozenset({6}),
    "w": frozenset({24}),
    "z": frozenset({23}),
}
COMMON = (
    "Print:quiet = on",
    "Beams:eCM = 13000.",
    "PartonLevel:MPI = off",
    "PhaseSpace:pTHatMin = 950.",
    "PhaseSpace:pTHatMax = 1100.",
    "23:onMode = off",
    "23:onIfAny = 1 2 3 4 5",
    "24:onMode = off",
    "24:onIfAny = 1 2 3 4 5",
    "Random:setSeed = on",
)
RADIUS = 0.4
Z_CUT = 0.1
JET_PT_GEV = (800.0, 1600.0)
JETS_PER_CHUNK = 500  # a chunk has its own seed, so that the number of processes changes nothing
MANTISSA_BITS = 12  # kept of each feature: relative steps of 1/4096, far below any resolution


def pairwise_distances(y: np.ndarray, phi: np.ndarray) -> np.ndarray:
    """Distances in rapidity and azimuth between all constituents: [N], [N] -> [N, N]."""
    dphi = np.abs(phi[:, None] - phi[None, :])
    dphi = np.minimum(dphi, 2 * np.pi - dphi)
    return np.hypot(y[:, None] - y[None, :], dphi)


def e2(z: np.ndarray, distance: np.ndarray, beta: float) -> float:
    """Two-point energy correlation (Larkoski, Salam, Thaler 2013, eq. 1.2): sum over pairs z z R**beta."""
    weights = np.ones_like(distance) if beta == 0 else distance**beta
    products = np.outer(z, z) * weights
    return float((products.sum() - np.trace(products)) / 2)


@lru_cache(maxsize=256)
def _triples(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    i, j = np.triu_indices(count, 1)
    repeats = count - 1 - j
    first, second = np.repeat(i, repeats), np.repeat(j, repeats)
    offsets = np.arange(len(first)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    return first, second, second + 1 + offsets


def e3(z: np.ndarray, distance: np.ndarray, beta: float) -> tuple[float, float, float]:
    """Three-point correlations with one, two and three angles (Moult, Necib, Thaler 2016, eq. 1.2).

    Returns those of the smallest angle, of the two smallest, and of all three.
    """
    if len(z) < 3:
        return 0.0, 0.0, 0.0
    i, j, k = _triples(len(z))
    weight = z[i] * z[j] * z[k]
    angles = distance**beta
    a, b, c = angles[i, j], angles[i, k], angles[j, k]
    smallest = np.minimum(np.minimum(a, b), c)
    largest = np.maximum(np.maximum(a, b), c)
    middle = np.maximum(np.minimum(a, b), np.minimum(np.maximum(a, b), c))
    return (
        float(weight @ smallest),
        float(weight @ (smallest * middle)),
        float(weight @ (smallest * middle * largest)),
    )


def ratio(numerator: float, denominator: float) -> float:
    """A quotient that is 0 where it is undefined: jets whose groomed core is one particle."""
    return numerator / denominator if denominator > 0 else 0.0


def observables(all_pt: np.ndarray, groomed: np.ndarray, mass: float) -> np.ndarray:
    """The sixteen features of a jet, in the order of ``FEATURES``.

    ``all_pt`` holds the transverse momenta [GeV] of all constituents, ``groomed`` the rows (pT [GeV],
    rapidity, azimuth) of those that grooming left, ``mass`` their invariant mass [GeV].
    """
    fractions = all_pt / all_pt.sum()
    z = groomed[:, 0] / groomed[:, 0].sum()
    distance = pairwise_distances(groomed[:, 1], groomed[:, 2])
    pair = {beta: e2(z, distance, beta) for beta in (0, 1, 2)}
    triple = {beta: e3(z, distance, beta) for beta in (1, 2)}
    return np.array(
        [
            float((fractions * np.log(fractions)).sum()),
            pair[0],
            pair[1],
            pair[2],
            ratio(triple[1][2], pair[1] ** 2),
            ratio(triple[2][2], pair[2] ** 2),
            ratio(triple[1][2], pair[1] ** 3),
            ratio(triple[2][2], pair[2] ** 3),
            ratio(triple[1][2], pair[1] ** 3),
            ratio(triple[1][2], pair[2] ** 1.5),
            ratio(triple[1][0], pair[1]),
            ratio(triple[2][0], pair[2]),
            ratio(triple[1][1], pair[1] ** 2),
            ratio(triple[2][1], pair[2] ** 2),
            mass,
            float(len(all_pt)),
        ]
    )


def soft_drop(jet, fastjet):
    """Modified mass drop: undo the clustering until both branches carry z_cut (soft drop with beta = 0)."""
    first, second = fastjet.PseudoJet(), fastjet.PseudoJet()
    while jet.has_parents(first, second):
        softer, harder = sorted((first, second), key=lambda branch: branch.pt())
        if softer.pt() > Z_CUT * (softer.pt() + harder.pt()):
            return jet
        jet = fastjet.PseudoJet(harder)
    return jet


def round_mantissa(values: np.ndarray) -> np.ndarray:
    """Round float32 numbers to ``MANTISSA_BITS`` bits after the leading one, ties to even."""
    mantissa, exponent = np.frexp(values.astype(np.float64))
    scale = 2.0 ** (MANTISSA_BITS + 1)
    return np.ldexp(np.rint(mantissa * scale) / scale, exponent).astype(np.float32)


def hard_partons(event, label: str) -> list[tuple[float, float]]:
    """Rapidity and azimuth of the hard process's outgoing particles of one kind."""
    wanted = LABEL_PARTICLES[label]
    return [
        (particle.y(), particle.phi())
        for particle in event
        if particle.statusAbs() in (22, 23) and particle.idAbs() in wanted
    ]


def is_matched(jet, partons: list[tuple[float, float]]) -> bool:
    """Whether the jet lies within its radius of one of the partons."""
    for y, phi in partons:
        dphi = abs(jet.phi() - phi % (2 * np.pi))
        if np.hypot(jet.rap() - y, min(dphi, 2 * np.pi - dphi)) < RADIUS:
            return True
    return False


def event_jets(event, label: str, fastjet) -> list[np.ndarray]:
    """Features of those of the two leading jets that pass the selection and match their label."""
    particles = [
        fastjet.PseudoJet(p.px(), p.py(), p.pz(), p.e())
        for p in event
        if p.isFinal() and p.isVisible() and abs(p.eta()) < 3
    ]
    partons = hard_partons(event, label)
    clusters = fastjet.ClusterSequence(particles, fastjet.JetDefinition(fastjet.antikt_algorithm, RADIUS))
    found = []
    for jet in fastjet.sorted_by_pt(clusters.inclusive_jets(JET_PT_GEV[0]))[:2]:
        if not (jet.pt() < JET_PT_GEV[1] and abs(jet.eta()) < 2.4 and is_matched(jet, partons)):
            continue
        constituents = list(jet.constituents())
        again = fastjet.ClusterSequence(
            constituents,
            fastjet.JetDefinition(fastjet.cambridge_algorithm, fastjet.JetDefinition.max_allowable_R),
        )
        groomed_jet = soft_drop(fastjet.sorted_by_pt(again.inclusive_jets())[0], fastjet)
        groomed = np.array([(p.pt(), p.rap(), p.phi()) for p in groomed_jet.constituents()])
        all_pt = np.array([p.pt() for p in constituents])
        found.append(observables(all_pt, groomed, max(groomed_jet.m(), 0.0)))
    return found


def generate_chunk(arguments: tuple[str, int, int]) -> np.ndarray:
    """Exactly ``count`` jets of one label from one Pythia seed: [count, 16]."""
    label, seed, count = arguments
    import fastjet
    import pythia8mc

    pythia = pythia8mc.Pythia("", False)
    for line in (*COMMON, *HARD_PROCESSES[label], f"Random:seed = {seed}"):
        pythia.readString(line)
    pythia.init()
    jets: list[np.ndarray] = []
    while len(jets) < count:
        if pythia.next():
            jets += event_jets(pythia.event, label, fastjet)
    return np.stack(jets[:count])


def generate(per_class: int, seed: int, processes: int) -> tuple[np.ndarray, np.ndarray]:
    """Features [5 * per_class, 16] and labels, in an order shuffled by the seed."""
    tasks = []
    for label_index, label in enumerate(CLASSES):
        for chunk, start in enumerate(range(0, per_class, JETS_PER_CHUNK)):
            chunk_seed = 1 + seed * 100_000 + label_index * 10_000 + chunk
            tasks.append((label, chunk_seed, min(JETS_PER_CHUNK, per_class - start)))
    with Pool(processes) as pool:
        chunks = pool.map(generate_chunk, tasks, chunksize=1)
    features = round_mantissa(np.concatenate(chunks))
    labels = np.concatenate([np.full(count, CLASSES.index(label), np.uint8) for label, _, count in tasks])
    order = np.random.default_rng(seed).permutation(len(labels))
    return features[order], labels[order]


def write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write an .npz file whose bytes depend on the arrays alone."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, array, allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_LZMA  # a quarter smaller than deflated: the wheel stays small
            archive.writestr(entry, buffer.getvalue())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--per-class", type=int, default=11_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    features, labels = generate(arguments.per_class, arguments.seed, arguments.processes)
    write(
        arguments.output,
        {
            "features": np.asfortranarray(features),  # columns compress better than rows
            "labels": labels,
            "feature_names": np.array(FEATURES),
            "class_names": np.array(CLASSES),
        },
    )
    print(f"{arguments.output}: {len(labels)} jets, {arguments.output.stat().st_size} bytes")


if __name__ == "__main__":
    main()
