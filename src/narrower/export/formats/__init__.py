"""What artefacts make of each family of number formats."""
