"""How plans get their weights; one file for each way."""
