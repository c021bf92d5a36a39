"""The way of samples from noise to data, seen through the model's evaluations and so the same for every solver."""

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from ..core.errors import UsageError
from ..images import sheets
from ..images.drawings import drawing
from ..models.output import denoised
from ..sde import SDE


class Trajectory:
    """An observer that keeps, for each sample and each of some log-SNRs, the evaluation nearest to it.

    Nothing is evaluated for it. Of several at the same distance the latest counts. Adaptive and multi-stage solvers
    also evaluate beside their path, so a state is what the model saw there, which for a stage is an approximation.

    Args:
        sde: The process of the model.
        frames: Number of states, evenly spaced in log-SNR from the end of the process to `stop`.
        stop: Time of the last frame; by default the process's `t_min`.

    Raises:
        UsageError: There are fewer than 2 frames.

    Example:
        >>> import scoresde
        >>> model = scoresde.load("digits")
        >>> way = scoresde.Trajectory(model.sde, frames=4)
        >>> samples = scoresde.sample(model, "euler", n=2, steps=10, observers=[way])
        >>> len(way.states), way.states[0].shape
        (4, torch.Size([2, 1, 8, 8]))
    """

    def __init__(self, sde: SDE, frames: int, stop: float | None = None) -> None:
        if frames < 2:
            raise UsageError(f"a trajectory has at least 2 frames, got {frames}")
        ends = sde.log_snr(torch.tensor([sde.t_max, sde.t_min if stop is None else stop], dtype=torch.float64))
        self.sde = sde
        self.log_snr = torch.linspace(float(ends[0]), float(ends[1]), frames, dtype=torch.float64)
        self.states: list[Tensor] = []
        """x_t, (B, *), at each frame."""
        self.denoised: list[Tensor] = []
        """E[x_0 | x_t], (B, *), at each frame."""
        self._distances: list[Tensor] = []

    def __call__(self, x: Tensor, t: Tensor, eps: Tensor) -> None:
        x = x.detach()
        if not self.states:
            self.states = [torch.zeros_like(x) for _ in self.log_snr]
            self.denoised = [torch.zeros_like(x) for _ in self.log_snr]
            self._distances = [torch.full((len(x),), torch.inf, dtype=torch.float64) for _ in self.log_snr]
        x0 = denoised(self.sde, x, t, eps.detach())
        log_snr = self.sde.log_snr(t.double()).cpu()
        for frame, wanted in enumerate(self.log_snr):
            distance = (log_snr - wanted).abs()
            nearer = distance <= self._distances[frame] + 1e-9
            self._distances[frame][nearer] = distance[nearer]
            rows = nearer.to(x.device)
            for kept, seen in ((self.states[frame], x), (self.denoised[frame], x0)):
                kept[rows] = seen[rows].to(kept)  # some solvers evaluate in float64, and denoise in the noise's dtype


def drawn_way(states: Sequence[Tensor], own_range: bool = False) -> tuple[Image.Image, list[Image.Image]]:
    """The states of samples on their way, and the samples themselves: as a strip, and as the frames of an animation.

    Args:
        states: As a `Trajectory` keeps them, (B, *) at each of its frames, and the samples as the last; as data.
        own_range: Whether the data have a range of their own; if not, they are in [-1, 1].
    """
    states = [state.cpu() for state in states]
    if states[0].ndim == 4 and states[0].shape[1] in (1, 3) and not own_range:
        zoom = sheets.zoom_for(states[0].shape[-2])
        rows = torch.stack([state[:8] for state in states], 1).flatten(0, 1)
        return sheets.sheet(rows, len(states), zoom=zoom), [sheets.sheet(state[:64], zoom=zoom) for state in states]
    frames = [drawing(state, own_range=True, room=torch.cat(states)) for state in states]
    strip = Image.new("RGB", (sum(frame.width for frame in frames), frames[0].height))
    for i, frame in enumerate(frames):
        strip.paste(frame, (i * frame.width, 0))
    return strip, frames
