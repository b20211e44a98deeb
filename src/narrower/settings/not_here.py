"""What files for MASE/chop may name that does not exist here, and what comes nearest."""

from collections.abc import Mapping

_OWN_MODEL = "your own, 'package.module:callable'"
_OWN_DATA = "your own, 'package.module:function'"
_LANGUAGE_MODELS = (
    "opt", "opt-125m", "opt-350m", "bert", "bert-base-uncased", "roberta", "llama", "vicuna", "mistral",
    "gpt2", "t5", "t5-small",
)  # fmt: skip
_TORCHVISION = (
    "resnet18", "resnet34", "resnet50", "resnet101", "mobilenet_v2", "mobilenet_v3_small",
    "mobilenet_v3_large", "wide_resnet50_2", "efficientnet_v2_s", "vit_b_16",
)  # fmt: skip
_TEXTS = (
    "wikitext2", "wikitext103", "wikitext", "wikitext-103-v1", "wikitext-2-raw-v1", "ptb", "boolq",
    "copa", "mnli", "mrpc", "qnli", "qqp", "rte", "sst2", "stsb", "cola", "wnli", "squad",
    "iwslt2017_de_en", "wmt19_de_en",
)  # fmt: skip
_PROXIES = ("zen", "l2_norm", "epe_nas", "params")

MODELS: Mapping[str, str] = {
    **dict.fromkeys(_LANGUAGE_MODELS, f"there are no language models; nearest: {_OWN_MODEL}"),
    **{name: f"nearest: 'torchvision.models:{name}'" for name in _TORCHVISION},
    **{name.replace("_", ""): f"nearest: 'torchvision.models:{name}'" for name in _TORCHVISION},
    "lenet": f"nearest: 'digits-cnn', or {_OWN_MODEL}",
    "vgg-tiny": "nearest: 'vgg7'",
}
DATA_SETS: Mapping[str, str] = {
    **dict.fromkeys(_TEXTS, f"there are no texts; nearest: {_OWN_DATA}"),
    "mnist": f"nearest: 'digits', or {_OWN_DATA}",
    "fashion-mnist": f"nearest: 'digits', or {_OWN_DATA}",
    "imagenet": f"nearest: 'digits32', or {_OWN_DATA}",
}
SPACES: Mapping[str, str] = {
    "graph/software/zero_cost": "there is no space of a NAS benchmark; nearest: 'resize'",
    "graph/zero_cost_proxy": "there is no space of a NAS benchmark; nearest: 'resize'",
}
STRATEGIES: Mapping[str, str] = {
    "rl": "there is no reinforcement learning; nearest: 'optuna' with sampler = 'guided'",
    "naslib": "there is no NAS benchmark; nearest: 'optuna' with sampler = 'guided'",
    "zero_cost": "zero-cost proxies are metrics here; nearest: 'optuna' with sampler = 'guided'",
}
METRICS: Mapping[str, str] = {
    **dict.fromkeys(_PROXIES, "there is no such zero-cost proxy; nearest: 'synflow'"),
    "nwot": "nearest: 'naswot'",
}
KEYS: Mapping[str, str] = {
    "zero_cost": "zero-cost proxies are metrics, below search.strategy.metrics; nearest: 'basic_evaluation'"
}


def hint(name: str, absent: Mapping[str, str]) -> str:
    """What is said of a name that is known not to exist here; hyphens are underscores, capitals are not."""
    plain = name.lower()
    for spelling in (plain, plain.replace("_", "-"), plain.replace("-", "_")):
        if spelling in absent:
            return f" ({absent[spelling]})"
    return ""
