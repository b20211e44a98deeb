"""What an ONNX file says of the numbers that go in and come out, for whoever has nothing but the file."""

import json

from onnx import ModelProto, helper

from narrower.data.datasets import DataSet
from narrower.data.prepared import prepared_dict

KEY = "narrower"


def add_metadata(model: ModelProto, data: DataSet) -> None:
    """Write how inputs were made and what outputs stand for: JSON under one key, as the manifest has it."""
    held = {data.task.words.names_key: list(data.output_names), **prepared_dict(data.prepared)}
    helper.set_model_props(model, {KEY: json.dumps(held)})
