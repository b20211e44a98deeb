from pathlib import Path

import numpy as np
import pytest

from narrower.report.findings import read_findings
from narrower.report.sensitivity import Effect, Sensitivity
from tests.report.made_up_run import Widths, all_widths, write_run


def by_name(found: Sensitivity) -> dict[str, Effect]:
    return {effect.feature.name: effect for effect in found.effects}


@pytest.mark.parametrize("tried", [None, [0, 3, 7, 11, 14, 18, 22, 25, 29, 33, 35, 4, 30]])
def test_effects_that_add_up_are_found_exactly(tmp_path: Path, tried: list[int] | None) -> None:
    found = read_findings(write_run(tmp_path / "run", tried=tried)).sensitivity
    effects = by_name(found)
    assert effects["stem.weight"].labels == ("2", "4", "8")
    np.testing.assert_allclose(effects["stem.weight"].effects, [-0.10, -0.02, 0.0], atol=1e-9)
    np.testing.assert_allclose(effects["head.weight"].effects, [-0.05, -0.02, 0.0], atol=1e-9)
    np.testing.assert_allclose(effects["head.data"].effects, [-0.01, 0.0], atol=1e-9)
    assert found.explained == pytest.approx(1.0)
    assert found.effects[0].feature.name == "stem.weight"  # the largest first


def test_with_every_combination_effects_are_differences_of_means(tmp_path: Path) -> None:
    def accuracy(widths: Widths) -> float:  # the layers' effects multiply
        (_, first), (_, second) = widths.values()
        return 0.5 + 0.4 * (1 - 1 / first) * (1 - 1 / second**2)

    found = read_findings(write_run(tmp_path / "run", accuracy=accuracy)).sensitivity
    plans = all_widths(("stem", "head"))
    means = {bits: np.mean([accuracy(p) for p in plans if p["stem"][1] == bits]) for bits in (2, 4, 8)}
    expected = [means[bits] - means[8] for bits in (2, 4, 8)]
    np.testing.assert_allclose(by_name(found)["stem.weight"].effects, expected, atol=1e-9)
    assert by_name(found)["stem.weight"].trials == (12, 12, 12)
    assert found.explained is not None
    assert 0.5 < found.explained < 1


def test_choices_that_were_made_together_get_plain_means(tmp_path: Path) -> None:
    # plans 0 and 35: all narrow, all wide
    found = read_findings(write_run(tmp_path / "run", tried=[0, 35])).sensitivity
    assert found.explained is None
    for effect in found.effects:
        np.testing.assert_allclose(effect.effects, [-0.17, 0.0], atol=1e-9)  # 0.10 + 0.05 + 2 x 0.01


def test_a_level_that_was_never_tried_is_left_out(tmp_path: Path) -> None:
    tried = [index for index, plan in enumerate(all_widths(("stem", "head"))) if plan["stem"][1] != 4]
    effect = by_name(read_findings(write_run(tmp_path / "run", tried=tried)).sensitivity)["stem.weight"]
    assert effect.labels == ("2", "8")
    np.testing.assert_allclose(effect.effects, [-0.10, 0.0], atol=1e-9)


def test_one_trial_says_nothing(tmp_path: Path) -> None:
    assert read_findings(write_run(tmp_path / "run", tried=[3])).sensitivity == Sensitivity((), None)
