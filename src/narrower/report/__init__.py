"""A frozen record of a run, rendered as tables, plots and one page."""
