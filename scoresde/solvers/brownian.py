"""Brownian motion at any time: the same noise for a coarse and for a fine solution."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..core.errors import UsageError
from ..core.random import Generators, randn, randn_like, seed_of, stream

DEPTH = 24


class BrownianPath:
    """A Brownian motion W between two times. It depends on its seed alone, not on the times asked for before.

    W is drawn at both ends of the span, then in the middle of each half, and so on, each midpoint with noise from a
    stream of its own. Times are rounded to 2⁻²⁴ of the span; at those the law is exact.

    Args:
        shape: The components, which are independent.
        seed: Of the whole path.
        start: One end of the span, where W = 0.
        stop: The other end, before or after `start`.
        dtype: Of the values.
    """

    def __init__(
        self, shape: Sequence[int], seed: int, start: float, stop: float, *, dtype: torch.dtype = torch.float64
    ) -> None:
        self.shape, self.seed, self.start, self.span, self.dtype = tuple(shape), seed, start, stop - start, dtype
        self.total = self._draw("end") * math.sqrt(abs(self.span))
        self.trail: dict[int, tuple[int, Tensor]] = {}  # by depth, the last midpoint asked for: neighbours share them

    def _draw(self, node: object) -> Tensor:
        return randn(self.shape, stream(self.seed, "brownian", node), dtype=self.dtype)

    def _node(self, t: float) -> int:
        return round((t - self.start) / self.span * float(2**DEPTH))

    def __call__(self, t: float) -> Tensor:
        """W(t)."""
        node, low, high = self._node(t), 0, 2**DEPTH
        left, right = torch.zeros_like(self.total), self.total
        for depth in range(DEPTH):
            if node in (low, high):
                break
            middle = (low + high) // 2
            if self.trail.get(depth, (None,))[0] != middle:
                deviation = math.sqrt(abs(self.span) * 2.0 ** -(depth + 2))
                self.trail[depth] = middle, (left + right) / 2 + deviation * self._draw(middle)
            value = self.trail[depth][1]
            low, left, high, right = (low, left, middle, value) if node < middle else (middle, value, high, right)
        return left if node == low else right

    def increment(self, t: float, s: float) -> Tensor:
        """W(s) - W(t), of variance |s - t|.

        Args:
            t: First time.
            s: Second time.
        """
        return self(s) - self(t)

    def noise(self, t: float, s: float) -> Tensor:
        """The increment from t to s over its standard deviation; zero if the rounded times are equal.

        Args:
            t: First time.
            s: Second time.
        """
        length = abs(self._node(s) - self._node(t)) * abs(self.span) * 2.0**-DEPTH
        return self.increment(t, s) / math.sqrt(length or 1.0)


class BrownianNoise:
    """Standard normal noise, (B, *), for the steps of a solver, from paths that do not depend on the steps.

    Args:
        x: Noise is made of its shape, dtype and device.
        generator: One per row gives each row a path of its own seed; a seed is all that is drawn from it.
        start: One end of the span.
        stop: The other end.

    Raises:
        UsageError: There are several generators, but not one per row.
    """

    def __init__(self, x: Tensor, generator: Generators, start: float, stop: float) -> None:
        self.own, self.device = isinstance(generator, Sequence), x.device
        sources = generator if isinstance(generator, Sequence) else [generator]
        if self.own and len(sources) != len(x):
            raise UsageError(f"{len(sources)} generators for a batch of {len(x)}: give one per row, or a single one")
        shape = x.shape[1:] if self.own else x.shape
        self.paths = [BrownianPath(shape, seed_of(source), start, stop, dtype=x.dtype) for source in sources]

    def __call__(self, t: float, s: float) -> Tensor:
        """The noise of the step from t to s."""
        rows = [path.noise(t, s) for path in self.paths]
        return (torch.stack(rows) if self.own else rows[0]).to(self.device)


class Foresight:
    """Brownian increments for steps that may be rejected, each row's own, (B, *).

    What a rejected step has drawn of the future is kept: a shorter step is drawn from the Brownian bridge to it.
    Drawing anew would favour noise with which steps are accepted, and so change the law. A row at rest draws nothing
    from its generator, so what is drawn after it does not depend on how long the others take.

    Args:
        x: The state, (B, *), whose shape and dtype the increments have.
        generator: Source of the noise; one per row makes each sample depend on its own seed alone.
        start: Time at which the paths begin; they run downwards in time.

    Reference: Rackauckas and Nie 2017, https://doi.org/10.3934/dcdsb.2017133.
    """

    def __init__(self, x: Tensor, generator: Generators, start: float) -> None:
        self.like, self.generator = x.cpu(), generator
        self.rounding = 4e-16 * start  # of t + h, where a step lands on a given time
        # Each row's known points of its path, from the present one into the future, then padding: at least one column.
        self.times = torch.tensor([[start, -math.inf]], dtype=torch.float64).repeat(len(x), 1)
        self.values = torch.zeros((len(x), 2, x[0].numel()), dtype=x.dtype)

    def __call__(self, t: Tensor, s: Tensor) -> Tensor:
        """The increments from times t down to times s, (B,); zero where the two are equal."""
        t, s, rows, width = t.cpu(), s.cpu(), torch.arange(len(t)), self.times.shape[1]
        passed = (self.times[:, 1:] >= t[:, None] - self.rounding).sum(1)
        place = torch.maximum((self.times > s[:, None]).sum(1), passed + 1)
        before, after = self.times[rows, place - 1], self.times[rows, place]
        left, right = self.values[rows, place - 1], self.values[rows, place]
        gap = (before - s).clamp_min(0)
        share = gap / (before - after)  # 0 where nothing is known beyond s
        deviation = torch.sqrt(gap * (1 - share))
        z = self._noise(s < t).flatten(1)
        w = left + share.to(z)[:, None] * (right - left) + deviation.to(z)[:, None] * z
        # What has passed goes, and what is new comes in, in one copy, which takes most of the time there is.
        new, column, columns = (s < t) & (s > after), place - passed, torch.arange(width + 1)
        order = columns + passed[:, None] - (new[:, None] & (columns > column[:, None])).long()
        order = order.clamp(max=width - 1)
        self.times = self.times.gather(1, order)
        self.times[rows[new], column[new]] = s[new]
        order = order[:, : int(torch.isfinite(self.times).sum(1).max()) + 1]
        self.times = self.times[:, : order.shape[1]]
        self.values = self.values[rows[:, None], order]
        self.values[rows[new], column[new]] = w[new]
        return (w - self.values[:, 0]).reshape(self.like.shape)

    def _noise(self, moving: Tensor) -> Tensor:
        """Normal noise, (B, *), for the rows that move, (B,) bool."""
        if bool(moving.all()) or not isinstance(self.generator, Sequence):
            return randn_like(self.like, self.generator)
        z = torch.zeros_like(self.like)
        for row in moving.nonzero().flatten().tolist():
            z[row] = randn(self.like.shape[1:], self.generator[row], dtype=z.dtype)
        return z
