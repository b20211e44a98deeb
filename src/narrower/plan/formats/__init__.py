"""What a number can be: frozen values with a text form."""
