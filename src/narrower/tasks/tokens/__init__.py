"""Tokens: each place of a sequence has a class, such as the word that comes next."""
