"""Seeded bugs, and whether the tests notice them.

    python benchmarks/mutants.py --store mutants.jsonl --out benchmarks/results/mutants.md

Each mutant is one edit of a copy of the package. It is caught if one of the tests named beside it fails, or if they
take five times the processor time. The unchanged copy must pass all of these, or nothing is reported. What is in the
store is not judged again, so that an interrupted run goes on.

The test that an earlier table names is tried first, if it is still there and the unchanged package passes it: a failure
of it is enough, and a bug that it misses is judged by all of its tests.
"""

import functools
import json
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click

from scoresde.core import files
from scoresde.core.provenance import versions

ROOT = Path(__file__).parent.parent
PATIENCE = 5
"""Times as long as the unchanged package, and at least a minute, after which a mutant counts as caught: it hangs."""
HINT_PATIENCE = 600
"""Seconds of processor time for the one test of an earlier table."""
Mutant = tuple[str, str, str, str, str]
S, L, M, W, P, C = "solvers/", "likelihood/", "metrics/", "web/", "posterior/", "conditioners/"
F = "models/foreign/"

MUTANTS = [  # file, the code, what takes its place, what is wrong, the tests that should notice
    ("sde/preserving.py", "torch.sqrt(-torch.expm1(log_alpha + log_alpha))", "torch.sqrt(1 - log_alpha.exp() ** 2)", "σ cancels", "sde"),
    ("sde/preserving.py", "return log_alpha.exp(), _other(log_alpha)", "return _other(log_alpha), log_alpha.exp()", "α for σ where both are asked for", "sde"),
    ("sde/vp.py", "+ half**2) + half)", "+ half**2) - half)", "the other root of the time", "sde"),
    ("sde/preserving.py", "        return log_alpha - _other(log_alpha).log()", "        return super().log_snr(t)", "log α worked out again for σ", "sde"),
    ("sde/vp.py", "return self.beta_min + t * (self", "return self.beta_min + t * 1.02 * (self", "β off by 2 %", "sde"),
    ("sde/ve.py", "return self.sigma(t) * math.sqrt(2 * self._rate)", "return self.sigma(t) * math.sqrt(self._rate)", "ve's g", "sde"),
    ("sde/sub_vp.py", "-self.beta(t) * torch.expm1(4", "-self.beta(t) * torch.expm1(2", "sub-vp's g", "sde"),
    ("models/base.py", "half_g2 = 0.5 * self", "half_g2 = 1.0 * self", "the drift of the SDE instead of the flow's", "models"),
    ("models/output.py", "-sigma, eps) / alpha", "-sigma, eps)", "denoise forgets α", "models"),
    ("sde/base.py", "return (before + (noise", "return (before + 1 + (noise", "discrete label off by one", "models"),
    ("models/base.py", "self.begin(self.sde.prior_std * randn(", "self.begin(randn(", "the prior's scale", "models"),
    ("models/gaussian.py", "log_p = -0.5 *", "log_p = -0.4 *", "responsibilities", "models"),
    ("models/gaussian.py", "        if not alone:", "        if self.shared:", "modes that all have the same share", "models -k torchs_law"),
    ("models/gaussian.py", "if alone and self.diagonal", "if self.diagonal", "the first mode alone", "models -k torchs_law"),
    ("models/gaussian.py", "elif self.diagonal:", "elif len(self.means) == 1:", "one law that is not turned", "models -k torchs_law"),
    ("core/random.py", "row.normal_(generator=source)", "row.normal_(generator=generator[0])", "one seed for all rows", "models"),
    (S + "base.py", "finite=not self.retries", "finite=False", "no guard against NaN", "solvers -k NaN"),
    ("solvers/grids.py", "\n    return [start, *times[1:-1].tolist(), stop]", "\n    return [start, *times[1:-1].tolist(), 20 * stop]", "stops early", "grids golden"),
    ("solvers/grids.py", "lambda t: torch.exp(-sde.log_snr(t) / self.rho)", "lambda t: torch.exp(-sde.log_snr(t))", "a grid's map", "grids"),
    (S + "euler.py", "math.expm1(s.log_snr - t.log_snr)", "(s.log_snr - t.log_snr)", "eʰ - 1 as h", "golden"),
    (S + "euler_maruyama.py", "return mean, t.g * span**0.5", "return mean, t.g * span", "noise as √ of nothing", "predictor_corrector"),
    (S + "euler_maruyama.py", "[-(t.g**2) / t.sigma * span]", "[-0.5 * t.g**2 / t.sigma * span]", "half the score", "predictor_corrector"),
    (S + "reverse_diffusion.py", "combine(2 - a, x", "combine(1 / a, x", "ancestral's factor", "predictor_corrector"),
    (S + "reverse_diffusion.py", "[model.eps(x, t.rows(x))]), b", "[model.eps(x, t.rows(x))]), b * 1.05", "noise 5 % too strong", "predictor_corrector"),
    (S + "ancestral.py", "combine(1 / a, x", "combine(1.0, x", "no division by a", "predictor_corrector"),
    (S + "dpm_solver.py", "points = [i / self.order for", "points = [(i / self.order) ** 2 for", "r1", "golden"),
    (S + "dpm_solver.py", "value=0.5 / points[1]", "value=1 / points[1]", "the second-order term", "golden"),
    (S + "dpm_solver.py", "value=points[2] / points[1]", "value=1", "D/r1 at the last stage", "golden"),
    (S + "dpm_solver.py", "memory=(unit,))", "memory=memory)", "x' not kept", "golden"),
    (S + "embedded_pair.py", "[*c[1:], 1.0]", "[*(1.0 for _ in c[1:]), 1.0]", "stage times", "golden"),
    (S + "stepping.py", "torch.maximum(size, plain(y).abs(), out=size)", "size", "error scale", "golden"),
    ("solvers/controllers.py", "safety: float = Field(0.9,", "safety: float = Field(0.8,", "safety factor", "golden"),
    ("solvers/controllers.py", "np.where(rejected, np.minimum(factor, 1.0), factor)", "factor", "growth after rejection", "golden"),
    (S + "embedded_pair.py", "0.01 * other**2", "0.1 * other**2", "DOP853's blend", "golden"),
    (S + "stepping.py", 'if control == "batch":\n        return np', 'if control != "max":\n        return np', "the batch decides for each sample", "solvers -k batch"),
    (S + "adaptive.py", "unknown.any(), active & ~unknown & (error <= 1)", "unknown.any(), active & ~unknown", "nothing rejected", "golden"),
    (S + "adaptive.py", "f = replace(trial.f, stay, f)", "pass", "stale first stage", "golden"),
    (S + "adaptive.py", "length = np.minimum(h, left)\n", "length = np.minimum(h, left * 1.01)\n", "runs past the end", "golden"),
    (S + "langevin.py", "torch.sqrt(2 * delta)", "torch.sqrt(delta)", "Langevin noise", "predictor_corrector"),
    (S + "predictor_corrector.py", "model, x, s, generator, snr", "model, x, t, generator, snr", "Langevin at the old level", "predictor_corrector"),
    (S + "predictor_corrector.py", "(t.alpha / s.alpha) ** 2, self", "(t.alpha / s.alpha), self", "Langevin's factor", "predictor_corrector"),
    (S + "torchdiffeq_solver.py", '"step_t": span[1:], ', "", "torchdiffeq runs past the end", "golden"),
    ("sampling/sample.py", "watched.denoise(end", "model.denoise(end", "the last evaluation not counted", "solvers -k counted"),
    ("solvers/controllers.py", "self.safety * error ** (-self.b1 / order)", "self.safety * error ** (-self.b1 / (order + 1))", "a controller's exponent", "adaptive"),
    ("solvers/grids.py", "sde.time(-self.rho * torch.log(u))", "sde.time(-(self.rho - 1) * torch.log(u))", "the inverse of Karras's map", "grids"),
    ("solvers/grids.py", "torch.atan(torch.exp(-sde.log_snr(t)))", "torch.exp(-sde.log_snr(t))", "the cosine grid's angle", "grids"),
    ("solvers/brownian.py", "2.0 ** -(depth + 2)", "2.0 ** -(depth + 1)", "variance of a midpoint", "stochastic -k path"),
    ("solvers/brownian.py", "left + share.to(z)[:, None] * (right - left)", "left", "no bridge to what was seen", "stochastic -k foresight"),
    (S + "integrals.py", "h * share[:, None] * np.exp(-back)", "h * share[:, None] * np.exp(h - back)", "the exponential's end", "adams"),
    (S + "adams.py", "orders == order", "orders >= order", "terms too many in the corrector", "adams"),
    (S + "adams.py", "1.0, end - nodes)", "1.0, end - np.roll(nodes, -1, 0))", "distances of the divided differences", "adams"),
    (S + "adams.py", "(orders[:high] <= order)", "(orders[:high] < order)", "the predictor's order", "adams"),
    (S + "adams.py", "-reach[:tried] / spans[:tried]", "-np.ones_like(spans[:tried])", "differences as if all steps were equal", "adams"),
    (S + "adams.py", "new[low:], strict", "new, strict", "the corrector of an order takes the prediction itself", "adams"),
    (S + "adaptive.py", "stale = accepted & (trial.f is None)", "stale = accepted & False", "the value at the start of the step before", "golden"),
    (S + "adams.py", "= reach[:-1].T, end", "= spans.T, end", "the distances of the step before", "adams"),
    (S + "stepping.py", "torch.div(value, scale, out=quotient)", "value", "errors not relative to the state", "golden"),
    (S + "ggf.py", "h * g**2 / sigma", "h * g**2", "a score without its scale", "stochastic -k ggf"),
    (S + "exponential.py", "return Move(s.sigma / t.sigma, s.alpha, h, -h)", "return Move(s.sigma / t.sigma, s.alpha, h, h)", "sign in predicting data", "golden_fixed"),
    (S + "exponential.py", "past = [places[i - j] if", "past = [places[i - j] - 0.01 * j if", "nodes beside their places", "golden_fixed"),
    (S + "integrals.py", "for i in range(18, 0, -1)", "for i in range(6, 0, -1)", "a series too short", "golden_fixed -k phi"),
    (S + "dpm_multistep.py", "change = slope * r0 / (r0 + r1) + curve", "change = slope * r0 / (r0 + r1) - curve", "D2's sign", "golden_fixed"),
    (S + "dpm_multistep.py", "(2 if exact else 1)", "1", "the missing factor not restored", "golden_fixed"),
    (S + "dpm_singlestep.py", "phi(2, part.z) * shares[1] / shares[0]", "phi(2, part.z) * shares[0] / shares[1]", "r1 and r2 swapped", "golden_fixed"),
    (S + "dpm_singlestep.py", "share, slope = shares[1], whole.h", "share, slope = shares[0], whole.h", "the last slope's distance", "golden_fixed"),
    (S + "dpm_fast.py", "(threes - 1) + [2, 1]", "(threes - 1) + [1, 2]", "the order of the last steps", "golden_fixed"),
    (S + "unipc.py", "(step.h if self.variant", "(step.z if self.variant", "sign of B(h)", "golden_fixed peers"),
    (S + "unipc.py", "[half, constant - half]", "[half / 2, constant - half / 2]", "the first corrector's ρ", "golden_fixed"),
    (S + "unipc.py", "history = history[: self.order]", "history = history[: self.order - 1]", "history too short", "golden_fixed"),
    (S + "deis.py", "[-1.0, 2.0]", "[0.0, 1.0]", "Kutta's last stage", "golden_fixed"),
    (S + "deis.py", "POINTS = 64", "POINTS = 3", "too few points of the quadrature", "golden_fixed -k deis"),
    (S + "adams_bashforth.py", "37 / 24, -9 / 24]", "36 / 24, -8 / 24]", "iPNDM's coefficients", "golden_fixed"),
    (S + "sde_dpmpp.py", "(0.5 - first / rate) * bend", "(-0.5 - first / rate) * bend", "the sign of 3M in diffusers", "stochastic -k sde-dpm"),
    (S + "sde_dpmpp.py", "weight / 2 * slope", "weight * slope", "2M's slope", "stochastic -k sde-dpm"),
    (S + "seeds.py", "(2 * to.sigma * math.expm1(share * h))", "(to.sigma * math.expm1(share * h))", "half the score", "stochastic -k seeds"),
    (S + "seeds.py", "(math.exp(h / 2) * z1 + z2)", "(z1 + math.exp(h / 2) * z2)", "parts of the noise swapped", "stochastic -k seeds"),
    (S + "ggf.py", "model.eps(euler, times[1])", "model.eps(euler, times[0])", "the second stage's time", "stochastic -k ggf"),
    (S + "edm.py", "min(self.churn / self.steps", "min(1.05 * self.churn / self.steps", "churn 5 % off", "stochastic -k edm"),
    (S + "edm.py", "(self.s_noise * spread)", "(self.s_noise * spread * 0.95)", "noise 5 % too weak", "stochastic -k edm"),
    (S + "ddim.py", "self.eta * s.sigma", "self.eta * t.sigma", "the level of the noise", "golden_fixed"),
    (S + "fixed_runge_kutta.py", "[1 / 6, 1 / 3, 1 / 3, 1 / 6]", "[1 / 6, 1 / 6, 1 / 2, 1 / 6]", "a weight of rk4", "solvers -k 'order and rk4'"),
    (S + "fixed_runge_kutta.py", "[[1.0]], [0.5, 0.5]", "[[1.0]], [0.45, 0.55]", "Heun's weights", "solvers -k 'order and heun'"),
    (S + "langevin.py", "(snr * ratio.cpu().double())", "(1.05 * snr * ratio.cpu().double())", "Langevin's signal-to-noise ratio", "predictor_corrector"),
    ("bench/tune/learning.py", "torch.log1p(squares / scale**2).mean()", "(squares / scale**2).mean()", "a loss that other modes decide", "tune -k mode"),
    ("bench/tune/learning.py", "for w in row[i::-1]]\n    return", "for w in row[: i + 1]]\n    return", "weights in the wrong order", "tune -k known_method"),
    ("bench/tune/learning.py", "x / level.alpha for x, level", "x for x, level", "weights of states that are scaled", "tune -k known_method"),
    ("bench/tune/learning.py", "if all(gradient is None or", "if True or all(gradient is None or", "a gradient that is not finite is followed", "tune -k finite"),
    ("bench/tune/learning.py", "return min((begun,", "return max((begun,", "the worse of the start and of what was learned", "tune -k no_worse"),
    ("bench/tune/store.py", "(entry.sha256, entry.stop) == purpose", "entry.stop == purpose[1]", "a tuned solver of other weights", "tune -k weights_they"),
    (S + "linear.py", "predict(model, x, seen,", "predict(model, x, t,", "the times that the network is told are left out", "tune -k what_is_kept"),
    (L + "flow.py", "+ math.log(nu1 / nu0))", ")", "the scale's part of the divergence", "likelihood -k density"),
    (L + "flow.py", "0.5 * blur * (trace", "blur * (trace", "the correction to t = 0", "likelihood -k correction"),
    (L + "flow.py", " - dims * math.log(sde.prior_std)", "", "the density of a wide prior", "likelihood -k density"),
    (L + "divergence.py", "masked = e * (parts == k)", "masked = e * (parts <= k)", "classes that overlap", "likelihood -k 'probes or classes'"),
    (L + "divergence.py", "torch.where(z < 0, -1.0", "torch.where(z < 0.2, -1.0", "signs that are not even", "likelihood -k mean_zero"),
    (L + "bits.py", "math.log2(levels) - 1", "math.log2(levels - 1) - 1", "one grey level less", "likelihood -k bits"),
    (L + "bits.py", "bits.var(0).mean().item() / bits.numel()", "bits.var(0).mean().item() / len(pixels)", "the error from draws", "likelihood -k nll"),
    (L + "bits.py", '"dequantise", i, k)', '"dequantise", i)', "the same noise in every draw", "likelihood -k nll"),
    (L + "vlb.py", "+ a[-1] * x0**2)", "+ x0**2)", "the prior's term", "vlb -k formulas"),
    (L + "steps.py", "high.masked_fill(x > 1 - half, torch.inf)", "high", "a closed outer bin", "vlb -k decoder"),
    (M + "base.py", "(len(left) - 1) * left.var(0)", "left.var(0)", "intervals of one block", "metrics -k cover"),
    (M + "base.py", "self.prepare(real[order[n:]]", "self.prepare(real[order[:n]]", "a floor of images against themselves", "metrics -k floor"),
    (M + "discrepancy.py", "- 2 * inner.sum(0) + inner.diagonal()", "- 2 * inner.sum(0)", "pairs within the block left out", "metrics -k 'kernel or cover'"),
    (M + "sliced.py", ".abs().pow(order) @", ".abs() @", "the order of the distance", "metrics -k wasserstein"),
    (M + "normal.py", "- 2 * roots.sum()", "- roots.sum()", "the cross term", "metrics -k frechet"),
    (P + "known.py", "math.sqrt(max(variance, 0.0)) * self.problem.noise(x)", "math.sqrt(max(variance, 0.0)) * 0 * x", "what is seen without its noise", "posterior"),
    (P + "known.py", "variance = level.sigma**2 - (level.alpha * self.error) ** 2", "variance = level.sigma**2", "the measurement's error counted twice", "posterior"),
    (P + "travel.py", "a * x + b * problem.noise(x)", "a * x", "a way back without noise", "posterior"),
    (P + "travel.py", "levels[top : bottom + 1]", "levels[top:bottom]", "a step left out", "posterior"),
    ("images/upsample.py", "mean(small * x) - centre * mean(x)", "mean(small * x)", "a guide's slope about no mean", "upsample"),
    ("images/upsample.py", "share = room.amin(1, keepdim=True).clamp(0, 1)", "share = 1.0", "colours beyond the range cut off", "upsample"),
    ("images/upsample.py", "(rest / weights[last]).round()", "(rest / weights[last]).floor()", "a luma below that of the file", "upsample"),
    ("images/seams.py", " / share.clamp_min(1e-12)", "", "means of squares that are partly known too small", "seams"),
    (P + "photograph.py", "blended(resized(x, (y1 - y0, x1 - x0)), own, seen)", "torch.where(seen, own, resized(x, (y1 - y0, x1 - x0)))", "a filling with a seam", "photograph"),
    (P + "typicality.py", "@ columns).square() / variances", "@ columns).square()", "energies that are not whitened", "typicality"),
    (P + "smc.py", "(mean - free) / std", "(free - mean) / std", "the proposal's weight inverted", "posterior"),
    (P + "smc.py", "twisted.log_p - before - dot", "twisted.log_p - dot", "the twist's old value kept", "posterior"),
    (P + "smc.py", "x, twisted = x[rows], TwistOutput", "x, twisted = x, TwistOutput", "particles redrawn in name only", "posterior"),
    (P + "smc.py", "torch.where(poor[:, None], 0.0, log_w)", "log_w", "weights that outlive the redrawing", "posterior"),
    (P + "twist.py", "+ self.noise**2 * torch.eye", "+ 4 * self.noise**2 * torch.eye", "the noise doubled", "posterior"),
    (P + "twist.py", " - factor.diagonal().log().sum()", "", "no determinant", "posterior"),
    (P + "particles.py", "+ offset[:, None]) / count", "+ 0 * offset[:, None]) / count", "redrawn without an offset", "posterior"),
    (P + "langevin.py", "(1 + self.strength)", "self.strength", "drawn to y without its own share", "posterior"),
    (P + "langevin.py", "math.sqrt(1 - kept**2)", "math.sqrt(1 - kept)", "the size of Langevin's noise", "posterior"),
    (P + "gibbs.py", "y + error, variance)", "y, variance)", "a measurement without its draw", "posterior"),
    (P + "gibbs.py", "max(self.start * self.decay**k, self.end)", "self.start", "a chain that is not cooled", "posterior"),
    ("models/guided.py", "torch.full_like(t, self.scale - 1)", "torch.full_like(t, self.scale)", "a scale off by one", "guided"),
    ("models/guided.py", "(t >= low) & (t <= high)", "(t >= low)", "an interval without an end", "guided"),
    ("models/clipped.py", "out.eps + ratio *", "out.eps - ratio *", "the clip's sign", "clipped"),
    ("models/tiled.py", "window / total[places]", "window", "weights that do not sum to 1", "tiled"),
    ("models/tiled.py", "whole * down_weights[:, :, None, None] *", "whole *", "rows without weights", "tiled"),
    ("observations/masks.py", "math.floor(self.most * height", "math.ceil(self.most * height", "a hole too large by a pixel", "masks"),
    ("observations/masks.py", "return ~torch.stack", "return torch.stack", "the hole known and the rest not", "masks"),
    ("observations/stacked.py", "self.noise / (p.noise or self.noise) if", "1.0 if", "a stack's parts of one noise", "stacked"),
    ("observations/stacked.py", "flat = [weight * y.reshape(len(y), -1)", "flat = [y.reshape(len(y), -1)", "a stack that is joined without weights", "stacked"),
    ("observations/stacked.py", "if len(linear) > 1:", "if len(linear) > 9:", "exact parts written one after the other", "stacked"),
    ("observations/misfit.py", "return observation.known(y).expand_as(y).flatten(1).sum(1).double().cpu()", "return torch.full((len(y),), float(y[0].numel()), dtype=torch.float64)", "holes counted as measured", "misfit"),
    ("sampling/misfit.py", "self.values < LOW * self.least * low.sqrt()", "self.values < LOW * low.sqrt()", "an alarm for what is denoised", "misfit"),
    (C + "dps.py", ".clamp_min(noise**2)", "", "a likelihood without σ_y", "dps"),
    ("observations/base.py", "size = near * max(", "size = 0.2 * max(", "an adjoint that is nearly any", "adjoints"),
    ("observations/borders.py", 'mode="symmetric"', 'mode="reflect"', "the outermost pixel not repeated", "further -k scipys"),
    ("observations/borders.py", "kernel.flip(0, 1), y)", "kernel, y)", "the adjoint of a mirrored kernel", "further -k transpose"),
    ("observations/motion.py", "-math.sin(math.radians(angle))", "math.sin(math.radians(angle))", "a motion downwards", "further -k shifted"),
    ("observations/jpeg.py", "SIDE * 0.5 / 127.5", "0.0", "the level shift of JPEG", "further -k pillows"),
    ("observations/rounded.py", "missing - missing.clamp(-CELL, CELL)", "missing", "samples in the middle of their cells", "further -k put_into"),
    ("observations/poisson.py", "return self._stable(self.peak / 2 * (x + 1))", "return self._stable(self.peak * (x + 1))", "twice as many photons", "further -k poissons_law"),
    ("observations/holes.py", "known = (hole >= 128) if", "known = (hole == 255) if", "soft edges all drawn", "holes"),
    (C + "dense.py", "self.noise**2 * torch.eye(len(rows))", "self.noise * torch.eye(len(rows))", "a deviation for a variance", "conditioners"),
    (C + "dense.py", "if level != now:", "if matrix is None:", "the gain of another noise level", "conditioners"),
    (C + "mixture.py", "expand(1 / variance, near) * near", "near", "clusters without the size of the noise", "mixture"),
    (C + "mixture.py", "torch.softmax(before + told, 1) - share", "0 * share", "clusters that y does not move", "mixture"),
    (C + "mixture.py", "+ (share[:, None] @ gram[which])[:, 0]", "", "evidence about another centre", "mixture"),
    (C + "mixture.py", "change, rest = torch.softmax(before + told, 1) - share, moved - taken", "change, rest = torch.softmax(before + told, 1) - share, moved", "a cluster's mean that ignores y", "mixture"),
    (C + "mixture.py", "observation.of_rows(rows.repeat_interleave(count)", "observation.of_rows(rows.repeat(count)", "another sample's mask", "mixture"),
    ("observations/mixture.py", "for _ in range(ROUNDS)", "for _ in range(0)", "clusters by Euclidean distances", "mixture"),
    ("observations/covariance.py", "return own * noise / (own + noise)", "return noise.expand_as(own) if own.ndim == 1 else own * noise / (own + noise)", "a full covariance not used", "conditioners"),
    ("training/batches.py", "self.draws, step + self.ahead)", "self.draws, step + 1)", "a step's draws twice", "loop -k batch"),
    ("training/batches.py", "step * count, count)", "step, count)", "batches that overlap", "loop"),
    ("bench/estimates.py", "binom.ppf(0.025", "binom.ppf(0.25", "the interval of the median", "bench -k median"),
    ("bench/estimates.py", "((count - 1) * left.var", "(left.var", "the jackknife's factor", "bench -k jackknife"),
    ("bench/draws.py", "if size == batch]", "]", "a short batch counted as a batch", "bench -k short"),
    ("bench/cells.py", "cells[rank::world]", "cells", "cells run twice", "bench -k 'shares and not torchrun'"),
    ("bench/store.py", 'if status == "done" or', 'if status or', "a failure in place of a result", "bench -k stands"),
    ("bench/store.py", 'line = b"\\n" + line', "pass", "a row glued to one that was cut short", "bench -k cut"),
    ("bench/analytic.py", 'difference("gap", self.expected, self._log_prob(x))', 'difference("gap", self._log_prob(x), self.expected)', "the gap's sign", "bench -k closed"),
    ("bench/draws.py", 'if part["place"] == place]', "]", "seconds of two machines in one", "bench -k one_machine"),
    ("bench/run.py", 'if row["status"] == "done":', 'if row["status"] == "lost":', "batches of a row that is written left behind", "bench -k goes_on"),
    ("bench/unfinished.py", "file.get_tensor(key) for", "0 * file.get_tensor(key) for", "a kept batch read wrong", "bench -k goes_on"),
    ("bench/estimates.py", "np.cbrt(1 + skewness", "np.cbrt(1 - skewness", "an interval moved to the wrong side", "bench -k skewed"),
    ("bench/texts.py", "max(high - value, value - low)", "high - value", "half of an interval that is not the larger one", "bench_report -k fits"),
    ("bench/latex.py", '"&%$#_{}"', '"&%$#{}"', "an underscore that LaTeX takes for a subscript", "bench_report -k latex"),
    ("data/base.py", "(place + 0.5).double() / sizes[kind]", "(place + 0.5).double()", "classes alike whatever their size", "data -k share_of"),
    ("bench/compare.py", "math.hypot(half, theirs[name][1])", "max(half, theirs[name][1])", "two intervals as one", "bench_report -k comparison"),
    (W + "database.py", "    UPDATE size SET entries = entries - 1;\n", "", "deleted entries counted", "web_catalogue"),
    (W + "database.py", """INSERT INTO words (words, rowid, folded) VALUES ('delete', old.id, old.folded);
    UPDATE size""", "UPDATE size", "deleted entries found", "web_catalogue"),
    (W + "database.py", 'db.execute("BEGIN IMMEDIATE")\n    try', "try", "half a write stays", "web_catalogue"),
    (W + "database.py", "if layout > LAYOUT", "if layout < LAYOUT", "a newer layout is read", "web_catalogue -k layout"),
    (W + "database.py", "if application != APPLICATION and tables", "if False", "tables in another program's file", "web_catalogue -k files"),
    (W + "database.py", "porter unicode61", "unicode61", "no other forms of a word", "web_catalogue -k finds"),
    (W + "catalogue.py", "since = (time.time() - keep,)", "since = (time.time(),)", "no restoring after a restart", "web_catalogue -k 'removed or kill'"),
    (W + "listing.py", "skipped = total - offset - count if", "skipped = total - offset if", "pages from the end", "web_catalogue -k orders"),
    (W + "jobs.py", "turns[line[-1].visitor] = self._turn + len(line)", "pass", "one visitor before all others", "web_jobs -k turns"),
    (W + "jobs.py", "else until + own\n", "else until\n", "a wait without those before", "web_jobs -k wait"),
    (W + "tabs/restore.py", "encoded(case.finished(one[None]))", "encoded(one[None])", "a photograph at the model's size", "web_photographs -k own_size"),
    (W + "tabs/inpaint.py", "bits[: height * width] == 0", "bits[: height * width] == 1", "the hole known and the rest of the photograph drawn", "web_photographs -k hole"),
    (W + "estimates.py", "(median(rates) if rates else pace)", "pace", "an estimate that learns nothing", "web_photographs -k estimate"),
    (W + "curve.py", "if lane and not solver.stochastic", "if lane", "a curve of a solver that adds noise", "web_curve -k points"),
    (W + "security.py", "direct = host.lower() != outside.netloc and origin", "direct = origin", "a page without TLS taken for the one with it", "web_proxy -k through"),
    (W + "proxy.py", 'named[-1].rpartition(",")[2]', 'named[-1].partition(",")[0]', "a visitor by the name that it gives itself", "web_proxy -k told_apart"),
    (W + "jobs.py", "if own > self.share:", "if False:", "a line full of one visitor", "web_jobs -k share"),
    (W + "jobs.py", 'yield "beat", {}', "pass", "no sign of life", "web_jobs -k silent"),
    (W + "server.py", "await run_in_threadpool(self._end)", "pass", "Ctrl-C waits for the drawing", "web_jobs -k ctrl_c"),
    (W + "catalogue.py", "if identity(self.path) != self._file:", "if False:", "kept in a file that is gone", "web_catalogue -k removed"),
    (W + "database.py", "journal_mode = PERSIST", "journal_mode = WAL", "a log that leaves no room to delete", "web_full_disk -k room"),
    (W + "database.py", "max(0, RESERVE - file.tell())", "0", "no room kept for a deletion", "web_full_disk -k room"),
    (W + "catalogue.py", "            with self._write():\n                self._purge(keep=0)\n            with self._write():\n                return write()", "            raise", "what was deleted makes no room", "web_full_disk -k room"),
    (W + "attachments.py", "return parameters | {", "return {", "parameters without what is short", "web_catalogue -k long_parameters"),
    (W + "tabs/base.py", 'return "projection" if', 'return name if', "a default that needs a covariance", "web_jobs -k default"),
    ("models/output.py", "TypeError, ValueError):  # what PyTorch", "TypeError):  # what PyTorch", "a class too large is a traceback", "web -k mistake"),
    (W + "catalogue.py", "with self._lock:\n            if", "if True:\n            if", "threads at once", "web_catalogue -k threads"),
    (W + "exporting.py", "if scale <= 1:", "if scale < 0:", "large pictures made small", "web_first -k lanczos"),
    (W + "exporting.py", "SIDE // columns, resampling", "SIDE // columns", "pixels of a path smoothed", "web_first -k smoothed"),
    (W + "exporting.py", "i // columns * part.height", "i % columns * part.height", "pictures of a path on the diagonal", "web_first -k animation"),
    (W + "tabs/generate.py", "if not i or not torch.equal(seen[i], seen[i - 1])", "if True", "frames that repeat the one before", "web_first -k frame"),
    (W + "tabs/generate.py", '{"name": "unipc", "steps": 20}', '{"name": "unipc", "steps": 12}', "a preset that is not what it says", "web_first -k exact"),
    (W + "keeping.py", "enlarged(png) if large else png", "png", "a kept picture is small for ever", "web_first -k kept"),
    (W + "search.py", "if unicodedata.combining(letter):", "if False:", "accents count", "web_catalogue -k sorted"),
    (W + "search.py", ", padded[-third:])", ")", "the last piece of a word", "web_catalogue -k finds"),
    (W + "search.py", " or len(_matches(db, _text(word), MOST, \"0\")) == MOST", "", "a common word taken for a mistake", "web_catalogue -k common"),
    (W + "search.py", "[*close, *holding(word, len(word) + 1, LONGEST)]", "close", "no ends of words", "web_catalogue -k finds"),
    (W + "search.py", "score.get(id, 0.0) + 1 / (DAMPING", "score.get(id, 0.0) - 1 / (DAMPING", "the worst match first", "web_catalogue -k best"),
    (W + "search.py", "if len(found) > MOST:", "if len(found) > MOST + 1:", "matches beyond the ranked ones lost", "web_catalogue -k common"),
    (W + "intake.py", ', "surrogatepass").decode("utf-16", "replace")', ', "surrogatepass").decode("utf-16", "surrogatepass")', "halves of characters", "web_catalogue -k any"),
    (W + "intake.py", "        text.encode()\n", "", "halves of characters in parameters", "web_catalogue -k refused"),
    (W + "decoder.py", "_allow(seconds)\n", "pass\n", "no limit of the processor", "web_uploads -k time"),
    (W + "decoder.py", "resource.RLIMIT_NOFILE: 0, ", "", "files can be opened", "web_uploads -k open"),
    (W + "decoder.py", "limits |= {resource.RLIMIT_CORE: 0, resource.RLIMIT_AS: memory}", "limits |= {resource.RLIMIT_CORE: 0}", "no limit of the memory", "web_uploads -k 'memory or open'"),
    (W + "decoder.py", "largest=largest, ", "", "no limit of the pixels", "web_uploads -k large"),
    (W + "decoder.py", ", formats=FORMATS", "", "any format", "web_uploads -k content"),
    (W + "uploads.py", "height * width <= limits.pixels if", "True if", "an answer's size believed", "web_uploads -k trusted"),
    (W + "uploads.py", "if status not in (200, 400, 413, 415) or", "if", "an answer's status believed", "web_uploads -k trusted"),
    (W + "uploads.py", "threading.Timer(limits.seconds, process.kill)", "threading.Timer(1e6, process.kill)", "no clock", "web_uploads -k hangs"),
    (W + "uploads.py", ", env=environment", "", "the environment handed on", "web_uploads -k secrets"),
    ("images/decode.py", "ImageOps.exif_transpose(picture, in_place=True)", "pass", "orientation", "web_uploads -k orientation"),
    ("images/decode.py", "(values.astype(np.int32) + 128) // 257", "values.astype(np.int32) // 256", "16 bits cut off", "web_uploads -k sixteen"),
    ("images/decode.py", 'part.size, "white")', 'part.size, "black")', "transparency over black", "web_uploads -k rule"),
    ("models/classes.py", "each.rank == min(other.rank for other in begun)", "True", "part of a name as good as the whole", "classes -k means"),
    ("models/classes.py", "names.index(text) if text in names else int(text)", "int(text)", "a name that is a number", "classes -k number"),
    ("models/folder.py", 'class_names=config.get("class_names", ()),', "", "names of classes not read", "classes -k kept"),
    (W + "tabs/generate.py", "(2 if self.classes and self.guidance != 1 else 1)", "1", "guidance takes no time", "web_classes -k twice"),
    (W + "listing.py", 'f"{seed} {id}"', 'f"{id}"', "one random order for all seeds", "web_archive -k random"),
    (W + "archive.py", "suppress(MissingEntry)", "suppress()", "a deletion ends the ZIP", "web_archive -k sent"),
    (W + "database.py", "id INTEGER PRIMARY KEY AUTOINCREMENT", "id INTEGER PRIMARY KEY", "a number given twice", "web_catalogue -k 'removed or restore'"),
    ("training/checkpoints.py", "not bool(torch.isfinite(tensor).all())", "False", "weights that are not finite resumed", "checkpoints -k before_a_damaged"),
    ("training/checkpoints.py", "for path in reversed(found):", "for path in found:", "the oldest checkpoint resumed", "checkpoints -k read_back"),
    ("training/checkpoints.py", "if every and count // every > mark:", "if every and count % every == 0:", "only exact multiples kept", "checkpoints -k kept"),
    ("core/folders.py", "fcntl.LOCK_EX | fcntl.LOCK_NB", "fcntl.LOCK_SH | fcntl.LOCK_NB", "several writers", "checkpoints -k one_process"),
    ("training/checkpoints.py", "            if target.exists():\n                _set_aside(target)\n", "", "a damaged checkpoint in the way of its successor", "checkpoints -k before_a_damaged"),
    ("training/loop.py", "each.mean() / options.accumulate", "each.mean()", "parts of a batch summed up", "loop -k parts"),
    ("training/loop.py", "1 - 0.5 ** (options.batch / half_life)", "1 - 0.5 ** (1 / half_life)", "half-lives in steps", "loop -k half_life"),
    ("training/loop.py", "elif state.skipped < options.skip_nonfinite:", "elif state.skipped <= options.skip_nonfinite:", "one step too many left out", "loop -k 'finite or left_out'"),
    ("training/loop.py", "        if finite:\n            average(state, options)", "        average(state, options)", "a step left out still moves the average", "loop -k left_out"),
    ("training/loop.py", "    if net is not state.model.net:\n", "    if False:\n", "no rehearsal of the sums", "parallel -k three_ends"),
    ("training/loop.py", "    state.scaler.unscale_(state.optimizer)\n", "", "gradients that stay scaled", "scaling"),
    ("training/loop.py", "state.scaler.scale(each.mean() / options.accumulate)", "(each.mean() / options.accumulate)", "losses that are not scaled", "scaling"),
    ("training/loop.py", "elif math.isfinite(value) and 1 <= state", "elif math.isfinite(value) and 0 <= state", "overflows without end", "scaling -k every_scale"),
    ("training/loop.py", "elif math.isfinite(value) and 1 <=", "elif 1 <=", "a loss that is not finite as an overflow", "scaling -k matter"),
    ("training/loop.py", "        state.scaler.update()\n", "", "a scale that stays", "scaling -k overflow"),
    ("models/inference.py", '"float16": torch.float16', '"float16": torch.bfloat16', "bfloat16 for float16", "scaling -k gradient"),
    ("training/state.py", '("scale", "_growth_tracker")', '("scale",)', "steps since an overflow forgotten", "scaling -k resumed"),
    ("training/sharding.py", "weight.detach().clone())", "weight.detach())", "averages that are the weights", "sharding -k 'training_of_one and basic'"),
    ("training/sharding.py", "    net.register_forward_pre_hook(agree)\n", "", "statistics that drift apart", "sharding -k buffers"),
    ("training/sharding.py", "[:0:-1] if", "[:0:-1] if not part and", "one block only", "sharding -k blocks"),
    ("training/shards.py", "dedup_save_to_lowest_rank=True", "dedup_save_to_lowest_rank=False", "statistics of any process saved", "sharding -k normalisation"),
    ("training/checkpoints.py", "*path.glob(CONTENT)]", "]", "a file without a digest", "sharding -k changed_byte"),
    ("training/checkpoints.py", "                raise OSError(problem)\n", "                pass\n", "a write that failed taken for done", "sharding -k full_disk"),
    ("training/checkpoints.py", 'for place in path.glob("*.safetensors"):', 'for place in path.glob("state.safetensors"):', "shares that are not finite resumed", "sharding -k never_resumed"),
    ("training/run.py", "mean = whole(state.ema)\n        if self.gallery", "mean = whole(state.model)\n        if self.gallery", "sheets of the weights", "sharding -k sheet"),
    ("training/resume.py", '"shard": any(map(is_share, model.parameters())),', '"shard": False,', "no warning that the bits will differ", "sharding -k goes_on"),
    ("training/state.py", "kept[name] = torch.empty_like(parameters[index]).copy_(x)", "kept[name] = x", "moments in another order", "loop -k bit_for_bit"),
    ("training/batches.py", "mine = slice(each * self.group.rank, each * (self.group.rank + 1))", "mine = slice(0, each)", "all processes see the same images", "parallel -k shares_of"),
    ("core/parallel.py", "            x /= self.world\n", "", "losses of processes summed up", "parallel -k 'more_processes and two'"),
    ("sampling/sample.py", "range(batch * together.rank, len(rows), batch * together.world)", "range(0, len(rows), batch)", "samples drawn by every process", "parallel -k shared_samples"),
    ("core/signals.py", "self.code = self.code or CODES", "self.code = CODES", "the last signal decides the exit code", "run -k noted"),
    ("training/run.py", 'if row["images"] <= seen', "if True", "the log of steps that were lost", "run -k newest_whole"),
    ("training/resume.py", "if fixed or (differ and not changed):", "if differ and not changed:", "another batch on resume", "run -k another_configuration"),
    ("training/evaluation.py", "(model.sde.share(t) * self", "((1 - model.sde.share(t)) * self", "parts of the process in reverse", "evaluation -k told_apart"),
    ("training/evaluation.py", '"label_dropout": 0.0, ', "", "labels hidden in an evaluation", "evaluation -k labels"),
    (W + "security.py", " or \"transfer-encoding\" in headers", "", "chunks beyond the length", "web_faults -k lengths"),
    (W + "security.py", "if port != str(self.port):", "if int(port) != self.port:", "a port that is no number", "web_faults -k hosts"),
    (W + "uploads.py", "if not self._ready:\n", "if False:\n", "a decoder that does not start", "web_uploads -k start"),
    ("sampling/trajectory.py", "seen[rows].to(kept)", "seen[rows]", "a way in two dtypes", "sample -k trajectory"),
    ("training/profiles.py", "** (exponent(width) + 1)", "** exponent(width)", "a step by γ, not γ + 1", "averages -k step_weighs"),
    ("training/profiles.py", "b.exponent) / b.images", "a.exponent) / b.images", "inner products with the earlier exponent", "averages -k inner"),
    ("training/profiles.py", "[products, ones]", "[products, 0 * ones]", "shares that do not add up to 1", "averages -k nearest"),
    ("training/averages.py", "if images <= end or not buffers:", "if True:", "buffers of the newest snapshot", "averages -k buffers"),
    ("training/averages.py", ".view(len(found), -1).tolist()", ".view(-1, len(found)).T.tolist()", "shares beside their snapshots", "averages -k that_of_its_snapshot"),
    ("training/averages.py", "if not 0 < end <= ends[-1]:", "if end <= 0:", "an end past the snapshots", "averages -k refused"),
    ("training/state.py", "if bool(everything(x.isfinite().all()))", "if True", "weights beyond half precision", "averages -k too_large"),
    ("training/state.py", '{"net": state.model, **averages(state)}.items():\n            model', '{"net": state.model, "ema": state.ema}.items():\n            model', "averages lost on resume", "averages -k kill"),
    ("training/run.py", "        self.snapshots.forget(state.step if state else 0)\n", "", "snapshots of steps that were lost", "averages -k later"),
    ("training/checkpoints.py", "if int(path.name[5:]) > step:", "if int(path.name[5:]) >= step:", "the snapshot beside the checkpoint lost", "averages -k kill"),
    ("training/trainer.py", "due(options.snapshot_every, last)", "due(options.snapshot_every)", "a snapshot at each interruption", "averages -k interrupted"),
    ("training/resume.py", '"ema_also", "snapshot_every", "widths"', '"ema_also"', "another width on resume", "averages -k refused"),
    ("training/boards.py", "id=kept.read_text(encoding=\"utf-8\").strip() if kept.exists() else None", "id=None", "another run at wandb on resume", "boards -k resumed"),
    ("training/boards.py", "            self.run = None\n            message", "            message", "a failure told again and again", "boards -k fails"),
    ("training/boards.py", "exit_code=int(failed)", "exit_code=0", "a failure sent as success", "boards -k sent_as_failed"),
    ("training/boards.py", "step=row[\"images\"]", "step=row[\"step\"]", "figures over steps", "boards -k log_says"),
    ("data/base.py", 'self._chosen(permutation(len(self), stream(seed, "images")), count)', "self._chosen(torch.arange(len(self)), count)", "the first images of a set", "data -k drawn"),
    ("data/base.py", 'stream(seed, "images")), count)', 'stream(0, "images")), count)', "the same images whatever the seed", "data -k drawn"),
    ("commands/likelihood.py", "whole.drawn(count, seed)", "whole.drawn(count)", "images of another seed", "trained -k command"),
    ("training/evaluation.py", "to_uint8(images.drawn(REFERENCE).scaled())", "to_uint8(images.scaled(slice(REFERENCE)))", "a reference of the first classes", "evaluation -k sorted"),
    (L + "task.py", "double(pixels.to(model.device)) * (2 / (levels - 1)) - 1", "double(pixels.to(model.device)).add(0.5) * (2 / levels) - 1", "other grey levels than in training", "trained -k 'bits_per or bound'"),
    (L + "task.py", "(~known.bool())", "known.bool()", "bits of what is known", "trained -k 'bits_per or bound'"),
    (L + "vlb.py", "(nats * counted)", "nats", "a bound with what is known in it", "trained -k 'bits_per or bound'"),
    (L + "bits.py", "else known[numbers]", "else known[: len(numbers)]", "the masks of other images", "trained -k 'bits_per or bound'"),
    ("bench/network.py", "for i in rows]", "for i in range(len(rows))]", "every batch is shown the first images", "trained -k benchmark"),
    ("solvers/grids.py", "> APART for", "> 0 for", "steps of rounding", "absurd -k apart"),
    (S + "guard.py", "            self.settle()\n", "", "only the last evaluation is looked at", "faults -k 'later or answer'"),
    (S + "base.py", "            guard.settle()", "            pass", "the last evaluation is not looked at", "faults -k 'later or answer'"),
    ("solvers/brownian.py", "torch.maximum((self.times > s[:, None]).sum(1), passed + 1)", "(self.times > s[:, None]).sum(1)", "a row at rest sees another's place", "stochastic -k foresight"),
    ("solvers/brownian.py", "self.values[rows[new], column[new]] = w[new]", "pass", "what was seen is forgotten", "stochastic -k foresight"),
    ("models/guided.py", "both.share[: len(x)]", "both.share[len(x) :]", "the variance of no class", "wrappers"),
    ("models/guided.py", "if self.model.bound is None:", "if True:", "a bound model asked for twice its rows", "wrappers"),
    ("models/network.py", "seen = torch.where(known.mask, known.values, seen)", "pass", "known pixels as noisy as x_t", "wrappers"),
    ("models/network.py", "(x - alpha * known.values) / sigma", "(x - known.values) / sigma", "known pixels by a bent way", "wrappers"),
    ("models/tiled.py", "known[first : first + len(part)]", "known[: len(part)]", "every tile is given the first pieces", "wrappers"),
    ("models/base.py", "        return self.model.finish(x)", "        return x", "what is known is lost in a wrapper", "wrappers"),
    ("models/base.py", "        other._adopt(model)\n", "", "a wrapper around another model that still is the old one", "wrappers models"),
    ("models/border.py", "if not x.is_floating_point():", "if False:", "whole numbers as a state", "border"),
    ("models/border.py", "if found.shape not in (", "if False and found.shape not in (", "an output that broadcasts", "border"),
    ("models/predictions/edm.py", "sigma / variance, -alpha", "sigma / root, -alpha", "c_skip", "predictions"),
    ("models/predictions/v.py", "sigma / square", "sigma", "v of a process that preserves no variance", "predictions"),
    ("models/predictions/flow.py", "sign = -1 if self.reversed else 1", "sign = 1 if self.reversed else -1", "the direction of a flow", "predictions"),
    (S + "base.py", "state = x.to(torch.promote_types(x.dtype, torch.float32))", "state = x", "steps of 16 bits", "border"),
    ("sampling/sample.py", "if in_training(model):", "if False:", "dropout left on", "border"),
    ("sde/base.py", "a.to(x.dtype).to(x.device)", "a.to(x.device)", "float64 meets the state", "devices"),
    ("core/units.py", "like(self.centre, u) + like", "like", "samples without their centre", "units own_data"),
    ("data/numbers.py", ") / count).sqrt()", ") / count)", "the square of a deviation", "tensors"),
    ("training/resume.py", 'others = bool(digest) and content["data"] != digest', 'others = False', "other images in silence", "choice -k resume_notices"),
    ("training/plan.py", "        images,\n        min(10_000, _round(images / 20)),", "        images,\n        10_000,", "a warm-up longer than the run", "choice -k every_length"),
    ("training/trainer.py", "over = end is not None and", "over = False and", "a run longer than its time", "choice -k slower"),
    ("training/initial.py", "for model in (ours, *averages(state).values()):", "for model in averages(state).values():", "weights that begin afresh", "choice -k weights_of"),
    ("training/choice.py", "shape = (shape[0], *(side // reduce for side in shape[1:]))", "pass", "a plan for images that were not reduced", "choice -k npz"),
    ("training/config.py", "ensure_ascii=False", "ensure_ascii=True", "no emoji in a path", "config -k survives"),
    ("sde/flow.py", "torch.sqrt(2 * t / (1 - t))", "torch.sqrt(t / (1 - t))", "the noise of a flow's equation", "flow"),
    ("sde/flow.py", "def prior_std(self) -> float:\n        return 1 - self.end", "def prior_std(self) -> float:\n        return 1.0", "noise of the end that is not reached", "flow"),
    ("sde/given_chain.py", "given[:-1] if given and given[-1] == 0 else given", "given", "a level without signal kept", "given_chain"),
    (S + "dpm_solver.py", "plain(low) / columns[-1]", "plain(low)", "x' at the scale of its own time", "adaptive -k tol_alone"),
    ("training/time_laws/log_normal.py", "sde.time(-(self.mean", "sde.time((self.mean", "noise for signal", "weightings"),
    ("training/weightings/edm.py", "1 + torch.exp(-2 *", "1 + torch.exp(-", "EDM's weight", "weightings"),
    (F + "check.py", "if not error <= LEFT * level", "if not error <= 9 * level", "noise left is no fault", "import_check"),
    (F + "check.py", "min(ratios) >= WORST and", "", "one level liked better with a wrong label", "import_check"),
    (F + "check.py", "math.log(factor))", "0.0)", "never told another level", "import_check"),
    (F + "importing.py", "if not result.passed and not force", "if result.passed and not force", "wrong models kept", "importing"),
    (F + "weights.py", 'wrong += [f"{name} is unknown" for name in tensors if name not in own]', "", "unknown weights passed over", "importing"),
    (F + "weights.py", "weights_only=True", "weights_only=False", "code of a file is run", "importing"),
    (F + "cache.py", "path.stat().st_mtime_ns", "0", "a changed checkpoint is not seen", "importing"),
    (F + "score_sde.py", 'if self.weights == "averages":', "if False:", "raw weights for averages", "score_sde"),
    (F + "guided_diffusion_flags.py", "scale={1000 / steps!r}", "scale={steps / 1000!r}", "the label of a rescaled chain", "guided_diffusion"),
    (F + "sit.py", '"reversed:scale=1.0"', '"scaled:scale=1.0"', "time that runs the other way", "sit_import"),
    (F + "edm.py", "log-sigma:scale=0.25", "log-sigma:scale=0.5", "EDM's label", "edm_import"),
    (F + "pickles.py", "if path in NAMES or", "if True or", "any name in a pickle", "pickles"),
    ("models/classifier.py", "expand(scale * self.sde.sigma(t), x)", "expand(scale, x)", "guidance without its σ", "classifier"),
    ("models/classifier.py", "torch.full_like(t, self.scale), 1.0)", "torch.full_like(t, self.scale), 0.0)", "no classifier outside of the interval", "trained_classifier"),
    ("models/classifier.py", "            classifier.fits(model)\n", "            pass\n", "a classifier of another process guides", "trained_classifier"),
    ("models/trained_classifier.py", "x / expand(self.sde.scale(t), x)", "x", "a classifier sees the noise of a wide process unscaled", "trained_classifier"),
    ("models/guided.py", "(-math.inf, math.inf) if interval is None", "(0.0, 1.0) if interval is None", "guidance that ends at the time 1 of a longer process", "trained_classifier"),
    ("api/guidance.py", "        model = GuidedModel(model, classes)\n", "", "a network that needs a class is told none beside the classifier", "trained_classifier"),
    ("sde/labels/sigma.py", "torch.exp(-sde", "torch.exp(sde", "σ for 1/σ", "models"),
    (S + "langevin.py", "(level,) = model.sde.levels([stop])", "(level,) = model.sde.levels([2 * stop])", "the final corrector at another level", "langevin"),
    (S + "langevin.py", "if not self.final_corrector:\n            return x", "if True:\n            return x", "the final corrector is left out", "langevin"),
    (S + "ddim.py", "return self.eta > 0 or self.final_corrector > 0", "return self.eta > 0", "a way back after a final corrector", "langevin"),
    (P + "base.py", "reverse = reverse and not solver.final_corrector", "pass", "samplers forget the final corrector", "langevin"),
    ("sampling/sample.py", 'if model.draws != "as published":', "if False:", "new noise where it cannot be followed", "published"),
    (C + "replacement.py", "torch.maximum(self.before, t)", "self.before", "a step that is tried again has the noise of a lower level", "published"),
    (C + "base.py", "draws if draws is True else model.draws or draws", "model.draws or draws", "noise around the published heuristic followed", "published"),
    ("sampling/trajectory.py", "for x in way.denoised), end]", "for x in way.states), end]", "x_t in place of predicted x_0", "trajectory"),
    ("sampling/sample.py", "start=begin, stop=end", "start=model.sde.t_max, stop=end", "a state in the middle is taken for noise", "start"),
    ("api/start.py", "seen.cpu(), denoised(model.sde, x, t, eps).cpu()", "seen.cpu(), seen.cpu()", "x_t for what one evaluation predicts", "sample_start"),
    ("sde/forward.py", "sde.chain.times[steps - 1]", "sde.chain.times[steps - 2]", "a share of a chain one step off", "forward"),
    ("commands/noise.py", "generators([seed + i])", "generators([seed + i + 1])", "noise of another seed", "noise"),
    ("networks/blocks.py", "in x.shape[:1:-1] for pad", "in x.shape[2:] for pad", "sides padded in the wrong order", "unet -k series_and"),
    ("networks/blocks.py", "[min(2, side) for side in x.shape[2:]]", "2", "a volume of one slice has no mean", "unet -k series_and"),
    ("networks/exchange.py", "if len(shape) != 3:", "if len(shape) > 9:", "series exported as images", "diffusers_networks -k refused_by_name"),
    ("training/plan.py", "2 <= len(facts.shape) <= 4", "2 <= len(facts.shape)", "a U-Net for five dimensions", "choice -k series_maps"),
    ("networks/prune.py", "if not modules or any(fits(name, p) for p in modules)", "if True", "all modules are pruned", "prune"),
    ("networks/basic.py", "scale * skips.pop()", "skips.pop()", "skips are not scaled", "basic"),
    ("training/trainer.py", "loss - BOUND * vlb", "loss - vlb", "the square's part of the hybrid loss", "boards"),
    ("training/objective.py", "length * mean(bound.detach())", "mean(bound.detach())", "one step's bound for that of all", "objective"),
    ("observations/tasks/inpaint.py", "mask, x0, randn(x0.shape, sources).to(x0)", "mask, x0, 0 * randn(x0.shape, sources).to(x0)", "no noise in the hole", "trained_tasks"),
    (M + "pairs.py", "WINDOW, SPREAD = 11, 1.5", "WINDOW, SPREAD = 11, 1.6", "the window of SSIM", "pairs"),
    (M + "pairs.py", "errors.mean(1)", "errors.mean()", "one PSNR for all pictures", "pairs"),
    ("bench/network.py", "torch.arange(len(x)) % len", "(torch.arange(len(x)) + 1) % len", "samples beside another's original", "bench_tasks"),
    ("training/evaluation.py", "fitting(options.extractor, images.shape), *further]", "fitting(options.extractor, images.shape)]", "further metrics left out", "evaluation"),
    (S + "few_steps.py", "bisect_right(list(table), given) - 1", "bisect_right(list(table), given - 1) - 1", "the solver of one step fewer", "few_steps -k every_number"),
    (S + "few_steps.py", ">= LARGE else", "> LARGE else", "a network is large one parameter later", "few_steps -k parameters"),
    ("api/default_solver.py", "if measured(model):", "if measured(model) and steps > 20:", "a measurement without its solver", "default_solver -k measurement"),
    ("api/default_solver.py", "source_of(model) if tuned else None", "source_of(model)", "what was tuned from noise taken on the way", "default_solver -k tuned"),
    ("api/default_solver.py", "for name in best.model_fields_set} | given", "for name in best.model_fields_set}", "options beside --steps forgotten", "default_solver -k command"),
    ("sampling/value_range.py", "(x.detach().abs() - 1)", "(x.detach() - 1)", "below black is no distance", "value_range -k nearest"),
    ("sampling/value_range.py", ".mean())) > OFTEN:", ".mean())) >= OFTEN:", "half of the samples decide", "value_range -k strays"),
    ("models/network.py", "dtype, device = self.inference.dtype or like.dtype", "dtype, device = like.dtype", "the input of a 16-bit network stays as it was", "inference"),
    ("models/network.py", "        self.evaluator = self.inference.of(self.net)\n        return self", "        return self", "the copy stays behind on the old device", "inference -k copy"),
    ("models/inference.py", "net = copy.deepcopy(net).requires_grad_(False)", "net = net.requires_grad_(False)", "the weights themselves are rounded", "inference -k saved"),
    ("models/inference.py", "config.donated_buffer = False", "pass", "a second product with one compiled graph fails", "inference -k compiled"),
    ("models/inference.py", "torch._dynamo.maybe_mark_dynamic(each, 0)", "pass", "compiled again for another size of a batch", "inference -k compiled"),
    ("sampling/precision.py", "if share < GAIN and rms < TOLERANCE", "if share < GAIN", "faster whatever becomes of the samples", "precision -k changes"),
    ("sampling/precision.py", "        found.update(weight.detach()", "        str(weight.detach()", "a choice for other weights is taken", "precision -k once"),
    ("sampling/precision.py", "and not (exact and way.dtype is not None)", "", "a likelihood in 16 bits", "precision -k likelihood"),
    ("core/threads.py", "str(max(1, math.ceil(allowed)))", "str(max(1, round(allowed)))", "half a processor of a quota is lost", "threads"),
    ("core/threads.py", "    if any(name in environment", "    if all(name in environment", "somebody's own number of threads is overruled", "threads"),
    ("core/threads.py", "for folder in (groups, groups / _own()):", "for folder in (groups,):", "the quota of a service is not seen", "threads"),
    ("commands/written.py", "return not any(group.startswith", "return True or any(group.startswith", "a help without the options of installed plug-ins", "written -k old"),
    ("commands/written.py", ".st_mtime > latest", ".st_mtime > 1e12", "a help that is older than its command", "written -k old"),
    ("models/border.py", "if min(values) < 0 or max(values) > end * (1 + 1e-6):", "if False:", "a time outside of the process", "border"),
    ("models/border.py", "    checked(x, shape)\n    rows", "    rows", "a view of a state of another shape", "border"),
    ("models/border.py", "if noisy and not min(values) and", "if False and", "a score where there is no noise", "border"),
    ("api/models.py", "store.fitted(chosen, folder, seen, prior.shape)", "store.fitted(chosen, folder, seen)", "a covariance of tiles that is not resized", "tiled"),
    ("bench/likelihood.py", "RK45(tol=spec.likelihood_tol,", "RK45(tol=1e-5,", "a looser tolerance that is not taken", "bench -k looser"),
    ("bench/cells.py", "found[\"likelihood\"][\"tol\"] = spec.likelihood_tol", "pass", "likelihoods of two tolerances taken for one", "bench -k looser"),
    ("commands/latent.py", "(\"cifar10\" if files else \"digits\")", "\"digits\"", "a photograph encoded as a digit", "outputs -k photograph"),
    ("data/embedded.py", "labels=table[:, 64]", "labels=table[:, 63]", "a pixel for the digit", "data -k digits"),
    ("data/embedded.py", "for name in (\"china.jpg\", \"flower.jpg\")", "for name in (\"china.jpg\", \"china.jpg\")", "one photograph twice", "data -k photos"),
    ("conditioners/projection.py", "lambda b: observation.near_inverse(b, precision),", "lambda b: b,", "a blur without its preconditioner", "projection"),
    ("conditioners/projection.py", "spread = gain**2 * variance", "spread = gain * variance", "the factor of a blur for its square", "projection -k few_products"),
    ("models/network.py", "_callable(self.net, (\"x\", \"label\", \"classes\")[: len(given)])", "pass", "a network without a label ends in torch's words", "models -k without_a_label"),
    ("core/errors.py", "next(iter(str(error).splitlines()), \"\")", "str(error)", "a reason of several lines", "errors"),
    ("core/random.py", "torch.default_generator.manual_seed(seed)", "pass", "a seed that is not taken without an accelerator", "random"),
    ("models/gaussian.py", "z[0, rows] * self.variances[k]", "z[0, rows] * self.variances[0]", "the spread of another mode", "models -k draw"),
    ("core/threads.py", "round(free)", "int(free)", "a thread less for the little that any system does", "threads"),
    ("core/threads.py", "1 <= count <= _most[-1]", "1 <= count", "more threads than the machine has", "threads"),
    ("core/threads.py", "int(row[4]) + int(row[5])", "int(row[4])", "a processor that waits for a disk is busy", "threads"),
    ("core/threads.py", "now.own - since.own", "now.own", "work done before the first moment", "threads"),
    ("api/photographs.py", "tasks.steps_for(prior) if solver", "tasks.STEPS if solver", "a network trained for the task in half of its steps", "photograph tasks"),
    ("bench/estimates.py", "    if n < 5:", "    if n < 2:", "resampled means of three values", "bench_posterior -k 'bootstrap or interval'"),
    ("solvers/adaptive.py", "states.append(self._ended(guarded, end, times[-1], generator))", "states.append(end)", "a path without its final corrector", "adaptive -k path"),
    ("solvers/brownian.py", "z = self._noise(s < t)", "z = randn_like(self.like, self.generator)", "a row at rest that draws", "stochastic"),
    ("solvers/brownian.py", "t[:, None] - self.rounding", "t[:, None]", "noise used twice where a step is rounded", "stochastic"),
    ("solvers/brownian.py", "and len(sources) != len(x)", "and not generator", "one generator for several rows", "stochastic"),
    ("solvers/langevin.py", "(size := x[0].numel()) < 8", "(size := x[0].numel()) < 1", "no warning of a corrector of two values", "predictor_corrector"),
    ("solvers/predictor_corrector.py", "(size := x[0].numel()) < FEW", "(size := x[0].numel()) < 1", "no warning of steps of few values", "predictor_corrector"),
    ("training/objective.py", "if out.shape[1] == x.shape[1]:", "if not out.shape[1]:", "a hybrid loss without a variance", "fit -k sentence"),
    ("sampling/misfit.py", "float(misfit.values[above].mean())", "mean", "a misfit of all for that of the samples named", "misfit"),
    ("sampling/value_range.py", "solvers[name].adaptive:", "solvers[name].adaptive is None:", "more steps advised to a solver that chooses them", "value_range"),
    ("posterior/tasks.py", "{\"trained\": 2,", "{\"trained\": 1,", "a trained network in the steps of a measurement", "photograph -k python_gives"),
    ("data/base.py", "not 2 <= self.levels", "not 1 <= self.levels", "images of one grey level", "data"),
    ("core/random.py", "manual_seed(seed) for seed in whole_seeds(seeds)", "manual_seed(int(seed)) for seed in seeds", "a seed cut to a whole number", "random"),
    ("posterior/store.py", "copy = place(folder)  # of", "copy = folder  # of", "a bundled model written to by advice", "mixture -k unsound"),
    ("sde/vp.py", "if last > NOISIEST * (1 + 1e-9):", "if last > 1:", "a process that does not end in noise", "sde -k bad_options"),
    ("observations/composed.py", "found = copy.copy(self)  # whose", "found = type(self)(*self.parts)  # whose", "the noise of the parts for that of the whole", "composed"),
    ("observations/composed.py", "return self.forward(self.pinv(y))  # not all", "return y  # not all", "holes before the noise that are solved for", "composed"),
    ("observations/composed.py", "if before and self.noise == final.noise > 0:", "if False:", "a rounded luma outside its cells", "further -k 'cells or side_by_side'"),
    ("observations/stacked.py", "if self._few or not self.noise else y", "if True else y", "a projection that is not linear", "stacked -k exactly"),
    ("observations/misfit.py", "torch.stack([counted(part, own) for part, own in parts]).sum(0)", "torch.stack([own.new_full((len(y),), own[0].numel()) for _, own in parts]).sum(0).double()", "holes of a stack counted", "dps -k side_by_side"),
    ("observations/misfit.py", "observation.noise <= ROUNDING", "not observation.noise", "an even picture that follows the noise", "misfit"),
    ("observations/jpeg.py", "beyond, \"replicate\")", "beyond, \"constant\")", "a JPEG filled up with black", "further -k file"),
    ("conditioners/oracle.py", "prior.bases * prior.variances.sqrt()", "prior.bases * prior.variances", "a posterior with the variance for its root", "conditioners -k oracle"),
    ("posterior/store.py", "if alike and (one.kind", "if (one.kind", "clusters of other data kept", "mixture -k stats"),
    ("core/errors.py", "return known or said == NO_ROOM or any", "return known or said == NO_ROOM and any", "torch's words for a full memory", "errors"),
    ("core/parallel.py", " or _number(\"SLURM_ARRAY_TASK_MAX\", last) != last", "", "an array with gaps", "bench -k gaps"),
    ("core/sentences.py", "if not place or not any(other[: len(place)] == place for other in found):", "if True:", "of several refusals of an option the last", "config"),
    ("training/run.py", 'state.since = tuple(found.content["since"])', "pass", "the losses before a resume left out", "run -k killed_is"),
    ("training/evaluation.py", "labelled(self.held, config.network.classes", "labelled(self.held, 0", "held-out labels of other classes", "own_data -k held_out"),
    ("training/fit.py", "[handler] if log.hasHandlers() or", "[handler] if", "warnings that are printed twice", "choice -k warnings"),
    ("training/fit.py", "else [handler, logging.lastResort]", "else [handler]", "warnings that only the file has", "choice -k warnings"),
    ("training/fit.py", "if pictures and Path(pictures).is_dir()", "if False", "a run among its pictures", "fit -k among"),
    ("api/guidance.py", "sizes = range(len(parts), 0, -1)", "sizes = range(1)", "a name with commas as several", "classes -k commas"),
    ("data/pictures.py", "(largest := int(pixels.max())) < LOWEST", "(largest := int(pixels.max())) < 1", "dark pictures of 16 bits as few levels", "levels -k dark"),
    ("data/meaning.py", "_numbers(item) if isinstance(item, Image.Image) else ", "", "the numbers of a palette for colours", "meaning"),
    ("data/columns.py", "        by_name = by_name[1:]", "        by_name = by_name[:]", "a column that counts the rows is data", "columns"),
    ("data/tabular.py", "part(rows, self.chosen(len(rows), \"test\"), train)", "part(rows, self.chosen(len(rows), \"test\"))", "held-out rows in units of their own", "columns"),
    ("data/tabular.py", "sorted({*kinds})", "list(dict.fromkeys(kinds))", "classes in the order in which they come", "columns"),
    ("api/likelihood.py", "counted(n=n, draws=draws, batch=batch)", "counted(draws=draws, batch=batch)", "a number of images below 0", "api -k below_one"),
    ("models/record.py", "if made not in old or any(", "if any(", "a result over a trained model", "prune averages"),
    ("observations/masks.py", "np.argsort(share[new] * reach + off[new], kind=\"stable\")", "np.argsort(new)", "strokes cut by rows", "masks"),
]  # fmt: skip


