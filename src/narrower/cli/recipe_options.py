"""The options that say how something is trained, one for each field of a recipe."""

from typing import Annotated

import typer

from narrower.cli.numbers import LARGEST_SEED, MOST, number_within
from narrower.training.recipe import OPTIMIZERS, SCHEDULES, Recipe

DEFAULTS = Recipe()

Epochs = Annotated[int, typer.Option("--max-epochs", min=1, max=MOST, help="Passes over the training part.")]
BatchSize = Annotated[int, typer.Option("--batch-size", min=1, max=MOST, help="Samples in one step.")]
LearningRate = Annotated[
    float,
    typer.Option(
        "--learning-rate",
        parser=number_within(1e-12, 1e6),
        metavar="FLOAT",
        help="The largest of all steps; the schedule says how it changes.",
    ),
]
Seed = Annotated[
    int,
    typer.Option(
        "--seed",
        min=0,
        max=LARGEST_SEED,
        help="Of the first weights and the order of samples, not of the split.",
    ),
]
Accelerator = Annotated[str, typer.Option("--accelerator", help="cpu, gpu, mps or auto.")]
Optimizer = Annotated[str, typer.Option("--optimizer", help=f"{', '.join(OPTIMIZERS)}.")]
Momentum = Annotated[float, typer.Option("--momentum", help="Of sgd and muon.")]
Schedule = Annotated[str, typer.Option("--schedule", help=f"{', '.join(SCHEDULES)}.")]
Cycles = Annotated[int, typer.Option("--cycles", min=1, help="Of cosine_restarts.")]
WarmupSteps = Annotated[int, typer.Option("--warmup-steps", min=0, help="In which the rate rises from 0.")]
WeightDecay = Annotated[float, typer.Option("--weight-decay", help="Of each step.")]
DecayAll = Annotated[
    bool, typer.Option("--decay-all/--decay-matrices", help="Whether biases and norms decay as well.")
]
ClipNorm = Annotated[float, typer.Option("--clip-norm", help="Largest norm of a gradient; 0 for none.")]
LabelSmoothing = Annotated[
    float, typer.Option("--label-smoothing", help="Share of targets that is spread over all classes.")
]
MaxSteps = Annotated[int, typer.Option("--max-steps", min=0, max=MOST, help="End after as many; 0: never.")]
Patience = Annotated[
    int,
    typer.Option(
        "--patience",
        min=0,
        help="End after as many epochs without a lower loss on held-out training samples, and keep the best.",
    ),
]
ChoosingShare = Annotated[
    float, typer.Option("--choosing-share", help="Of the training part, held out where something is chosen.")
]
Average = Annotated[float, typer.Option("--average", help="Decay of the average of weights; 0 for none.")]
Distillation = Annotated[
    float, typer.Option("--distillation", help="Weight of the outputs of the float model (--load).")
]
Temperature = Annotated[float, typer.Option("--temperature", help="Of both outputs there.")]
FreezeNorms = Annotated[
    int, typer.Option("--freeze-norms-after", min=0, help="Epochs until batch norms keep their statistics.")
]
