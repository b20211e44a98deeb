"""The user's own code: how it is imported, and where in it something went wrong."""