def build(folder: Path, mutant: Mutant | None) -> None:
    """A copy of the package and its tests, with one edit."""
    for name in ("scoresde", "tests", "configs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    if mutant:
        path = folder / "scoresde" / mutant[0]
        path.write_text(path.read_text(encoding="utf-8").replace(*mutant[1:3]), encoding="utf-8")


def stale(mutant: Mutant) -> bool:
    """Whether the code that the mutant edits is not there exactly once."""
    return (ROOT / "scoresde" / mutant[0]).read_text(encoding="utf-8").count(mutant[1]) != 1


def test_files(tests: str) -> list[str]:
    """The arguments of pytest for names of test files, perhaps with a selection."""
    names, _, selection = tests.partition(" -k ")
    found = [str(next((ROOT / "tests").rglob(f"test_{name}.py")).relative_to(ROOT)) for name in names.split()]
    return found + (["-k", selection.strip("'")] if selection else [])


def judge(tests: list[str], mutant: Mutant | None = None, patience: int | None = None) -> str:
    """What the tests, arguments of pytest, say of a mutant: the first that fails, or "" if none does.

    The patience is in seconds of processor time.
    """
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *tests]
    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder), mutant)
        limit = None if patience is None else lambda: resource.setrlimit(resource.RLIMIT_CPU, (patience, patience + 5))
        try:  # processor time, which a busy machine does not change; a test that sleeps for good ends by the clock
            done = subprocess.run(
                command,
                cwd=folder,
                capture_output=True,
                text=True,
                preexec_fn=limit,
                timeout=patience and min(50 * patience, 1800),
            )
        except subprocess.TimeoutExpired:
            return "sleeping"
    if done.returncode == 0:
        return ""
    if done.returncode == -signal.SIGXCPU:
        return f"running past {patience} s"
    failures = [line for line in done.stdout.splitlines() if line.startswith(("FAILED tests", "ERROR tests"))]
    first = failures[0] if failures else (done.stdout.strip().splitlines() or ["nothing that ran"])[-1]
    return first.split(" - ")[0].removeprefix("FAILED tests/")


