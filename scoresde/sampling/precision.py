"""The precision of a network: as asked for, or the fastest on this machine."""

import hashlib
import logging
import platform
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from ..core.devices import finished, machine
from ..core.errors import ResourceError, ScoreSDEError, UsageError
from ..core.files import read_json, write_json
from ..core.options import table
from ..models.base import ScoreModel
from ..models.foreign.cache import home
from ..models.guided import LabelledModel
from ..models.inference import Inference, Precision
from ..models.known import Known
from ..models.network import NetworkModel
from ..solvers.unipc import UniPC
from .sample import sample

Asked = Literal[Precision, "auto"]
Trial = tuple[Inference, float, float]
"""Another way than the network as it is, its share of the time of that, and by how much samples differ."""
SOLVER, SAMPLES = UniPC(steps=20), 4
"""The solve in which ways are compared."""
TOLERANCE = 0.01
"""Root mean square, of numbers in [-1, 1], by which the end of that solve may differ; a grey level is 0.0078."""
GAIN = 0.95
"""Share of the time of the network as it is that another way must take less than."""
HOPELESS = 1.5
"""How many times slower a convolution of 16 bits may be before networks of 16 bits are not tried."""


def inferring(
    model: NetworkModel, precision: Asked = "float32", compile: bool = False, *, exact: bool = False
) -> NetworkModel:
    """The same model with its network in another precision; states, times and results keep their dtype.

    Args:
        model: A network, whose weights are not changed.
        precision: bfloat16 and float16 compute with a copy of the weights; float32 is the network as it is. "auto"
            measures, once for each model and machine, and takes what is fastest of float32, float32 in the layout
            channels_last and bfloat16, if samples stay the same to within a grey level or so.
        compile: Whether torch.compile makes kernels for it, which takes a minute or several.
        exact: Whether only ways of float32 will do.

    Raises:
        UsageError: There is no such precision, or it will not do.
        ResourceError: It cannot be compiled here.
    """
    way = replace(fastest(model, exact) if precision == "auto" else Inference(precision), compile=compile)
    if exact and way.dtype is not None:
        raise UsageError(f"a likelihood is computed in float32: --precision is float32 or auto, got {precision}")
    if way == model.inference:
        return model
    found = model.inferring(way)
    if compile:
        ready = trial(found)
        x = ready.prior(range(SAMPLES))
        try:
            with torch.no_grad():
                ready.eps(x, torch.full((SAMPLES,), model.sde.t_max, dtype=torch.float64))
        except ScoreSDEError:
            raise
        except Exception as error:  # of many kinds: there is no compiler, or it fails
            reason = " ".join(str(error).split())[:160]
            raise ResourceError(f"the network cannot be compiled here: {reason}; leave out --compile") from None
    return found


def fastest(model: NetworkModel, exact: bool = False) -> Inference:
    """The way that is fastest for a network on this machine, measured now or kept from an earlier time.

    Args:
        model: The network.
        exact: Whether only ways of float32 will do.
    """
    path = home() / "precision" / f"{identity(model)}.json"
    trials: list[Trial] | None = None
    with suppress(ScoreSDEError, OSError, TypeError, ValueError, KeyError):  # not there, or damaged
        trials = [(Inference(**way), float(share), float(rms)) for way, share, rms in read_json(path)["others"]]
    if trials is None:
        trials = measured(model)
        with suppress(ResourceError):  # a cache that cannot be written is done without
            write_json(path, {"others": [[way.record, share, rms] for way, share, rms in trials]})
    good = [
        (share, way)
        for way, share, rms in trials
        if share < GAIN and rms < TOLERANCE and not (exact and way.dtype is not None)
    ]
    best = min(good, key=lambda pair: pair[0])[1] if good else Inference()
    said = [f"{way} takes {share:.2f} of the time, samples {rms:.1g} off" for way, share, rms in trials]
    logging.getLogger("scoresde").warning(
        "precision auto: %s (%s)", best, "; ".join(said) or "there is nothing else to try here"
    )
    return best


def measured(model: NetworkModel) -> list[Trial]:
    """What each way takes and changes: at the points of a short solve, and at its end.

    Times are medians of ratios at the points of that solve, each way in turn with the network as it is.

    Args:
        model: The network.
    """
    plain = model.inferring(Inference())
    points, trials = list[tuple[Tensor, Tensor]](), list[Trial]()
    ready = trial(plain)
    x = ready.prior(range(SAMPLES))
    end = sample(ready, SOLVER, x, observers=(lambda x, t, eps: points.append((x.clone(), t)),)).x
    for way in ways(model):
        tried = trial(model.inferring(way))
        try:
            rms = float((sample(tried, SOLVER, x).x - end).double().square().mean().sqrt())
        except (ScoreSDEError, RuntimeError):  # not finite, or the network knows no such precision
            continue
        ratios = [
            clocked(partial(tried.eps, *point), model.device) / clocked(partial(ready.eps, *point), model.device)
            for point in points
        ]
        trials.append((way, statistics.median(ratios), rms))
    return trials


def ways(model: NetworkModel) -> list[Inference]:
    """The ways that are worth a trial.

    Args:
        model: The network.
    """
    layouts = [False, True] if any(weight.ndim == 4 for weight in model.net.parameters()) else [False]
    low = [Inference("bfloat16", last) for last in layouts] if has_bfloat16(model.device) else []
    return [*(Inference(channels_last=last) for last in layouts if last), *low]


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device computes in bfloat16 as fast as it should: a processor without instructions for it is far off.

    Args:
        device: The device.
    """
    x, w = torch.ones(4, 64, 16, 16, device=device), torch.ones(64, 64, 3, 3, device=device)

    def least(dtype: torch.dtype) -> float:
        conv = partial(torch.conv2d, x.to(dtype), w.to(dtype), padding=1)
        return min([clocked(conv, device) for _ in range(4)][1:])

    try:
        return least(torch.bfloat16) < HOPELESS * least(torch.float32)
    except RuntimeError:
        return False


@torch.no_grad()
def clocked(function: Callable[[], Tensor], device: torch.device) -> float:
    """Seconds that a computation takes.

    Args:
        function: The computation.
        device: Where it is done.
    """
    finished(device)
    began = time.perf_counter()
    function()
    finished(device)
    return time.perf_counter() - began


def trial(model: NetworkModel) -> ScoreModel:
    """The model for SAMPLES samples, with classes and further channels where the network takes them.

    Args:
        model: The network.
    """
    found: ScoreModel = model
    if model.condition != "none" and model.known is None:
        further = 0 if model.options is None else model.options.extra_channels
        found = model.bind(Known(torch.zeros(SAMPLES, further, *model.shape[1:])))
    return LabelledModel(found, torch.arange(SAMPLES, device=model.device) % model.classes) if model.classes else found


def identity(model: NetworkModel) -> str:
    """A digest of what the choice depends on: the weights, the machine, its threads, and torch.

    Args:
        model: The network.
    """
    found = hashlib.sha256()
    for name, weight in model.net.state_dict().items():
        found.update(f"{name} {tuple(weight.shape)} {weight.dtype}".encode())
        found.update(weight.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    place = machine(model.device), torch.backends.cpu.get_cpu_capability(), platform.node(), torch.get_num_threads()
    about = (model.shape, table(model.sde), str(model.predicts), str(model.label), place, torch.__version__)
    found.update(repr(about).encode())
    return found.hexdigest()
