"""Workers of a Ray cluster score; this process hands out plans and takes answers."""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from narrower.evaluate.backends.backend import Engine, Say, Work
from narrower.evaluate.backends.ray_connection import connect, environment, send_operators
from narrower.evaluate.backends.ray_worker import RayWorker, versions
from narrower.evaluate.backends.settings import BackendSettings
from narrower.evaluate.backends.shares import shared_order, shares
from narrower.tasks.quality import Quality, failed

MOST_TRIES = 3  # of a plan whose worker is lost
MOST_LOST_IN_A_ROW = 3  # for each worker: more, and no further ones are started
PROBE = 4  # plans that each worker scores first, to compare its bits with those of this process
PIECE_SECONDS = 1.0  # that a worker is to be busy with one piece
PIECES_AT_FIRST = 2  # for each worker, while it is not known how long a plan takes
LATE = 2.0  # times the expected seconds, after which a piece is given to an idle worker too
FIRST_WORKER_SECONDS = 120.0  # that the first worker may take to start
MEMORY_MARGIN = 1.25  # of what the first worker takes, asked for each other one


@dataclass(eq=False)
class _Piece:
    """Positions of plans that one worker scores at a time."""

    positions: Sequence[int]
    tries: int = 0
    copies: int = 0  # workers that are busy with it
    started: float = 0.0
    is_answered: bool = False


@dataclass
class _List:
    """One list of plans, and what is known of it."""

    plans: Sequence[Any]
    loss: bool
    waiting: deque[_Piece]
    found: dict[int, Any] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        return len(self.found) == len(self.plans)


