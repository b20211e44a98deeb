"""Is a network of bytes faster, here? Ours, float32 and ONNX Runtime's own quantize_static, in turns.

    python benchmarks/int8.py [--json] [--row NAME ...] [--repeats N]

``resnet20_b1`` and so on: time of float32 over time of our int8 artefact. Where integer kernels would be
slower than float32 the choice is float32, as in ``narrower export``, and the row says so.
``vs_quantize_static_...``: time of what ``onnxruntime.quantization.quantize_static`` makes of the same float
model, over ours. ``quantize_static_...``: time of float32 over that of ``quantize_static``: what the integer
kernels of the runtime can gain on this network and processor at all. ``integer_share_...``: the share of
the nodes of our optimised graph that compute in integers; the note names the others. Both start from what
``torch.onnx.export`` gives; everything runs with one thread in turns, and the clock is that of the thread.
``edges_suffix_vs_naive``: plans that differ in their last edges, scored together and one by one.
``fake_quant_vs_float``: time of a quantized forward over that of the float one.
Weights are random, with batch norm statistics of the data: time does not depend on them.
"""

import argparse
import json
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import onnx
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import Tensor, nn

from narrower.data.parts import Part
from narrower.data.sizes import Sizes
from narrower.evaluate.batch_size import fitting_batch_size
from narrower.evaluate.definition import Definition
from narrower.evaluate.evaluator import Evaluator
from narrower.evaluate.int8_plan import int8_plan_of
from narrower.evaluate.processor import multiplies_bytes_fast
from narrower.export.execute import onnx_session
from narrower.export.onnx_model import to_onnx
from narrower.graph.edges import edges_of
from narrower.graph.folding import fold_batch_norm
from narrower.graph.lower import lower
from narrower.graph.program import Program
from narrower.graph.trace import trace
from narrower.models.image_models import ResNet20
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, Plan

SHAPE = (3, 32, 32)
PIECE_SECONDS = 0.01  # what is timed before it is the other's turn
WARM_UP_CALLS = 10
PIECES = 40  # of each in a repeat
CALIBRATED = 64  # samples
SUFFIX = 5  # layers in which plans differ
SCORED = 64  # samples
NAIVE_PLANS = 3  # on which one by one is timed
INTEGER = ("QLinear", "QGemm", "MaxPool", "NhwcMaxPool")
MOVING = frozenset({"Transpose", "Reshape", "Flatten"})  # they compute nothing
MOBILE = (
    (16, 1, 1),
    (24, 6, 2),
    (24, 6, 1),
    (32, 6, 2),
    (32, 6, 1),
    (64, 6, 1),
)  # outputs, expansion, stride


@dataclass(frozen=True)
class Row:
    """A ratio with the numbers behind it."""

    ratio: float
    ratios: tuple[float, ...]
    note: str


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project (Sandler et al. 2018, section 3.3)."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.adds = stride == 1 and inputs == outputs
        self.layers = nn.Sequential(
            *(_convolution(inputs, inner, 1, 1, 1) if expansion > 1 else ()),
            *_convolution(inner, inner, 3, stride, inner),
            nn.Conv2d(inner, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.adds else y


def _convolution(inputs: int, outputs: int, kernel: int, stride: int, groups: int) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU6()]


def mobile() -> nn.Module:
    """A network of inverted residual blocks: [N, 3, 32, 32] -> [N, 10]."""
    layers: list[nn.Module] = _convolution(3, 16, 3, 1, 1)
    inputs = 16
    for outputs, expansion, stride in MOBILE:
        layers.append(InvertedResidual(inputs, outputs, expansion, stride))
        inputs = outputs
    layers += [*_convolution(inputs, 256, 1, 1, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 10)]
    return nn.Sequential(*layers)


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "resnet20": lambda: ResNet20(Sizes(SHAPE, 10)),
    "mobile": mobile,
}


def ready(name: str) -> nn.Module:
    """A network in evaluation mode with statistics of random data."""
    torch.manual_seed(0)
    model = NETWORKS[name]()
    with torch.no_grad():
        for _ in range(4):
            model(torch.randn(32, *SHAPE))
    return model.eval()


def samples(count: int) -> Tensor:
    return torch.randn(count, *SHAPE, generator=torch.Generator().manual_seed(1))


