"""From a model to the frozen picture of its network."""
