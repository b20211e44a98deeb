"""What the outputs of a model of sequences mean: scores [N, places, tokens], of which the highest counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log
from typing import TYPE_CHECKING, Any, ClassVar

from numpy.typing import NDArray

from narrower.errors import DataError
from narrower.tasks.segmentation.task import check_places, cross_entropy_of_places, softmax_warning
from narrower.tasks.side_by_side import side_by_side
from narrower.tasks.task import LOSS, Ending, Loss, SampleMetric, Words

if TYPE_CHECKING:
    from torch import Tensor

CROSS_ENTROPY = "cross entropy of tokens"
MOST = 700.0  # e to the power of more is no number


def cross_entropy_of_tokens(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    """Of each sequence [N], on average over its tokens that count."""
    return cross_entropy_of_places(outputs.transpose(1, 2), targets)


def _in_double(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    return cross_entropy_of_tokens(outputs.double(), targets)


def _counted(targets: "Tensor") -> "Tensor":
    return (targets >= 0).sum(dim=1).double()


def _losses_and_tokens(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    tokens = _counted(targets)
    return side_by_side(_in_double(outputs, targets) * tokens, tokens)


def _hits_and_tokens(outputs: "Tensor", targets: "Tensor") -> "Tensor":
    return side_by_side((outputs.argmax(dim=2) == targets).sum(dim=1), _counted(targets))


def _mean_over_tokens(sums: Sequence[float], _samples: int) -> float:
    return sums[0] / sums[1] if sums[1] else float("nan")


def _perplexity(sums: Sequence[float], samples: int) -> float:
    return exp(min(_mean_over_tokens(sums, samples), MOST))


@dataclass(frozen=True, slots=True)
class Tokens:
    """Targets [N, places] are numbers of tokens, -100 where none counts; outputs [N, places, tokens].

    What is foretold, the ``name`` says: the next token, those that are masked, or the class of each.
    """

    name: str

    metrics: ClassVar = (
        SampleMetric(
            "perplexity",
            "e to the mean cross entropy of all tokens",
            "minimize",
            _losses_and_tokens,
            _perplexity,
            chance=float,
        ),
        SampleMetric(
            LOSS,
            f"mean {CROSS_ENTROPY}, sequence by sequence",
            "minimize",
            _in_double,
            best=(0.0,),
            chance=log,
        ),
        SampleMetric(
            "token_accuracy",
            "share of tokens whose highest score is right",
            "maximize",
            _hits_and_tokens,
            _mean_over_tokens,
            chance=lambda tokens: 1 / tokens,
        ),
    )

    @property
    def words(self) -> Words:
        """Its name, and what it calls outputs."""
        return Words(self.name, "token", "tokens", "each token that counts is to be foretold")

    def loss(self, ending: Ending) -> Loss:
        """Cross entropy of each token."""
        return Loss(CROSS_ENTROPY, cross_entropy_of_tokens, softmax_warning(ending))

    def check(
        self,
        targets: NDArray[Any],
        names: Sequence[str] | None = None,
        *,
        outputs: "Tensor | None" = None,
        teaches: bool = False,
    ) -> tuple[str, ...]:
        """Whole numbers [N, places]; scores of each token at each place.

        Raises:
            DataError: they are something else, or the shapes do not fit.
        """
        names = check_places(targets, names, "token", teaches=teaches)
        if targets.ndim != 2:  # noqa: PLR2004 - [N, places]
            raise DataError(f"the tokens have shape {targets.shape}; expected [N, places]")
        if outputs is not None:
            shape = tuple(outputs.shape)
            if shape[:2] != targets.shape or len(shape) != 3 or shape[2] < len(names):  # noqa: PLR2004
                raise DataError(
                    f"it gives outputs of shape {shape}; needed are scores of shape "
                    f"{(*targets.shape, len(names))}, "
                    "one for each place and token"
                )
        return names


LANGUAGE_MODELLING = Tokens("language-modelling")
MASKED_LANGUAGE_MODELLING = Tokens("masked-language-modelling")
TOKEN_CLASSIFICATION = Tokens("token-classification")