def float_onnx(model: nn.Module, path: Path, batch: int) -> Path:
    """The float model as PyTorch exports it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported = torch.onnx.export(model, (samples(batch),), dynamo=True, verbose=False, input_names=["x"])
    assert exported is not None
    exported.save(str(path))
    return path


class Reader(CalibrationDataReader):  # type: ignore[misc]
    """Calibration samples in batches."""

    def __init__(self, batch: int) -> None:
        parts = samples(max(CALIBRATED, batch)).split(batch)
        self._batches: Iterator[dict[str, Any]] = iter(
            [{"x": part.numpy()} for part in parts if len(part) == batch]
        )

    def get_next(self) -> dict[str, Any] | None:
        return next(self._batches, None)


def quantized_statically(source: Path, batch: int) -> Path:
    """What ONNX Runtime makes of a float model: the yardstick's settings are its documentation's for CPUs."""
    prepared, target = source.with_suffix(".prepared.onnx"), source.with_suffix(".static.onnx")
    quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
    quantize_static(
        str(prepared),
        str(target),
        Reader(batch),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    return target


def called(content: Path | bytes, batch: int) -> Callable[[], object]:
    session = onnx_session(content)
    feed = {session.get_inputs()[0].name: samples(batch).numpy()}
    return lambda: session.run(None, feed)


def speeds(calls: dict[str, Callable[[], object]], repeats: int) -> list[dict[str, float]]:
    """For each repeat the median seconds of each call, taken in turns."""
    counts = {}
    for name, call in calls.items():
        for _ in range(WARM_UP_CALLS):
            call()
        counts[name] = max(1, round(PIECE_SECONDS / max(1e-6, _seconds(call, 3))))
    found = []
    for _ in range(repeats):
        times: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(PIECES):
            for name, call in calls.items():
                times[name].append(_seconds(call, counts[name]))
        found.append({name: statistics.median(own) for name, own in times.items()})
    return found


def _seconds(call: Callable[[], object], count: int) -> float:
    """Seconds of one call on the clock of this thread, which stands still while other processes run."""
    started = time.thread_time()
    for _ in range(count):
        call()
    return (time.thread_time() - started) / count


def network_rows(name: str, batch: int, repeats: int) -> dict[str, Row]:
    """Ours against float32 and against quantize_static."""
    model = ready(name)
    inputs = samples(CALIBRATED)
    program = lower(trace(fold_batch_norm(model, inputs[:2]), inputs[:2], name))
    plan = int8_plan_of(program, [inputs])
    with tempfile.TemporaryDirectory() as directory:
        source = float_onnx(model, Path(directory) / "float.onnx", batch)
        calls = {
            "float32": called(source, batch),
            "static": called(quantized_statically(source, batch), batch),
            "ours": called(to_onnx(program, plan, batch_size=batch).SerializeToString(), batch),
        }
        found = speeds(calls, repeats)
    is_slower = statistics.median(own["float32"] / own["ours"] for own in found) < 1
    chosen = "float32" if is_slower else "int8"
    against_float = tuple(1.0 if is_slower else own["float32"] / own["ours"] for own in found)
    against_static = tuple(own["static"] / own["float32" if is_slower else "ours"] for own in found)
    middle = {each: statistics.median(own[each] for own in found) * 1e6 for each in calls}
    said = ", ".join(f"{each} {value:.0f} us" for each, value in middle.items())
    note = f"batch {batch}: {said}; chosen: {chosen}"
    others = float_operators(to_onnx(program, plan, batch_size=batch).SerializeToString())
    static = tuple(own["float32"] / own["static"] for own in found)
    return {
        f"quantize_static_{name}_b{batch}": Row(statistics.median(static), static, note),
        f"integer_share_{name}_b{batch}": Row(others[0], (others[0],), f"others: {', '.join(others[1])}"),
        f"{name}_b{batch}": Row(statistics.median(against_float), against_float, note),
        f"vs_quantize_static_{name}_b{batch}": Row(statistics.median(against_static), against_static, note),
    }


def float_operators(content: bytes) -> tuple[float, list[str]]:
    """The share of nodes of the optimised graph that compute in integers, and the others."""
    with tempfile.TemporaryDirectory() as directory:
        dump = Path(directory) / "optimised.onnx"
        onnx_session(content, dump=dump)
        nodes = [node.op_type for node in onnx.load(dump).graph.node]
    others = [kind for kind in nodes if not kind.startswith(INTEGER) and kind not in MOVING]
    moving = sum(kind in MOVING for kind in nodes)
    return 1 - len(others) / max(1, len(nodes) - moving), sorted(set(others))


def suffix_row(repeats: int) -> Row:
    """Plans with three widths for the edges and weights of the last layers."""
    inputs = samples(SCORED)
    program = lower(trace(fold_batch_norm(ready("resnet20"), inputs[:2]), inputs[:2]))
    base = int8_plan_of(program, [inputs[:CALIBRATED]])
    last = [edge.name for edge in edges_of(program.network).edges][-SUFFIX - 1 : -1]
    choices = {name: [_narrower(base.layer(name), width) for width in (4, 6, 8)] for name in last}
    plans = [
        Plan.of({**dict(base.layers), **dict(zip(choices, chosen, strict=True))})
        for chosen in product(*choices.values())
    ]
    part = Part(inputs, torch.zeros(len(inputs), dtype=torch.long))
    batch = fitting_batch_size(program, len(inputs))
    some = plans[:: len(plans) // NAIVE_PLANS][:NAIVE_PLANS]

    def one_by_one() -> None:
        naive = Definition(program)
        for plan in some:
            for piece in inputs.split(batch):
                naive.outputs(plan, piece)

    ratios = []
    for _ in range(repeats + 1):
        alone = _seconds(one_by_one, 1) * len(plans) / len(some)
        ratios.append(alone / _seconds(lambda: Evaluator(program, part, batch_size=batch).evaluate(plans), 1))
    found = tuple(ratios[1:])
    note = f"{len(plans)} plans, {len(inputs)} samples, one by one timed on {len(some)} plans, batch {batch}"
    return Row(statistics.median(found), found, note)


def _narrower(layer: LayerPlan, width: int) -> LayerPlan:
    assert isinstance(layer.output, FixedPoint)
    output = FixedPoint(width, layer.output.frac + width - layer.output.width, layer.output.signed)
    return LayerPlan(weight=layer.weight, bias=layer.bias, output=output)


def forward_row(repeats: int) -> Row:
    """The engine's forward of an 8-bit plan, with weights rounded before, against the float module."""
    inputs = samples(SCORED)
    model = fold_batch_norm(ready("resnet20"), inputs[:2])
    program: Program = lower(trace(model, inputs[:2]))
    batch = fitting_batch_size(program, len(inputs))
    plan = int8_plan_of(program, [inputs])
    part = Part(inputs, torch.zeros(len(inputs), dtype=torch.long))
    evaluator = Evaluator(program, part, batch_size=batch)

    def forward() -> None:
        with torch.inference_mode():
            for piece in inputs.split(batch):
                model(piece)

    found = speeds({"float": forward, "rounded": lambda: evaluator.outputs(plan, inputs)}, repeats)
    ratios = tuple(own["rounded"] / own["float"] for own in found)
    return Row(statistics.median(ratios), ratios, f"{len(inputs)} samples, batch {batch}")


def chosen_rows(wanted: list[str] | None, repeats: int) -> dict[str, Row]:
    found: dict[str, Row] = {}
    for name, batch in product(NETWORKS, (1, 16)):
        row = f"{name}_b{batch}"
        if wanted is None or row in wanted or f"vs_quantize_static_{row}" in wanted:
            found |= network_rows(name, batch, repeats)
    for row, measure in (("edges_suffix_vs_naive", suffix_row), ("fake_quant_vs_float", forward_row)):
        if wanted is None or row in wanted:
            found[row] = measure(min(repeats, 3))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, row name to median ratio")
    parser.add_argument("--row", action="append", help="only this row; may be given several times")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = chosen_rows(arguments.row, arguments.repeats)
    vnni = multiplies_bytes_fast()
    if arguments.json:
        print(json.dumps({"vnni": vnni, **{name: round(row.ratio, 3) for name, row in rows.items()}}))
        return
    for name, row in rows.items():
        print(f"{name:32} {row.ratio:6.2f}  {' '.join(f'{ratio:.2f}' for ratio in row.ratios)}  {row.note}")
    print(f"{'vnni':32} {'yes' if vnni else 'no: bytes are not faster here'}")


if __name__ == "__main__":
    main()