def unchanged(tests: str) -> int:
    """The patience with mutants, in seconds, from a run of the tests on the unchanged package, which must pass."""
    began = time.perf_counter()
    if failure := judge(test_files(tests)):
        raise click.ClickException(f"the unchanged package fails {failure}, one of: {tests}")
    return max(60, int(PATIENCE * (time.perf_counter() - began)))


def hinted(table: Path) -> dict[str, str]:
    """The test that caught each fault in an earlier table, as far as it is still there and passes unchanged."""
    rows = re.findall(r"^\| [^|]* \| (.*?) \| `(.*?)`", table.read_text(encoding="utf-8"), re.M)
    where = {path.name: str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py")}
    named: dict[str, str] = {}
    for fault, test in rows:
        file, _, name = test.partition("::")
        if name and Path(file).name in where:
            named[fault] = f"{where[Path(file).name]}::{name}"
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder), None)
        run = functools.partial(subprocess.run, cwd=folder, capture_output=True, text=True)
        files_of = sorted({test.partition("::")[0] for test in named.values()})
        there = set(run([sys.executable, "-m", "pytest", "--collect-only", *options, *files_of]).stdout.splitlines())
        tests = sorted(there.intersection(named.values()))
        said = run([sys.executable, "-m", "pytest", *options, "-rp", *tests]).stdout
    passed = {line.removeprefix("PASSED ") for line in said.splitlines() if line.startswith("PASSED ")}
    return {fault: test for fault, test in named.items() if test in passed}


