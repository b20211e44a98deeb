"""``narrower watch``: a page that shows a run while it is searched."""

import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import Annotated
from urllib.parse import parse_qs, urlsplit

import typer

from narrower.cli.complete import Run
from narrower.cli.console import answer, tell
from narrower.errors import NarrowerError, OutputError, RunError
from narrower.report.live_page import LiveMember, live_fragment, live_page
from narrower.store.run_directory import RunDirectory
from narrower.study.live import LiveRun, Look

HOST = "127.0.0.1"  # of this machine alone
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
    page = _Watched(directory)
    try:
        server = _Server((HOST, port), partial(_Handler, page))
    except OSError as error:
        raise OutputError(
            f"--port {port}: {error.strerror or error}; another number, or none, may do"
        ) from error
    with server:
        answer(f"http://{HOST}:{server.server_port}/?token={page.token}")
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


class _Watched:
    """A run and the word that lets one see it."""

    def __init__(self, run: RunDirectory) -> None:
        self.run = run
        self.token = secrets.token_urlsafe(16)
        self._live, self._lock = LiveRun(run), Lock()

    def fragment(self) -> str:
        """The part of the page that changes."""
        with self._lock:
            try:
                look = self._live.look()
            except NarrowerError as error:
                return live_fragment(str(error), (), ("", ""), (), (), ())
        members = [LiveMember(trial.number, trial.metrics, plan) for trial, plan in look.members]
        axes = look.cost, look.quality
        return live_fragment(_state(look), look.objectives, axes, members, look.others, look.log)


def _state(look: Look) -> str:
    ago = "ended" if look.has_ended else f"last change {look.idle_seconds:,.0f} s ago"
    if look.trials == 0:
        return f"no trial yet; {ago}"
    failed = f", {look.failed:,} failed" if look.failed else ""
    front = f"{len(look.members)} on the front"
    return f"{look.trials:,} trials{failed}, {front}, {look.seconds:,.0f} s of searching; {ago}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that goes away before it has its answer is no fault."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    """Answers who knows the word, asks this machine by its own name, and only reads."""

    server_version, sys_version = "narrower", ""

    def __init__(self, watched: _Watched, *arguments: object) -> None:
        self._watched = watched
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        given = parse_qs(asked.query).get("token", [""])[0]
        host = self.headers.get("Host", "").rpartition(":")[0]
        if host not in (HOST, "localhost"):  # a page elsewhere whose name was made to lead here
            self._say(HTTPStatus.FORBIDDEN, f"ask {HOST}")
        elif not secrets.compare_digest(given.encode(), self._watched.token.encode()):
            self._say(HTTPStatus.FORBIDDEN, "the address lacks its token: take the one that was printed")
        elif asked.path == "/":
            nonce = secrets.token_urlsafe(16)
            page = live_page(self._watched.run.path.name, self._watched.fragment(), nonce)
            self._answer(HTTPStatus.OK, page, nonce)
        elif asked.path == "/fragment":
            self._answer(HTTPStatus.OK, self._watched.fragment(), "")
        else:
            self._say(HTTPStatus.NOT_FOUND, "there is nothing here")

    def _say(self, status: HTTPStatus, text: str) -> None:
        self._answer(status, f"<!doctype html><title>narrower</title><p>{text}</p>", "")

    def _answer(self, status: HTTPStatus, text: str, nonce: str) -> None:
        body, own = text.encode(), f"'nonce-{nonce}'" if nonce else "'none'"
        self.send_response(status)
        for name, value in {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; "
            f"frame-ancestors 'none'; img-src data:; connect-src 'self'; script-src {own}; "
            "style-src 'unsafe-inline'",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Requests are not listed."""
