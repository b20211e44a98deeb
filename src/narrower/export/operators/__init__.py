"""Which ONNX operators express each ATen operator of a lowered program, one file a family."""
