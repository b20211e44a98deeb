"""The program, started as ``python -m narrower``."""

from narrower.cli.main import main

main()
