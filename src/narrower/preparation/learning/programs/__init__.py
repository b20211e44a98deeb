"""Learn the widths of any network that has a graph: convolutions, residual additions, attention."""
