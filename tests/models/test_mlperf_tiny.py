"""The networks of MLPerf Tiny have the sizes that were published; generated sounds can be told apart."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from narrower.cost.network_cost import NetworkCost
from narrower.data.datasets import load_data_set
from narrower.graph.trace import trace
from narrower.models.build import build_model


@pytest.mark.parametrize(
    ("name", "data", "numbers", "macs"),
    [
        # Keras counts the statistics of batch norms; products by hand from the published layers
        ("ds-cnn", "toy-keywords", 24_908, 25 * 5 * 64 * (40 + 4 * (9 + 64)) + 64 * 12),
        ("dense-autoencoder", "toy-machines", 269_992, 2 * (640 * 128 + 3 * 128 * 128 + 128 * 8)),
    ],
)
def test_a_network_is_as_large_as_published(name: str, data: str, numbers: int, macs: int) -> None:
    samples = load_data_set(data)
    model = build_model(name, sizes=samples.sizes if name == "ds-cnn" else None)
    held = [tensor for key, tensor in model.state_dict().items() if "num_batches" not in key]
    assert sum(tensor.numel() for tensor in held) == numbers
    assert NetworkCost(trace(model, samples.examples).network).macs == macs


def test_words_are_different_and_in_noise() -> None:
    data = load_data_set("toy-keywords")
    assert data.train.inputs.shape[1:] == (1, 49, 10)
    assert len(data.output_names) == 12
    sums = [part.inputs.mean(dim=(1, 2)).numpy() for part in (data.train, data.test)]  # over time
    plain = LogisticRegression(max_iter=500).fit(sums[0], data.train.targets.numpy())
    share = plain.score(sums[1], data.test.targets.numpy())
    assert 3 / 12 < share < 0.9  # bands alone say much, and not all: which way a tone moves does


def test_odd_machines_are_rare_and_differ_in_their_spectra() -> None:
    data = load_data_set("toy-machines?task=anomalies&normal=usual")
    assert not data.train.targets[:, -1].any()
    odd = data.test.targets[:, -1].numpy()
    assert 0.1 < odd.mean() < 0.35
    usual = data.train.inputs.numpy()
    _, scales, directions = np.linalg.svd(usual - usual.mean(0), full_matrices=False)
    kept = directions[:16]
    centred = data.test.inputs.numpy() - usual.mean(0)
    rest = centred - centred @ kept.T @ kept
    assert scales[0] > 0
    assert roc_auc_score(odd, np.square(rest).mean(1)) > 0.7  # a linear autoencoder sees them
    assert torch.isfinite(data.train.inputs).all()