class RayCluster:
    """``max_workers`` actors of one core each.

    Pieces of a list go to whichever worker is free. The piece of a worker that is lost goes to another one;
    the second time its plans are separated, so that one of them cannot take others with it, and a plan whose
    workers are lost ``MOST_TRIES`` times fails. Where no worker is left, plans are scored in this process.
    What is scored may be other ``Work`` than plans.
    """

    def __init__(self, settings: BackendSettings, say: Say) -> None:
        self.lost = 0
        self._settings, self._say = settings, say
        self._engine: Engine | None = None
        self._owns_cluster = False
        self._stored: Any = None  # the engine in the object store
        self._probe: tuple[list[Any], list[Any]] | None = None
        self._numbers = count()
        self._greeting: dict[Any, Any] = {}  # by the reference of its answer: workers that are starting
        self._running: dict[Any, tuple[Any, _Piece, _List]] = {}
        self._idle: list[Any] = []
        self._asked_for = 0  # workers that were started and not lost
        self._lost_in_a_row = 0
        self._plan_seconds: float | None = None

    def start(self, engine: Engine) -> None:
        """Connect to the cluster, or begin one.

        Raises:
            SettingsError: there is no such cluster.
        """
        self._engine = engine
        self._owns_cluster = not ray.is_initialized()
        if self._owns_cluster:
            connect(self._settings)
        send_operators()
        self._stored = ray.put(engine)

    def workers(self) -> int:
        """How many the cluster has room for now."""
        return self._wanted

    def score(self, plans: Sequence[Any], loss: bool) -> list[Any]:
        """The qualities of different plans, in their order."""
        assert self._engine is not None, "start comes first"
        if not plans:
            return []
        if self._probe is None:
            engine = self._engine
            some = engine.probe(plans) if isinstance(engine, Work) else list(plans[:PROBE])
            self._probe = some, self._engine.score(some, True)
            self._add_workers(1)  # the others when it is known how much memory one takes
        asked = _List(plans, loss, deque(self._pieces(plans)))
        try:
            while not asked.is_complete:
                self._hand_out(asked)
                if not self._running and not self._wait_for_first():
                    self._score_here(asked)
                self._take_answers(asked)
        except BaseException:
            self.close()  # Ctrl-C among others: nothing is left behind
            raise
        return [asked.found[position] for position in range(len(plans))]

    def close(self) -> None:
        """End the workers, and the cluster if it was begun here."""
        if self._stored is None:
            return
        busy = [worker for worker, _, _ in self._running.values()]
        for worker in (*self._greeting.values(), *busy, *self._idle):
            ray.kill(worker)
        self._greeting, self._running, self._idle, self._asked_for = {}, {}, [], 0
        self._stored = self._probe = None
        if self._owns_cluster:
            ray.shutdown()

    def _pieces(self, plans: Sequence[Any]) -> Iterator[_Piece]:
        assert self._engine is not None
        order = shared_order(plans, self._engine.layers)
        workers = self._wanted
        number = PIECES_AT_FIRST * workers
        if self._plan_seconds is not None:
            number = max(workers, round(len(plans) * self._plan_seconds / PIECE_SECONDS))
        return (_Piece(positions) for positions in shares(order, min(number, len(plans))))

    @property
    def _wanted(self) -> int:
        cores = max(1, int(ray.cluster_resources().get("CPU", 1)))
        most = self._settings.max_workers
        return cores if most is None else min(most, cores)

    def _add_workers(self, number: int, memory: int = 0) -> None:
        actor = ray.remote(RayWorker)
        for _ in range(number):
            worker = actor.options(
                num_cpus=1,
                memory=memory or None,
                scheduling_strategy="SPREAD",
                runtime_env=environment(self._settings),
                name=None,
            ).remote(self._stored)
            assert self._probe is not None
            self._greeting[worker.greet.remote(self._probe[0])] = worker
            self._asked_for += 1

    def _hand_out(self, asked: _List) -> None:
        """Give waiting pieces to idle workers; where none waits, what takes long a second time."""
        while self._idle and (piece := asked.waiting.popleft() if asked.waiting else self._late()):
            if piece.is_answered:
                continue
            worker = self._idle.pop()
            plans = [asked.plans[position] for position in piece.positions]
            piece.copies += 1
            piece.started = time.monotonic()
            self._running[worker.score.remote(plans, asked.loss)] = (worker, piece, asked)

    def _late(self) -> _Piece | None:
        if self._plan_seconds is None:
            return None
        now = time.monotonic()
        for _, piece, _ in self._running.values():
            expected = max(PIECE_SECONDS, len(piece.positions) * self._plan_seconds)
            if not piece.is_answered and piece.copies == 1 and now - piece.started > LATE * expected:
                return piece
        return None

    def _wait_for_first(self) -> bool:
        """Whether a worker is there, or one has become ready in time."""
        if self._idle:
            return True
        if not self._greeting:
            return False
        ready, _ = ray.wait(list(self._greeting), timeout=FIRST_WORKER_SECONDS)
        if not ready:
            self._say(
                f"no worker of the cluster is free after {FIRST_WORKER_SECONDS:.0f} s; "
                "plans are scored in this process until one is"
            )
        return bool(ready)

    def _score_here(self, asked: _List) -> None:
        assert self._engine is not None
        positions = [position for position in range(len(asked.plans)) if position not in asked.found]
        asked.waiting.clear()
        qualities = self._engine.score([asked.plans[position] for position in positions], asked.loss)
        asked.found.update(zip(positions, qualities, strict=True))

    def _take_answers(self, asked: _List) -> None:
        references = [*self._running, *self._greeting]
        if not references or asked.is_complete:
            return
        done, _ = ray.wait(references, timeout=PIECE_SECONDS)
        for reference in done:
            if reference in self._greeting:
                self._welcome(reference)
            else:
                self._take(reference)

    def _welcome(self, reference: Any) -> None:
        """Take a worker that has started, if it computes as this process does."""
        worker = self._greeting.pop(reference)
        try:
            where, found, qualities, memory = ray.get(reference)
        except RayTaskError:
            raise
        except RayError:
            self._lose()
            return
        assert self._probe is not None
        here = versions()
        differing = [
            f"{name} {found[name]} (here {here[name]})" for name in here if found[name] != here[name]
        ]
        if differing:
            self._say(f"the worker on {where} has {', '.join(differing)}")
        if qualities != self._probe[1] and not self._settings.accept_other_bits:
            self._say(
                f"the worker on {where} is not used: its results differ from those of this process "
                "(accept_other_bits = true uses it all the same)"
            )
            ray.kill(worker)
            return
        is_first = self._asked_for == 1
        self._idle.append(worker)
        if is_first:
            self._add_workers(self._wanted - 1, round(MEMORY_MARGIN * memory))

    def _take(self, reference: Any) -> None:
        worker, piece, asked = self._running.pop(reference)
        piece.copies -= 1
        try:
            seconds, qualities = ray.get(reference)
        except RayTaskError:
            raise
        except RayError as error:
            self._lose()
            if not piece.is_answered and piece.copies == 0:
                self._try_again(piece, asked, type(error).__name__)
            return
        self._idle.append(worker)
        self._lost_in_a_row = 0
        self._plan_seconds = seconds / len(piece.positions)
        if not piece.is_answered:
            piece.is_answered = True
            asked.found.update(zip(piece.positions, qualities, strict=True))

    def _try_again(self, piece: _Piece, asked: _List, reason: str) -> None:
        piece.tries += 1
        if piece.tries == MOST_TRIES:
            assert self._probe is not None
            piece.is_answered = True
            first = self._probe[1][0]
            samples = first.samples if isinstance(first, Quality) else 0
            lost = failed(f"{MOST_TRIES} workers were lost over it ({reason})", samples)
            asked.found.update(dict.fromkeys(piece.positions, lost))
        elif piece.tries == MOST_TRIES - 1:
            asked.waiting.extend(_Piece([position], piece.tries) for position in piece.positions)
        else:
            asked.waiting.append(replace(piece))

    def _lose(self) -> None:
        self.lost += 1
        self._lost_in_a_row += 1
        self._asked_for -= 1
        if self._lost_in_a_row <= MOST_LOST_IN_A_ROW * self._wanted:
            self._add_workers(1)
