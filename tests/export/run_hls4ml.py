"""A program of its own: compiles a QONNX file with hls4ml, and writes what it gives for samples.

python run_hls4ml.py MODEL.onnx INPUTS.npy OUTPUTS.npy DIRECTORY
"""

import sys
from pathlib import Path

import hls4ml
import numpy as np
from qonnx.core.modelwrapper import ModelWrapper


def main(model: Path, inputs: Path, outputs: Path, directory: Path) -> None:
    wrapped = ModelWrapper(str(model))
    config = hls4ml.utils.config.config_from_onnx_model(
        wrapped, granularity="name", backend="Vitis", default_precision="fixed<64,32>"
    )
    built = hls4ml.converters.convert_from_onnx_model(
        wrapped, output_dir=str(directory), io_type="io_parallel", backend="Vitis", hls_config=config
    )
    built.compile()
    samples = np.ascontiguousarray(np.load(inputs))
    np.save(outputs, built.predict(samples).reshape(len(samples), -1))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
