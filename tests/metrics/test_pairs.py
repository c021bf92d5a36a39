"""PSNR and SSIM of pictures beside their originals. Truth: scikit-image 0.26's values of the same arrays."""

import math

import numpy as np
import pytest
import torch

from scoresde.core.errors import UsageError
from scoresde.metrics.pairs import MARK, beside, psnr, ssim

# peak_signal_noise_ratio(y, x, data_range=255) and structural_similarity(x, y, channel_axis=0, data_range=255,
# gaussian_weights=True, sigma=1.5, use_sample_covariance=False) for each pair of pictures
PEERS = {
    "noise": [(7.533456064490849, -0.029194302856819596), (7.737955584236173, 0.062869625174943)],
    "waves": [(26.494203925149897, 0.7651005878582214), (13.658405434840164, 0.2968944590246742)],
}


def pictures(name):
    rng = np.random.default_rng(3)
    if name == "noise":
        return [rng.integers(0, 256, (2, 3, 17, 23), dtype=np.uint8) for _ in range(2)]
    rows, columns = np.mgrid[:32, :32]
    base = 128 + 90 * np.sin(rows / 5) * np.cos(columns / 7)
    pair = np.stack([base, base[::-1], base.T])[None].clip(0, 255).astype(np.uint8)
    off = (pair + rng.normal(0, 12, pair.shape)).clip(0, 255).astype(np.uint8)
    return np.concatenate([pair, pair[:, :1].repeat(3, 1)]), np.concatenate([off, pair // 2 + 40])


@pytest.mark.parametrize("name", PEERS)
def test_they_are_those_of_scikit_image(name):
    a, b = map(torch.from_numpy, pictures(name))
    for found, peers in ((psnr(a, b), [p for p, _ in PEERS[name]]), (ssim(a, b), [s for _, s in PEERS[name]])):
        assert found.tolist() == pytest.approx(peers, rel=1e-9)


def test_an_equal_picture_has_the_largest_finite_value():
    a = torch.from_numpy(pictures("noise")[0])
    assert ssim(a, a).tolist() == pytest.approx([1, 1], abs=1e-12)
    assert psnr(a, a).tolist() == pytest.approx([10 * math.log10(255**2 * 3 * 17 * 23)] * 2)
    near = a.clone()
    near[0, 0, 0, 0] ^= 1
    assert float(psnr(near, a)[0]) == pytest.approx(float(psnr(a, a)[0]))


def test_what_cannot_be_compared_is_refused():
    small = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    with pytest.raises(UsageError, match=r"SSIM needs pictures of at least 11 rows and columns, got \(8, 8\)"):
        ssim(small, small)
    for other in (small.float(), small[:, :, 1:], small[0]):
        with pytest.raises(UsageError, match="are compared as bytes of one shape"):
            psnr(small, other)


def test_the_means_say_that_they_rank_nothing():
    a, b = map(torch.from_numpy, pictures("waves"))
    found = beside(a, b)
    assert [e.name for e in found] == ["PSNR", "SSIM"] and all(e.marks == (MARK,) and e.floor is None for e in found)
    assert found[1].value == pytest.approx(sum(s for _, s in PEERS["waves"]) / 2)
    assert [e.name for e in beside(a[..., :8], b[..., :8])] == ["PSNR"]
