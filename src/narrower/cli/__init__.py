"""The commands: parse, call, print. torch is imported only inside a command."""
