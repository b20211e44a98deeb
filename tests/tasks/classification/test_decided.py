"""The class that scores stand for."""

import numpy as np

from narrower.tasks.classification.decided import decided


def test_the_first_of_the_highest_scores_decides_and_a_logit_by_its_sign() -> None:
    scores = np.array([[0.1, 0.7, 0.7], [2.0, -1.0, 2.0], [-3.0, -2.0, -1.0]])
    assert decided(scores).tolist() == [1, 0, 2]
    logits = np.array([0.0, 1e-9, -1e-9, 5.0])  # zero is the first class: not above a half
    assert decided(logits[:, None]).tolist() == [0, 1, 0, 1]
    assert decided(logits).tolist() == [0, 1, 0, 1]
