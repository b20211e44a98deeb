"""Write docs/cli.md: every command with its options, from the program itself.

python tools/write_cli_docs.py
"""

import contextlib
import io
import os
from pathlib import Path

from narrower.cli.main import app, run

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"
HEAD = """\
# The command line

This page is generated: `make docs` writes it anew from the program.

Results go to stdout, progress and messages to stderr. Exit codes: 0 done, 2 something that you can mend (the
message says what), 1 a defect of ours or a search in which every trial failed, 130 interrupted by Ctrl-C.
"""


def page() -> str:
    """The whole page."""
    words = [[command.name] for command in app.registered_commands]
    for group in app.registered_groups:
        of_group = group.typer_instance.registered_commands if group.typer_instance else []
        words += [[group.name, command.name] for command in of_group]
    named = [list(filter(None, word)) for word in words]
    sections = [
        ("narrower", help_text()),
        *((f"narrower {' '.join(word)}", help_text(*word)) for word in named),
    ]
    return "\n".join([HEAD, *(f"## {title}\n\n```text\n{text}\n```\n" for title, text in sections)])


def help_text(*command: str) -> str:
    """What ``--help`` prints on a terminal of 80 columns."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "80"
    try:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            run([*command, "--help"])
    finally:
        os.environ.pop("COLUMNS")
        if before is not None:
            os.environ["COLUMNS"] = before
    return "\n".join(line.rstrip() for line in out.getvalue().strip().splitlines())


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
