"""Serves the page of a run to this machine: read only, to who knows the word, closed to other origins."""

import secrets
import sys
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from urllib.parse import parse_qs, urlsplit

from narrower.errors import NarrowerError, OutputError
from narrower.report.live_page import LiveMember, live_fragment, live_page
from narrower.store.run_directory import RunDirectory
from narrower.study.live import LiveRun, Look

HOST = "127.0.0.1"  # of this machine alone


def live_server(run: RunDirectory, port: int) -> tuple[ThreadingHTTPServer, str]:
    """A server that listens, and the address of its page; port 0 takes one that is free.

    Raises:
        OutputError: the port cannot be had.
    """
    page = _Watched(run)
    try:
        server = _Server((HOST, port), partial(_Handler, page))
    except OSError as error:
        raise OutputError(
            f"--port {port}: {error.strerror or error}; another number, or none, may do"
        ) from error
    return server, f"http://{HOST}:{server.server_port}/?token={page.token}"


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
