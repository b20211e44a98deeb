"""``narrower watch``: what the page shows while another process searches, and who is shown nothing."""

import json
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from narrower.report.small_picture import Point, small_picture
from narrower.store.run_directory import RunDirectory
from narrower.store.run_log import RunLog
from narrower.store.trials import TrialRow, TrialStore
from narrower.study.live import LiveRun
from tests.conftest import RunNarrower

SPACE = [[{"fc": {"weight": "fixed(8,frac=7)"}}, {"fc": {"weight": "fixed(4,frac=3)"}}] for _ in range(1)]
SETTINGS = """
model = "jsc-tiny"
dataset = "jets"
[search.search_space]
name = "quantize"
[search.search_space.seed.seq_blocks_2.config]
name = ["integer"]
data_in_width = [8]
weight_width = [4, 8]
bias_width = [8]
[search.strategy.setup]
sampler = "brute_force"
[search.strategy.metrics]
accuracy = {}
bitops = {}
[search.strategy.constraints]
bitops.max = 900
"""


def begun(path: Path, settings: str = SETTINGS) -> tuple[RunDirectory, TrialStore]:
    run = RunDirectory(path)
    path.mkdir()
    run.settings.write_text(settings, encoding="utf-8")
    store = TrialStore.create(
        run.trials, ["accuracy", "loss", "bitops"], {"space slots": SPACE, "space": "x"}
    )
    return run, store


def row(number: int, accuracy: float | None, bitops: float) -> TrialRow:
    state = "failed" if accuracy is None else "complete"
    return number, number % 2, state, None, 0.1, float(number), (accuracy, None, bitops)  # type: ignore[return-value]


@contextmanager
def served(run: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "narrower", "watch", str(run)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def get(address: str) -> str:
    with urllib.request.urlopen(address, timeout=20) as answer:
        return str(answer.read().decode())


def status(address: str, method: str = "GET", host: str | None = None) -> int:
    parts = urlsplit(address)
    with closing(HTTPConnection(parts.netloc, timeout=20)) as connection:
        connection.request(method, f"{parts.path}?{parts.query}", headers={"Host": host} if host else {})
        return connection.getresponse().status


def test_a_run_is_read_as_it_grows(tmp_path: Path) -> None:
    run, store = begun(tmp_path / "run")
    live = LiveRun(run)
    assert live.look().trials == 0
    with store:
        store.append(
            [row(0, 0.5, 100), row(1, 0.4, 200), row(2, 0.9, 1000)]
        )  # the last breaks the constraint
        store.commit()
        look = live.look()
        assert (look.trials, look.failed) == (3, 0)
        assert [trial.number for trial, _ in look.members] == [0]
        assert look.members[0][1] == {"fc": {"weight": "fixed(8,frac=7)"}}
        store.append([row(3, None, 300), row(4, 0.6, 300), row(5, 0.5, 90)])
        store.commit()
        look = live.look()
    assert (look.trials, look.failed) == (6, 1)
    assert [trial.number for trial, _ in look.members] == [4, 5]
    assert (look.cost, look.quality, look.objectives) == ("bitops", "accuracy", ("accuracy", "bitops"))
    assert len(look.others) == 4
    assert not look.has_ended
    with RunLog(run.log) as log:
        log.write("ended: complete")
    assert live.look().has_ended


def test_a_search_from_python_has_no_settings_and_is_shown_all_the_same(tmp_path: Path) -> None:
    run, store = begun(tmp_path / "run", "# a search from Python\n")
    with store:
        store.append([row(0, 0.5, 100), row(1, 0.4, 200)])
    look = LiveRun(run).look()
    assert [trial.number for trial, _ in look.members] == [0]


def test_the_page_follows_and_is_for_those_who_have_its_address(tmp_path: Path) -> None:
    run, store = begun(tmp_path / "<b>run")
    before = sorted(path.name for path in run.path.iterdir())
    with served(run.path) as address, store:
        page = get(address)
        assert "&lt;b&gt;run" in page
        assert "<b>run" not in page
        assert "no trial yet" in page
        store.append([row(0, 0.5, 100)])
        store.commit()
        fragment = get(address.replace("/?", "/fragment?"))
        assert "1 trials, 1 on the front" in fragment
        assert fragment.count("<circle") == 2  # a trial, and the front's point over it
        assert status(address) == 200
        assert status(re.sub("token=.*", "token=guess", address)) == 403
        assert status(address.partition("?")[0]) == 403
        assert status(address, host="evil.example:80") == 403
        assert status(address, "POST") == 501
        assert status(address.replace("/?", "/trials.db?")) == 404
        written = {path.name for path in run.path.iterdir()} - set(before)
        assert written <= {"trials.db-wal", "trials.db-shm"}


def test_what_is_no_run_and_a_port_that_is_taken_are_said(run_narrower: RunNarrower, tmp_path: Path) -> None:
    code, _, err = run_narrower("watch", "nowhere")
    assert code == 2
    assert "nowhere: no such run" in err
    run, store = begun(tmp_path / "run")
    store.close()
    with served(run.path) as address:
        port = urlsplit(address).port
        code, _, err = run_narrower("watch", str(run.path), "--port", str(port))
    assert code == 2
    assert f"--port {port}: Address already in use" in err


def test_a_browser_shows_what_was_added_after_the_page_was_loaded(tmp_path: Path) -> None:
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("needs Chromium")
    run, store = begun(tmp_path / "run")
    with served(run.path) as address, store:
        store.append([row(0, 0.5, 100)])
        store.commit()
        dumped = subprocess.run(
            [browser, "--headless", "--no-sandbox", "--virtual-time-budget=2500", "--dump-dom", address],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout
    assert 'id="live" aria-busy="false"' in dumped  # the script ran and fetched the fragment
    assert re.search(r'id="lost"[^>]*hidden', dumped)


@pytest.mark.parametrize("costs", [[1.0, 10.0, 1000.0], [5.0], [3.0, 3.0], [-1.0, 4.0]])
def test_the_picture_orders_points_as_their_values_are(costs: list[float]) -> None:
    points = [Point(cost, -cost, json.dumps(f"<{cost}>")) for cost in costs]
    text = small_picture(points, "bitops", "accuracy")
    placed = [tuple(map(float, found)) for found in re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', text)]
    assert len(placed) == len(costs)
    assert placed == sorted(placed)
    assert all(0 <= x <= 560 and 0 <= y <= 260 for x, y in placed)
    assert "&lt;" in text


def test_a_search_can_serve_its_own_page(run_narrower: RunNarrower) -> None:
    Path("run.toml").write_text(SETTINGS, encoding="utf-8")
    wanted = [f"--set={each}" for each in ("max_epochs=1", "search.strategy.constraints.bitops.max=1e6")]
    code, out, _ = run_narrower(
        "search", "--config", "run.toml", "--watch", "--json", "--samples=64", *wanted
    )
    assert code == 0
    assert json.loads(out)["summary"]["trials"] == 2
    assert "http" not in out  # the address is no part of the result
