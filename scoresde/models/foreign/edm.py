"""Pickles of EDM."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...core.errors import CheckpointError, UsageError
from ...core.sentences import an
from ...networks.edm_adm import DhariwalOptions
from ...networks.edm_base import EDMOptions
from ...networks.edm_song import SongOptions
from ...sde import SDE, VESDE, VPSDE
from .base import Family, Imported, Setting, families, model_of
from .glance import mentions
from .persistent import module_of, options_of, weights_of
from .pickles import read_records

NETWORKS: dict[str, type[EDMOptions]] = {"SongUNet": SongOptions, "DhariwalUNet": DhariwalOptions}
INTERFACE = {"img_resolution", "img_channels", "label_dim", "model_type", "use_fp16", "sigma_min", "sigma_max"}
"""What both kinds of preconditioning are told; half precision is left to our own options."""
OWN = {"EDMPrecond": {"sigma_data"}, "VPPrecond": {"beta_d", "beta_min", "M", "epsilon_t"}}
REFUSED = {
    "Precond": "a network of EDM2",
    "VEPrecond": "preconditioned as VE",
    "iDDPMPrecond": "preconditioned as iDDPM",
}


@families("edm")
class EDM(Family):
    """`edm-cifar10-32x32-uncond-vp.pkl` or `network-snapshot-N.pkl`: DDPM++, NCSN++, ADM, preconditioned as EDM or VP.

    A pickle holds source that its own reader would run. This one reads names and numbers, and runs nothing. The file
    says all of the network; the process is `ve` with the range of σ that EDM samples in.

    Reference: Karras et al. 2022, https://arxiv.org/abs/2206.00364.
    """

    @classmethod
    def claims(cls, source: Path) -> bool:
        return source.suffix == ".pkl" and mentions(source, "torch_utils.persistence", "_reconstruct_persistent_obj")

    def read(self, source: Path) -> Imported:
        found = read_records(source)
        if not isinstance(found, dict) or "ema" not in found:
            raise CheckpointError(f"{source} has no entry ema: it is no snapshot of EDM")
        kind, state = module_of(found["ema"])
        if kind not in OWN:
            raise UsageError(f"{source} holds {REFUSED.get(kind, an(kind))}, which is not covered: EDM and VP are")
        told, inner = options_of(found["ema"]), state["_modules"].get("model")
        name, _ = module_of(inner)
        if name not in NETWORKS:
            raise UsageError(f"{source} holds a {name}, which is not covered: {' and '.join(NETWORKS)} are")
        network, shape = network_of(name, options_of(inner))
        strange = set(told) - INTERFACE - OWN[kind] - set(options_of(inner))
        if strange:
            raise UsageError(f"{source} has the option {sorted(strange)[0]} of {an(kind)}, which is not covered")
        model = model_of(Setting(network, shape, *meaning(kind, told)), weights_of(inner), source)
        notes = {
            "weights": "averages",
            "network": name,
            "preconditioning": kind,
            **({"no_class": "all zeros" if network.classless else "was not trained"} if network.classes else {}),
            "sampling": "the original takes 18 or more steps of Heun's method, its own grid: solver edm, grid karras",
            "licence": "the released weights of EDM are under CC BY-NC-SA 4.0: not for commercial use",
        }
        return Imported(model, notes)


def network_of(name: str, told: Mapping[str, Any]) -> tuple[EDMOptions, tuple[int, ...]]:
    """The network by what it was built with, and the shape of a sample.

    Args:
        name: Its class.
        told: Its options by name.

    Raises:
        UsageError: An option is not covered.
        CheckpointError: The size or the channels are missing or no numbers.
    """
    own = dict(told)
    side, inputs, outputs, classes, dropped = (
        own.pop(key, missing)
        for key, missing in (
            ("img_resolution", None),
            ("in_channels", None),
            ("out_channels", None),
            ("label_dim", 0),
            ("label_dropout", 0),
        )
    )
    if not all(isinstance(n, int) and n > 0 for n in (side, inputs, outputs)) or not isinstance(classes, int):
        raise CheckpointError(f"the pickle does not say the size and the channels of its {name}")
    if inputs != outputs:
        raise UsageError(f"a {name} from {inputs} to {outputs} channels is not covered: they must be the same")
    classless = not classes or bool(dropped)
    unknown = set(own) - (
        set(NETWORKS[name].model_fields) - {"classes", "classless", "extra_channels", "learned_variance"}
    )
    if unknown:
        raise UsageError(f"the {name} has the option {sorted(unknown)[0]}, which is not covered")
    return NETWORKS[name](classes=classes, classless=classless, **own), (inputs, side, side)


def meaning(kind: str, told: Mapping[str, Any]) -> tuple[SDE, str, str]:
    """Process, label and prediction.

    Args:
        kind: The class of the preconditioning.
        told: What it was built with.

    Raises:
        UsageError: A value is not allowed.
    """
    if kind == "VPPrecond":
        least, most = (number(told, name, default) for name, default in (("beta_min", 0.1), ("beta_d", 19.9)))
        return VPSDE(beta_min=least, beta_max=least + most), f"scaled:scale={number(told, 'M', 1000) - 1}", "eps"
    low, high = max(0.002, number(told, "sigma_min", 0)), min(80.0, number(told, "sigma_max", 80))
    predicts = f"edm:data_std={number(told, 'sigma_data', 0.5)}"
    return VESDE(sigma_min=low, sigma_max=high), "log-sigma:scale=0.25", predicts


def number(told: Mapping[str, Any], name: str, default: float) -> float:
    """An option that is a number.

    Args:
        told: Options by name.
        name: The option.
        default: What it is if it is not there.

    Raises:
        UsageError: It is something else.
    """
    value = told.get(name, default)
    if not isinstance(value, int | float):
        raise UsageError(f"{name} of the pickle is no number but {an(type(value).__name__)}")
    return float(value)
