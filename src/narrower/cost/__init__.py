"""What a network costs under a plan, without building a model."""
