"""Trajectories of samples from noise to data, recorded at the evaluations of the model, for every solver."""

from collections.abc import Callable, Sequence

import torch
from PIL import Image
from torch import Tensor

from ..core.errors import UsageError
from ..images import sheets
from ..images.drawings import drawing
from ..models.output import denoised
from ..sde import SDE

SHOWN = 8
"""Samples whose way a strip of pictures shows."""


class Trajectory:
    """An observer that records, for each sample and each of several log-SNRs, the nearest evaluation of the model.

    It needs no further evaluations. Adaptive solvers and those with several stages also evaluate beside their path, so
    a recorded state is the one that the model saw, which may be an approximation of the path.

    Args:
        sde: The process of the model.
        frames: Number of states, evenly spaced in log-SNR from `start` to `stop`.
        stop: Time of the last frame; by default the process's `t_min`.
        start: Time of the first frame; by default the process's `t_max`.

    Raises:
        UsageError: There are fewer than 2 frames; or, when it is called, not as many states as at first.

    Example:
        >>> import scoresde
        >>> model = scoresde.load("digits")
        >>> trajectory = scoresde.Trajectory(model.sde, frames=4)
        >>> samples = scoresde.sample(model, "euler", n=2, steps=10, observers=[trajectory])
        >>> len(trajectory.states), trajectory.states[0].shape
        (4, torch.Size([2, 1, 8, 8]))
    """

    def __init__(self, sde: SDE, frames: int, stop: float | None = None, *, start: float | None = None) -> None:
        if frames < 2:
            raise UsageError(f"a trajectory has at least 2 frames, got {frames}")
        first, last = sde.t_max if start is None else start, sde.t_min if stop is None else stop
        ends = sde.log_snr(torch.tensor([first, last], dtype=torch.float64))
        self.sde = sde
        self.log_snr = torch.linspace(float(ends[0]), float(ends[1]), frames, dtype=torch.float64)
        self.states: list[Tensor] = []
        """x_t, (B, *), at each frame."""
        self.denoised: list[Tensor] = []
        """E[x_0 | x_t], (B, *), at each frame."""
        self._distances: list[Tensor] = []
        self._seen = self.log_snr.clone()  # of the first sample, where it was evaluated

    def __call__(self, x: Tensor, t: Tensor, eps: Tensor) -> None:
        x = x.detach()
        if not self.states:
            self.states = [torch.zeros_like(x) for _ in self.log_snr]
            self.denoised = [torch.zeros_like(x) for _ in self.log_snr]
            self._distances = [torch.full((len(x),), torch.inf, dtype=torch.float64) for _ in self.log_snr]
        if len(x) != len(self.states[0]):
            raise UsageError(
                f"a trajectory is of samples that are evaluated together, got {len(x)} after {len(self.states[0])}: "
                "give each batch a trajectory of its own"
            )
        x0 = denoised(self.sde, x, t, eps.detach())
        log_snr = self.sde.log_snr(t.double()).cpu()
        for frame, wanted in enumerate(self.log_snr):
            distance = (log_snr - wanted).abs()
            nearer = distance <= self._distances[frame] + 1e-9
            self._distances[frame][nearer] = distance[nearer]
            if nearer[0]:
                self._seen[frame] = log_snr[0]
            rows = nearer.to(x.device)
            for kept, seen in ((self.states[frame], x), (self.denoised[frame], x0)):
                kept[rows] = seen[rows].to(kept)  # some solvers evaluate in float64, and denoise in the noise's dtype

    @property
    def times(self) -> Tensor:
        """When the model saw the first sample as each frame has it, (frames,)."""
        return self.sde.time(self._seen)

    @property
    def headings(self) -> list[str]:
        """The times of the frames, or the levels of a chain that are next to them."""
        if self.sde.chain is None:
            return [f"t = {t:.2g}" for t in self.times.tolist()]
        return [f"step {n + 1:.0f}" for n in self.sde.step(self.times).tolist()]


def drawn_way(
    way: Trajectory, samples: Tensor, as_data: Callable[[Tensor], Tensor] = lambda x: x, own_range: bool = False
) -> tuple[Image.Image, list[Image.Image]]:
    """Samples on their way and what was predicted of them there: as a strip, and as the frames of an animation.

    The strip has a row of x_t and one of E[x_0 | x_t] for each of the first samples, and ends with the samples; a frame
    has all x_t at the left and all E[x_0 | x_t] at the right. The x_t of pictures are divided by the root of α² + σ²,
    which is 1 for variance-preserving processes.

    Args:
        way: What was recorded.
        samples: How it ended, (B, *), as data.
        as_data: What makes data, (B, *), of the states of the model, (B, *).
        own_range: Whether the data have a range of their own; if not, they are in [-1, 1].
    """
    end = samples[: len(way.states[0])].cpu()
    pictured = end.ndim == 4 and end.shape[1] in (1, 3) and not own_range
    scales = way.sde.scale(way.times).tolist() if pictured else [1.0] * len(way.states)
    states = [*(as_data(x.cpu() / scale) for x, scale in zip(way.states, scales, strict=True)), end]
    predicted = [*(as_data(x.cpu()) for x in way.denoised), end]
    if pictured:
        zoom, rows = sheets.zoom_for(*states[0].shape[-2:]), dict[str, Tensor]()
        for i in range(min(SHOWN, len(states[0]))):
            rows[f"{i}: x_t"] = torch.stack([state[i] for state in states])
            rows[f"{i}: predicted x_0"] = torch.stack([state[i] for state in predicted])
        both = [[sheets.sheet(x[:64], zoom=zoom) for x in kept] for kept in (states, predicted)]
        frames = [_joined(pair) for pair in zip(*both, strict=True)]
        return sheets.labelled(rows, headings=[*way.headings, "x_0"], zoom=zoom), frames
    room = torch.cat([*states, *predicted])
    both = [[drawing(x, own_range=True, room=room) for x in kept] for kept in (states, predicted)]
    frames = [_joined(pair) for pair in zip(*both, strict=True)]
    return _joined([_joined(row) for row in both], down=True), frames


def _joined(pictures: Sequence[Image.Image], down: bool = False) -> Image.Image:
    """Pictures of one size beside each other, or below each other."""
    width, height = pictures[0].size
    canvas = Image.new("RGB", (width, height * len(pictures)) if down else (width * len(pictures), height))
    for i, picture in enumerate(pictures):
        canvas.paste(picture, (0, i * height) if down else (i * width, 0))
    return canvas
