"""A network under benchmark, judged by metrics against real images."""

import functools
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from .. import models
from ..core import files
from ..core.errors import DataError, UsageError
from ..core.options import table
from ..core.random import generators, stream
from ..data import Dataset, Images, data
from ..data.base import Split, pictures
from ..data.given import digest
from ..data.recipes import loaded
from ..images import sheets
from ..likelihood import Likelihood, dequantise, task
from ..metrics import pairs
from ..metrics.base import Estimate
from ..metrics.moments import Statistics
from ..models.base import ScoreModel
from ..models.latent import data_shape, decoded
from ..models.network import NetworkModel
from ..observations.masks import holes, trained_masks
from ..observations.tasks import trained_task
from ..sampling.precision import inferring
from ..sampling.sample import sample
from ..solvers.unipc import UniPC
from .spec import Spec
from .subject import SHOWN, ModelSubject, Tool, foreign
from .unfinished import Batch

CONVERGED = UniPC(steps=800)
"""What a network's paths are compared with. On the digits model it is within 2e-6 of twice as many steps, and within
3e-6 of adams at tol = 1e-6; rk45 at that tolerance, for 1,125 evaluations, is only within 1e-4.
"""


class NetworkSubject(ModelSubject):
    """A network of a model folder.

    Args:
        name: A run, a model folder, or the name of a bundled model.
        spec: The benchmark.
        device: Device of the network.

    Raises:
        UsageError: There is no such model, it is not one of images, its training data is unknown, or a metric cannot
            judge such samples.
        DataError: The real images cannot be loaded.
    """

    model: NetworkModel

    def __init__(self, name: str, spec: Spec, device: torch.device) -> None:
        folder = models.locate(name)
        config = files.read_json(folder / models.CONFIG)
        self.name, self.spec, self.paths, self.weights = name, spec, spec.paths, str(config["sha256"])
        self.exact = models.load(folder, device)
        self.model = inferring(self.exact, spec.precision, spec.compile)
        if len(shape := data_shape(self.model)) != 3 or self.model.units is not None:
            raise UsageError(f"the benchmark of a model compares images, and {name} makes numbers of shape {shape}")
        channels, height, width = shape
        self.denoise, self.config = spec.denoise is not False, config
        self.task = trained_task(self.model)
        self.conditioner = f"trained, {self.task}" if self.task.conditional else ""
        trained_on = config.get("recipe", {}).get("data")
        if spec.data is None and trained_on is None:
            raise UsageError(f'the model {name} does not say what it was trained on: give data = {{ name = "..." }}')
        self.data = data.build(trained_on) if spec.data is None else spec.data
        if spec.likelihood and self.model.autoencoder is not None:
            raise UsageError(f"{name} is a model of latents, which has no likelihood of images: give --likelihood 0")
        of = ("sha256", "sde", "network", "model", "autoencoder")
        described: dict[str, Any] = {key: config[key] for key in of if key in config} | foreign(self.model.sde)
        if self.model.inference != self.exact.inference:
            described["inference"] = self.model.inference.record
        if self.task.conditional:
            chosen = "test" if self.held_out.labels is None else "test, by class"
            described["shown"] = [chosen, config.get("recipe", {}).get("masks", "")]
        real = self.reference
        content = digest(Images(real)) if isinstance(real, Tensor) else files.digest(Path(spec.reference))
        self.identity = {**described, "reference": content, **(self.own_content if self.task.conditional else {})}
        self.former = {**described, "data": table(self.data), "reference": spec.reference}
        if isinstance(real, Statistics):
            self.former["statistics"] = content
        if spec.likelihood and self.own[0].shape[1:] != self.model.shape:
            theirs, ours = ("x".join(map(str, s)) for s in (self.own[0].shape[1:], self.model.shape))
            raise DataError(f"{name} makes images of {ours}, and the data {self.data.name} are of {theirs}")
        for metric in spec.metric:
            metric.check(spec.count, (channels, height, width), self.reference)

    @cached_property
    def reference(self) -> Tensor | Statistics:
        """The real images as uint8 of 256 levels, (M, C, H, W), or the statistics of their features."""
        split = self.spec.reference
        if split.endswith(".npz"):
            return Statistics.load(split)
        return sheets.to_uint8(self._loaded("train" if split == "train" else "test").scaled())

    @cached_property
    def own(self) -> tuple[Tensor, int | None]:
        """Held-out images chosen by the seed, of each class its share, dequantised as `likelihood.nll` does."""
        some = self.held_out.pixels[: self.spec.likelihood]
        noise = [stream(self.spec.seed, "dequantise", i, 0) for i in range(len(some))]
        return dequantise(some, self.held_out.levels, noise), self.held_out.levels

    @cached_property
    def held_out(self) -> Images:
        """The held-out images of all numbers, by the seed: of the likelihood, and whose part a network is shown."""
        samples = self.spec.count if self.task.conditional else 0
        return self.test.stratified(max(self.spec.likelihood, samples), self.spec.seed)

    @cached_property
    def test(self) -> Images:
        """All held-out images."""
        return pictures(self._loaded("test"))

    def _loaded(self, split: Split) -> Dataset:
        return loaded(self.data, split, self.config.get("recipe", {}), self.name)

    @cached_property
    def own_content(self) -> dict[str, str]:
        return {"test": digest(self.test)}

    @property
    def classes(self) -> list[int] | None:
        labels = self.held_out.labels
        return None if labels is None else labels[: self.spec.likelihood].tolist()

    @cached_property
    def known(self) -> Tensor | None:
        """Where the pixels of those images are known, (N, 1, H, W), for a network whose task has masks."""
        if not self.task.masked:
            return None
        law = trained_masks(self.name, self.config.get("recipe", {}))
        return holes(law, self.held_out.shape, len(self.held_out), self.spec.seed)

    def _at(self, rows: range, model: NetworkModel) -> tuple[ScoreModel, Tensor | None]:
        """A model with its condition from the images of these numbers, which repeat after the last image."""
        if not self.task.conditional:
            return model, None
        index = [i % len(self.held_out) for i in rows]
        known = None if self.known is None else self.known[index]
        return task.shown(model, self.held_out.pixels[index], self.held_out.levels, known), known

    def shown(self, rows: range) -> ScoreModel:
        return self._at(rows, self.model)[0]

    def likelihood(self, rows: range, **options: Any) -> Likelihood:
        model, known = self._at(rows, self.exact)
        return task.task_likelihood(model, known, self.own[0][rows.start : rows.stop].to(self.model.device), **options)

    @property
    def told(self) -> Tensor:
        some = self.held_out.pixels[: self.spec.likelihood]
        return task.told(some, None if self.known is None else self.known[: len(some)])

    def truth(self) -> list[float] | None:
        return None

    def keep(self, x: Tensor) -> Tensor:
        return sheets.to_uint8(decoded(self.model, x))

    @cached_property
    def flowed(self) -> Tensor:
        """By the network's own flow, in many small steps."""
        spec, parts = self.spec, list[Tensor]()

        def solve(seeds: range) -> Batch:
            sources = generators(seeds)
            x = self.model.prior(sources, dtype=getattr(torch, spec.dtype)).double()
            model, _ = self._at(range(seeds.start - spec.seed, seeds.stop - spec.seed), self.exact)
            return Batch({"x": sample(model, CONVERGED, x, generator=sources, denoise=self.denoise).x.cpu()}, {})

        last = spec.seed + min(spec.paths, spec.count)
        for first in range(spec.seed, last, spec.batch):
            seeds = range(first, min(first + spec.batch, last))
            parts.append(self.kept(f"{first}-{seeds[-1]}", functools.partial(solve, seeds)).tensors["x"])
        return torch.cat(parts)

    def measure(self, x: Tensor, first: Tensor, solver: Tool) -> list[Estimate]:
        """The distance from the converged end of the path, of a task that from the originals, and what metrics say."""
        found = self.errors(first, solver)
        if self.task.conditional:
            index = torch.arange(len(x)) % len(self.held_out)
            found += pairs.beside(x.cpu(), sheets.to_uint8(self.held_out.scaled()[index]))
        for metric in self.spec.metric:
            found += metric.measure(x.to(self.model.device), self.reference, seed=self.spec.seed)
        return found

    def picture(self, x: Tensor) -> Image.Image | None:
        if x.shape[1] not in (1, 3):
            return None
        return sheets.sheet(x[:SHOWN].float() / 127.5 - 1, 8, zoom=max(1, 32 // x.shape[-2]))
