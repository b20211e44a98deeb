"""``narrower watch``: a page that shows a run while it is searched."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from narrower.cli.complete import Run
from narrower.cli.console import answer, tell
from narrower.errors import RunError
from narrower.store.run_directory import RunDirectory

Port = Annotated[
    int, typer.Option("--port", min=0, max=65535, help="Where to serve.", show_default="a free one")
]


def watch(run: Run, port: Port = 0) -> None:
    """Serve a page about RUN to browsers of this machine, also while another process searches.

    Nothing is written. The address holds a word without which nothing is shown. Ctrl-C ends it.
    """
    directory = RunDirectory(run)
    if not directory.path.is_dir():
        raise RunError(f"{run}: no such run; 'narrower runs' lists what there is")
    from narrower.study.live_server import live_server

    server, address = live_server(directory, port)
    with server:
        answer(address)
        tell("Ctrl-C ends it; a search goes on")
        server.serve_forever()


@contextmanager
def watched(run: RunDirectory) -> Iterator[None]:
    """Serve the page of a run from a process of its own, which ends with what is done inside."""
    command = [sys.executable, "-m", "narrower", "watch", str(run.path)]
    with subprocess.Popen(command, stdout=2, start_new_session=True) as server:
        try:
            yield
        finally:
            server.terminate()
