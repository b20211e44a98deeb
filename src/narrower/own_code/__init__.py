"""What is named by the user and written by the user: import it, and say where in it something went wrong."""
