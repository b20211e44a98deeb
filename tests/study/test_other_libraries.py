"""A module that Lightning trained is searched at once; samplers of Optuna propose plans."""

import lightning
import optuna
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import narrower

SPACE = {"0": {"data": [4, 8], "weight": [2, 3, 4, 8]}, "2": {"data": [4, 8], "weight": [2, 3, 4, 8]}}


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 5))


class Tagger(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.model = network()

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], _: int) -> torch.Tensor:
        return nn.functional.cross_entropy(self.model(batch[0]), batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), 0.01)


@pytest.mark.filterwarnings("ignore")
def test_what_lightning_trained_is_searched_when_it_ends() -> None:
    part = narrower.load_data_set("jets").train.first(4096)
    after = narrower.AfterFit(
        lambda trained: narrower.search(trained, "jets", SPACE, ["accuracy", "bitops"], samples=300), "model"
    )
    module = Tagger()
    trainer = lightning.Trainer(
        max_epochs=2,
        callbacks=[after],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, DataLoader(TensorDataset(part.inputs, part.targets), batch_size=64))
    assert after.result is not None
    validation = narrower.load_data_set("jets").validation.first(300)
    right = (module.model(validation.inputs).argmax(1) == validation.targets).float().mean().item()
    assert after.result.record.float32["accuracy"] == pytest.approx(right, abs=1e-6)
    assert right > 0.3
    assert after.result.front


def test_samplers_of_optuna_propose_plans() -> None:
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=1), directions=["maximize"] * 2)
    for brain in (study.sampler, optuna.samplers.NSGAIISampler(population_size=4, seed=2)):
        found = narrower.search(
            network(), "jets", SPACE, ["accuracy", "bitops"], samples=200, sampler=brain, n_trials=12
        )
        assert found.record.sampler == type(brain).__name__
        assert found.record.summary.trials == 12
    with pytest.raises(narrower.NarrowerError, match="n_trials is missing"):
        narrower.search(network(), "jets", SPACE, ["accuracy", "bitops"], sampler=study.sampler)
    with pytest.raises(narrower.NarrowerError, match="sampler: found Study; allowed"):
        narrower.search(network(), "jets", SPACE, ["accuracy", "bitops"], sampler=study, n_trials=3)
