"""Configurations of score_sde: the published ones by name, and what one says of a network."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...core.errors import UsageError
from ...core.options import hint
from ...networks.ncsnpp import NCSNppOptions
from ...sde import DDPM, SDE, VESDE, VPSDE, SubVPSDE
from .base import Setting

Config = Mapping[str, Any]
PLUS = {
    "name": "ncsnpp", "nf": 128, "ch_mult": [1, 2, 2, 2], "num_res_blocks": 4, "attn_resolutions": [16],
    "resamp_with_conv": True, "conditional": True, "fir": False, "fir_kernel": [1, 3, 3, 1], "skip_rescale": True,
    "resblock_type": "biggan", "progressive": "none", "progressive_input": "none", "progressive_combine": "sum",
    "embedding_type": "positional", "fourier_scale": 16, "init_scale": 0.0, "nonlinearity": "swish", "dropout": 0.1,
    "scale_by_sigma": False, "sigma_min": 0.01, "sigma_max": 50, "num_scales": 1000, "beta_min": 0.1, "beta_max": 20.0,
}  # fmt: skip
"""DDPM++, as for CIFAR-10 with a variance that is preserved."""
DEEP = {"num_res_blocks": 8}
NCSNPP = {"fir": True, "progressive_input": "residual"}
FOURIER = {"embedding_type": "fourier", "scale_by_sigma": True}
PLAIN = {"name": "ddpm", "num_res_blocks": 2}
LARGE = {
    **NCSNPP, **FOURIER, "ch_mult": [1, 1, 2, 2, 2, 2, 2], "num_res_blocks": 2, "progressive": "output_skip",
    "progressive_input": "input_skip", "dropout": 0.0, "num_scales": 2000,
}  # fmt: skip
HUGE = {"nf": 16, "ch_mult": [1, 2, 4, 8, 16, 32, 32, 32], "num_res_blocks": 1, "sigma_max": 1348}
PUBLISHED: dict[str, tuple[bool, int, dict[str, Any]]] = {
    "vp/cifar10_ddpm": (False, 32, PLAIN),
    "vp/cifar10_ddpm_continuous": (True, 32, PLAIN),
    "vp/cifar10_ddpmpp": (False, 32, {}),
    "vp/cifar10_ddpmpp_continuous": (True, 32, {}),
    "vp/cifar10_ddpmpp_deep_continuous": (True, 32, DEEP),
    "vp/cifar10_ncsnpp_continuous": (True, 32, NCSNPP),
    "vp/cifar10_ncsnpp_deep_continuous": (True, 32, {**NCSNPP, **DEEP}),
    "subvp/cifar10_ddpm_continuous": (True, 32, PLAIN),
    "subvp/cifar10_ddpmpp_continuous": (True, 32, {}),
    "subvp/cifar10_ddpmpp_deep_continuous": (True, 32, DEEP),
    "ve/cifar10_ddpm": (False, 32, {**PLAIN, "scale_by_sigma": True}),
    "ve/cifar10_ncsnpp": (False, 32, {**NCSNPP, "scale_by_sigma": True}),
    "ve/cifar10_ncsnpp_continuous": (True, 32, {**NCSNPP, **FOURIER}),
    "ve/cifar10_ncsnpp_deep_continuous": (True, 32, {**NCSNPP, **FOURIER, **DEEP}),
    "ve/bedroom_ncsnpp_continuous": (True, 256, {**LARGE, "sigma_max": 378}),
    "ve/church_ncsnpp_continuous": (True, 256, {**LARGE, "sigma_max": 380}),
    "ve/celebahq_256_ncsnpp_continuous": (True, 256, {**LARGE, "sigma_max": 348}),
    "ve/ffhq_256_ncsnpp_continuous": (True, 256, {**LARGE, "sigma_max": 348}),
    "ve/ffhq_1024_ncsnpp_continuous": (True, 1024, {**LARGE, **HUGE}),
}
"""By name: whether it is continuous, the side of the images, and what of the model differs from `PLUS`."""
USED = {
    "model": set(PLUS),
    "data": {"image_size", "num_channels", "centered"},
    "training": {"sde", "continuous"},
}
IDLE = {
    "model": {"ema_rate", "normalization", "attention_type", "conv_size"},
    "data": {"dataset", "category", "path", "tfrecords_path", "random_flip", "uniform_dequantization"},
    "training": {
        "batch_size", "n_iters", "snapshot_freq", "snapshot_freq_for_preemption", "snapshot_sampling", "log_freq",
        "eval_freq", "likelihood_weighting", "reduce_mean", "n_jitted_steps",
    },
}  # fmt: skip
"""What no network of score_sde's code, and no score made of one, depends on."""
BESIDE = {"sampling", "eval", "optim", "seed", "device"}
"""Tables that say nothing of the network. That of sampling is noted."""


def configuration(text: str) -> Config:
    """A configuration, by its name or from a file.

    Args:
        text: Its name, such as "ve/church_ncsnpp_continuous", or the path of a JSON file with the tables model, data
            and training, as `config.to_json_best_effort()` of the original writes it.

    Raises:
        UsageError: There is no such name or file, or the file holds no such tables.
    """
    if text in PUBLISHED:
        continuous, side, changes = PUBLISHED[text]
        kind = text.partition("/")[0]
        return {
            "model": {**PLUS, **changes},
            "data": {"image_size": side, "num_channels": 3, "centered": kind != "ve"},
            "training": {"sde": f"{kind}sde", "continuous": continuous},
        }
    try:
        found = json.loads(Path(text).read_bytes())
    except FileNotFoundError:
        raise UsageError(f"config is a JSON file or a name, and {text!r} is neither. {hint(text, PUBLISHED)}") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"the configuration {text} is unreadable: {error}") from None
    if not isinstance(found, dict) or not all(isinstance(found.get(table), dict) for table in USED):
        raise UsageError(f"the configuration {text} must have the tables {', '.join(USED)}")
    return found


