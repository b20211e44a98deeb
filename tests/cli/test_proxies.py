"""Zero-cost proxies as metrics of searches over widths, and how well they rank what is trained."""

import json
from pathlib import Path

import numpy as np
from scipy import stats

from narrower.training.proxies import PROXIES
from tests.conftest import RunNarrower

SETTINGS = """
model = "digits-mlp"
dataset = "digits"
max_epochs = 2
project = "widths"
[search.search_space]
name = "{space}"
[search.search_space.seed."1".config]
{config}
[search.search_space.seed."4".config]
{config}
[search.strategy]
eval_mode = false
[search.strategy.setup]
sampler = "brute_force"
[search.strategy.metrics]
accuracy = {{}}
{metrics}
"""
WIDTHS = "channel_multiplier = [0.25, 0.5, 1]"


def write(metrics: str, space: str = "resize", config: str = WIDTHS) -> None:
    text = SETTINGS.format(metrics=metrics, space=space, config=config)
    Path("x.toml").write_text(text, encoding="utf-8")


def test_a_search_over_widths_takes_proxies_for_metrics(run_narrower: RunNarrower) -> None:
    write("synflow = {}\nmacs = {}")
    code, out, err = run_narrower("search", "--config", "x.toml", "--json")
    assert code == 0, err
    found = json.loads(out)
    values = [member["metrics"]["synflow"] for member in found["members"]]
    assert len(set(values)) == len(values)
    macs = [member["metrics"]["macs"] for member in found["members"]]
    assert values[int(np.argmax(macs))] == max(values)  # more paths, more flow
    code, _, err = run_narrower("report", "runs/widths")
    assert code == 0, err


def test_plans_of_formats_are_all_the_same_untrained(run_narrower: RunNarrower) -> None:
    write(
        "snip = {}",
        "quantize",
        'name = ["integer"]\nweight_width = [4]\ndata_in_width = [8]\nbias_width = [8]',
    )
    code, _, err = run_narrower("check", "x.toml")
    assert (code, "metrics.snip: it is computed from the untrained network" in err) == (2, True), err


def test_compare_says_how_well_proxies_rank(run_narrower: RunNarrower) -> None:
    write("macs = {}")
    code, out, err = run_narrower("compare", "--config", "x.toml", "--proxies", "--trials", "9", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert {rank["proxy"] for rank in found["ranks"]} == set(PROXIES)
    assert len(found["candidates"]) == 9
    for rank in found["ranks"]:
        own = [candidate[rank["proxy"]] for candidate in found["candidates"]]
        accuracies = [candidate["accuracy"] for candidate in found["candidates"]]
        assert np.isclose(rank["correlation"], stats.spearmanr(own, accuracies).statistic)
        low, high = rank["interval"]
        assert -1 <= low <= rank["correlation"] <= high <= 1
    assert json.loads(Path(found["directory"], "proxies.json").read_text(encoding="utf-8"))
    code, out, err = run_narrower("compare", "--config", "x.toml", "--proxies", "--trials", "4")
    assert code == 0, err
    assert "rank correlation" in out
