"""Several labels: each is there or not, and a number above zero says that it is."""