def setting(config: Config) -> Setting[NCSNppOptions]:
    """The network, process, label and prediction of a configuration.

    Args:
        config: Its tables.

    Raises:
        UsageError: An option is missing, or it or its value is not covered.
    """
    _known(config)
    try:
        return _setting(config)
    except UsageError:
        raise
    except (TypeError, ValueError) as error:  # a text in place of a number, or a number in place of a list
        raise UsageError(f"an option of the configuration has a value of the wrong kind: {error}") from None


def _setting(config: Config) -> Setting[NCSNppOptions]:
    model, data, training = (_Table(name, config[name]) for name in USED)
    kind, continuous = str(training["sde"]).lower(), training.flag("continuous")
    centered, exploding = data.flag("centered"), kind == "vesde"
    if not centered and not exploding:
        raise UsageError(f"data.centered = false is covered with training.sde = vesde only, not with {kind}")
    sde, label = _process(kind, continuous, model, factor=1 if centered else 2)
    side, levels = int(data["image_size"]), len(model["ch_mult"])
    common = {
        "channels": model["nf"],
        "multipliers": model["ch_mult"],
        "blocks": model["num_res_blocks"],
        # The original compares the resolution, which is halved rounding down, with the list.
        "attention": [side // 2**n for n in range(levels) if side // 2**n in model["attn_resolutions"]],
        "resample_conv": model["resamp_with_conv"],
        "conditional": model["conditional"],
        "activation": model["nonlinearity"],
        "dropout": model["dropout"],
        "scale_by_sigma": model["scale_by_sigma"],
        "sigma_min": model["sigma_min"],
        "sigma_max": model["sigma_max"],
        "levels": model["num_scales"],
        "unit_interval": not centered,
    }
    network = NCSNppOptions(**common, **_kind(model))
    if network.embedding == "fourier" and not continuous:
        raise UsageError("model.embedding_type = fourier needs training.continuous = true")
    if network.embedding == "positional" and exploding and continuous:
        raise UsageError("with vesde in continuous time, model.embedding_type must be fourier, got positional")
    if network.scale_by_sigma and not exploding:
        raise UsageError(f"model.scale_by_sigma = true is covered with training.sde = vesde only, not with {kind}")
    return Setting(network, (int(data["num_channels"]), side, side), sde, label, "score" if exploding else "eps")


class _Table(dict[str, Any]):
    """One table of a configuration, which asks for what it lacks."""

    def __init__(self, name: str, values: Config) -> None:
        super().__init__(values)
        self.name = name

    def __missing__(self, key: str) -> Any:
        raise UsageError(f"the configuration lacks {self.name}.{key}")

    def flag(self, key: str) -> bool:
        if not isinstance(self[key], bool):
            raise UsageError(f"{self.name}.{key} must be true or false, got {self[key]!r}")
        return bool(self[key])


def _known(config: Config) -> None:
    """Refuses what is in a configuration and is not covered."""
    for table, values in config.items():
        if table not in USED and table not in BESIDE and not table.startswith("_"):
            raise UsageError(f"{table} is a table of the configuration that is not covered: remove it if it is idle")
        for key, value in values.items() if table in USED else ():
            if key not in USED[table] | IDLE[table]:
                raise UsageError(f"{table}.{key} = {value!r} is an option that is not covered")


def _process(kind: str, continuous: bool, model: Config, factor: int) -> tuple[SDE, str]:
    """The process for data in [-1, 1] and the label; `factor` is how much wider these data are than the original's."""
    steps = int(model["num_scales"])
    if kind == "vesde":
        sde = VESDE(sigma_min=factor * model["sigma_min"], sigma_max=factor * model["sigma_max"])
        return sde, f"sigma:scale={1 / factor:g}" if continuous else f"reversed:scale={steps - 1}"
    if kind not in ("vpsde", "subvpsde"):
        raise UsageError(f"training.sde must be vpsde, subvpsde or vesde, got {kind!r}")
    first, last = model["beta_min"], model["beta_max"]
    if kind == "subvpsde":  # which the original takes to be continuous, whatever training.continuous says
        return SubVPSDE(beta_min=first, beta_max=last), "scaled:scale=999"
    if continuous:
        return VPSDE(beta_min=first, beta_max=last), "scaled:scale=999"
    return DDPM(steps=steps, beta_first=first / steps, beta_last=last / steps), "step"


def _kind(model: Config) -> dict[str, Any]:
    """The options in which the original's networks `ddpm` and `ncsnpp` differ."""
    if model["name"] == "ddpm":
        if not model["conditional"]:
            raise UsageError("model.conditional = false is not covered for model.name = ddpm")
        return {"resblock": "ddpm", "rescale": False, "groups": 32}
    if model["name"] != "ncsnpp":
        raise UsageError(f"model.name must be ncsnpp or ddpm, got {model['name']!r}")
    pyramids = {"output_skip": "skip", "input_skip": "skip"}
    out, into = str(model["progressive"]).lower(), str(model["progressive_input"]).lower()
    return {
        "resblock": str(model["resblock_type"]).lower(),
        "fir": model["fir"],
        "fir_kernel": model["fir_kernel"],
        "rescale": model["skip_rescale"],
        "progressive": pyramids.get(out, out),
        "progressive_input": pyramids.get(into, into),
        "combine": str(model["progressive_combine"]).lower(),
        "embedding": str(model["embedding_type"]).lower(),
        "fourier_scale": model.get("fourier_scale", 16.0),  # the frequencies themselves are in the file
        "init_scale": model["init_scale"],
    }
