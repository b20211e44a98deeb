"""Where a search is written down besides its run: files, TensorBoard, MLflow, Weights & Biases."""