def stored(store: Path | None) -> dict[str, str | int]:
    """What an earlier run has found: the patience by tests, and what caught a mutant by its JSON."""
    lines = store.read_text(encoding="utf-8").splitlines() if store and store.exists() else []
    return {key: value for line in lines for key, value in json.loads(line).items()}


@click.command(help=__doc__)
@click.option("--out", type=click.Path(path_type=Path), help="Also write the table there.")
@click.option("--store", type=click.Path(path_type=Path), help="File of what has been judged, to go on from.")
@click.option("--jobs", default=2, show_default=True, help="Mutants at a time.")
@click.option("--hints", type=click.Path(path_type=Path, exists=True), help="An earlier table, whose tests come first.")
@click.option("--only", multiple=True, help="Only mutants of a file, or with a fault, of this name. Can be repeated.")
def main(out: Path | None, store: Path | None, jobs: int, hints: Path | None, only: tuple[str, ...]) -> None:
    mutants = [mutant for mutant in MUTANTS if not only or mutant[0] in only or mutant[3] in only]
    if old := [mutant for mutant in mutants if stale(mutant)]:
        raise click.ClickException("not once in its file: " + "; ".join(f"{m[0]}: {m[1]}" for m in old))
    lines = ["| file | what is wrong | caught by |", "|---|---|---|"]
    caught = 0
    known, lock = stored(store), threading.Lock()

    def remembered(key: str, work: Callable[[], str | int]) -> Any:
        if key not in known:
            value = work()
            with lock:
                known[key] = value
                if store:
                    with store.open("a", encoding="utf-8") as file:
                        file.write(json.dumps({key: value}) + "\n")
        return known[key]

    first = hinted(hints) if hints else {}
    one_at_a_time = {mutant[4]: threading.Lock() for mutant in mutants}

    def verdict(mutant: Mutant) -> str:
        if mutant[3] in first:
            failure = judge([first[mutant[3]]], mutant, HINT_PATIENCE)
            if "::" in failure:  # the test itself failed; anything else is left to the whole judgement
                return failure
        with one_at_a_time[mutant[4]]:
            patience = int(remembered(mutant[4], lambda: unchanged(mutant[4])))
        return judge(test_files(mutant[4]), mutant, patience)

    with ThreadPoolExecutor(jobs) as pool:
        found = pool.map(lambda m: remembered(json.dumps(m), lambda: verdict(m)), mutants)
        for mutant, failure in zip(mutants, found, strict=True):
            caught += bool(failure)
            lines.append(f"| {mutant[0]} | {mutant[3]} | {f'`{failure}`' if failure else '**nothing**'} |")
            click.echo(lines[-1])
    total = f"{caught} of {len(mutants)} seeded bugs caught; the unchanged package passes."
    click.echo(total)
    if out:
        environment = ", ".join(f"{name} {version}" for name, version in versions()["versions"].items())
        head = ["# Seeded bugs", total, f"`python benchmarks/mutants.py` with {environment}."]
        files.write_text(out, "\n\n".join([*head, "\n".join(lines)]) + "\n")


if __name__ == "__main__":
    main()
