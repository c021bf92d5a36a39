"""Metrics against closed forms, NumPy, SciPy and torch-fidelity, and what they refuse."""

import json
import math
import subprocess
import sys
from unittest import mock

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import torch
from PIL import Image

from scoresde.core.errors import CheckpointError, DataError, NumericalError, ResourceError, UsageError
from scoresde.data import data
from scoresde.images.sheets import to_uint8
from scoresde.metrics import Estimate, Statistics, inception, metrics
from scoresde.metrics.features import extract
from scoresde.metrics.moments import chunks, moments
from scoresde.metrics.normal import factored, frechet
from scoresde.metrics.sliced import wasserstein

LOCAL = [name for name, cls in metrics.all().items() if "weights" not in cls.model_fields]
NETWORK = [name for name in metrics.all() if name not in LOCAL]


def normal(count, mean, sd, shape=(1, 2, 2), seed=0):
    """Images of independent normal pixels, rounded to 256 levels."""
    z = torch.randn(count, *shape, generator=torch.Generator().manual_seed(seed))
    return (mean + sd * z).round().clamp(0, 255).to(torch.uint8)


@pytest.fixture(scope="module")
def digits():
    return [to_uint8(data["digits"]().load(split).scaled()) for split in ("train", "test")]


# Frechet distances


def test_frechet_distance_of_normal_laws():
    """Closed form for commuting covariances at 200,000 draws; SciPy's root of a product for others; 0 from itself."""
    a = torch.randn(200_000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    b = a.flip(0) * torch.tensor([2.0, 0.5]) + torch.tensor([1.0, 0.0])
    first, second = moments(a), moments(b)
    # |m|² + Σ (s_i - 1)²: 1 + 1 + 0.25
    assert frechet(a, factored(second)) == pytest.approx(2.25, rel=0.01)
    assert frechet(b, factored(first)) == pytest.approx(frechet(a, factored(second)))
    assert abs(frechet(a, factored(first))) < 1e-9
    turned = moments(b @ torch.tensor([[0.8, -0.6], [0.6, 0.8]], dtype=torch.float64))
    gap = (turned.mu - first.mu).square().sum().item()
    root = scipy.linalg.sqrtm((first.sigma @ turned.sigma).numpy())
    truth = gap + np.trace(first.sigma + turned.sigma - 2 * torch.from_numpy(root.real))
    assert frechet(a, factored(turned)) == pytest.approx(float(truth), rel=1e-9)


@pytest.mark.parametrize("n", [300, 21, 20, 12])
def test_frechet_distance_is_torch_fidelitys(n):
    """With more images than features; with fewer the covariance is singular, and theirs loses half its digits."""
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    a, b = (torch.randn(300, 20, generator=torch.Generator().manual_seed(s), dtype=torch.float64) for s in (1, 2))
    a = a[:n]
    theirs = fid_statistics_to_metric(*map(fid_features_to_statistics, (a, b)), False)["frechet_inception_distance"]
    assert frechet(a, factored(moments(b))) == pytest.approx(theirs, rel=1e-9 if n > 20 else 1e-6)


def test_moments_are_numpys_in_parts():
    x = torch.randn(700, 5, generator=torch.Generator().manual_seed(0)) + 1000
    parts = list(chunks(x, 64))
    assert max(map(len, parts)) == 12 and torch.equal(torch.cat(parts), x.double())
    with mock.patch("scoresde.metrics.moments.chunks", lambda x: chunks(x, 64)):
        found = moments(x)
    assert np.allclose(found.mu, x.double().numpy().mean(0), rtol=1e-12)
    assert np.allclose(found.sigma, np.cov(x.double().numpy().T), rtol=1e-9)


def test_pixels_are_scaled_to_plus_minus_one():
    """A black and a white set differ by 2 in each pixel; a bright copy of a set by its shift."""
    x = normal(500, 100, 10)
    found = metrics["pixel-frechet"]().measure(x + 51, x)[0]
    assert found.name == "FD[pixels]" and found.value == pytest.approx(4 * (51 / 127.5) ** 2, rel=1e-5)


# kernel distances


def double_sum(x, y, kernel):
    """The unbiased estimate of Gretton et al., term by term."""
    n, m = len(x), len(y)
    xx = sum(kernel(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    yy = sum(kernel(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return xx + yy - 2 * sum(kernel(a, b) for a in x for b in y) / (n * m)


@pytest.mark.parametrize("name", ["kd", "mmd"])
def test_kernel_distances_are_double_sums(name):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(13, 3)), rng.normal(0.4, 2, size=(17, 3))
    width = 1.7 if name == "mmd" else 3.0
    kernels = {
        "kd": lambda a, b: (a @ b / 3 + 1) ** 3,
        "mmd": lambda a, b: np.exp(-((a - b) ** 2).sum() / (2 * width**2)),
    }
    metric = metrics[name](bandwidth=width) if name == "mmd" else metrics[name]()
    reference = metric.prepare(torch.from_numpy(y), 0)
    assert metric.values(torch.from_numpy(x), reference)[0] == pytest.approx(double_sum(x, y, kernels[name]), rel=1e-9)
    block = torch.arange(13) % 4
    left = [double_sum(x[block.numpy() != g], y, kernels[name]) for g in range(4)]
    assert np.allclose(np.array(metric.leave_out(torch.from_numpy(x), block, reference))[:, 0], left, rtol=1e-9)


def test_kernel_distance_is_torch_fidelitys():
    """Which, for one subset as large as the sets, is the same sum."""
    from torch_fidelity.metric_kid import kid_features_to_metric

    a, b = (torch.randn(80, 6, generator=torch.Generator().manual_seed(s), dtype=torch.float64) + s for s in (1, 2))
    theirs = kid_features_to_metric(a, b, kid_subsets=1, kid_subset_size=80, verbose=False)
    metric = metrics["kd"]()
    ours = metric.values(a, metric.prepare(b, 0))[0]
    assert ours == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-9)


def test_kernel_distances_have_no_bias():
    """The mean over 200 pairs of sets of one law is 0 within three standard errors, where sw is far above."""
    metric, sliced = metrics["mmd"](bandwidth=0.2), metrics["sw"](directions=8)
    found = {}
    for each in (metric, sliced):
        sets = [each.features(normal(30, 128, 20, seed=seed)) for seed in range(400)]
        pairs = zip(sets[::2], sets[1::2], strict=True)
        found[each.name] = np.array([each.values(x, each.prepare(y, 0))[0] for x, y in pairs])
    z = {name: values.mean() / (values.std() / 200**0.5) for name, values in found.items()}
    assert abs(z["mmd"]) < 3 and z["sw"] > 20


def test_the_median_is_the_default_bandwidth(digits):
    real = metrics["mmd"]().features(digits[0][:900])
    assert metrics["mmd"]().width(real) == pytest.approx(scipy.spatial.distance.pdist(real.double()).max(), rel=0.7)
    assert metrics["mmd"]().width(real) == pytest.approx(np.median(scipy.spatial.distance.pdist(real.double())))
    with pytest.raises(DataError, match="most real images are the same"):
        metrics["mmd"]().measure(digits[1], digits[0][:1].repeat(30, 1, 1, 1))


def test_large_sets_are_cut_and_say_so(digits):
    found = metrics["mmd"](most=50).measure(digits[1], digits[0])[0]
    assert found.n == 50 and found.marks[:2] == ("50 of 297 samples used", "50 of 1500 real images used")


# sliced Wasserstein


@pytest.mark.parametrize(("n", "m"), [(7, 7), (30, 12), (64, 1), (97, 89)])
def test_wasserstein_distance_is_scipys(n, m):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=n), rng.normal(0.5, 2, size=m)
    ours = wasserstein(torch.from_numpy(np.sort(x))[None], torch.from_numpy(np.sort(y))[None], 1)
    assert float(ours) == pytest.approx(scipy.stats.wasserstein_distance(x, y), rel=1e-12)


def test_sliced_wasserstein_of_normal_laws():
    """For N(m, s² I) and N(m', s'² I) in D dimensions it is (|m - m'|²/D + (s - s')²)^½."""
    metric = metrics["sw"](directions=1000)
    x, y = (metric.features(each) for each in (normal(1000, 110, 10, seed=1), normal(1900, 140, 30, seed=2)))
    assert metric.values(x, metric.prepare(y, 0))[0] == pytest.approx((30**2 + 20**2) ** 0.5 / 127.5, rel=0.02)
    assert metric.names(1000) == ("SW[pixels]",)


# intervals, floors, seeds


@pytest.mark.parametrize("name", ["pixel-frechet", "mmd", "sw"])
def test_intervals_cover(name):
    """95 % intervals hold the mean of the estimate, which they are about, in 95 % of 150 runs: at least in 91 %.

    They err on the wide side, but by less than a factor of 1.6.
    """
    metric = metrics[name](**({"bandwidth": 0.3} if name == "mmd" else {"directions": 8} if name == "sw" else {}))
    reference = normal(150, 128, 20, seed=1000)
    found = [metric.measure(normal(100, 138, 26, seed=seed), reference)[0] for seed in range(150)]
    values = np.array([estimate.value for estimate in found])
    assert np.mean([e.low <= values.mean() <= e.high for e in found]) >= 0.91
    assert np.mean([(e.high - e.low) / 2 for e in found]) < 1.6 * 1.96 * values.std()


def test_a_floor_is_what_real_images_reach():
    """The mean distance of 40 fresh sets of N from a set of M - N, within its noise; absent below M = 2 N."""
    metric, reference = metrics["pixel-frechet"](), normal(600, 128, 30, seed=1)
    samples = normal(100, 90, 30, seed=2)
    fresh = [metric.measure(normal(100, 128, 30, seed=s), reference[:500])[0].value for s in range(10, 50)]
    found = metric.measure(samples, reference)[0]
    assert found.floor == pytest.approx(np.mean(fresh), rel=0.3) and found.value > 10 * found.floor
    short = metric.measure(samples, reference[:199])[0]
    assert short.floor is None and "no floor: it takes 200 real images, there are 199" in short.marks


@pytest.mark.parametrize("name", LOCAL)
def test_every_metric_that_needs_no_download(name, digits):
    """Is at its floor for held-out digits, beyond it for noise, and a function of the images and the seed."""
    train, test = digits[0][:600], digits[1]
    metric = metrics[name]()
    noise = torch.randint(256, (120, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    good, bad = metric.measure(test[:120], train), metric.measure(noise, train)
    for one, other in zip(good, bad, strict=True):
        assert isinstance(one, Estimate) and one.low <= one.value <= one.high and one.n == 120 and not one.marks
        higher_is_worse = other.value > one.value
        beyond = other.low > 3 * one.high if higher_is_worse else other.high < 0.5 * one.low
        assert beyond and other.floor == one.floor
        wide = 3 * max(one.high - one.value, 0.01)
        assert abs(one.value - one.floor) < wide
    assert metric.measure(test[:120], train) == good != metric.measure(test[:120], train, seed=1)


def test_few_images_for_their_features_are_marked(digits):
    found = metrics["pixel-frechet"]().measure(digits[1][:64], digits[0][:60])[0]
    assert found.marks[1:] == (
        "N is not above the 64 features: the covariance is singular",
        "60 real images are not above the 64 features",
    )


# Inception by torch-fidelity


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of random Inception weights, whose maps are kept near unit size by the statistics of a batch."""
    from torch_fidelity import feature_extractor_inceptionv3 as module

    kind = module.FeatureExtractorInceptionV3
    torch.manual_seed(0)
    with mock.patch.object(kind, "load_state_dict"), mock.patch.object(module, "load_state_dict_from_url"):
        net = kind("inception-v3-compat", ["2048"])
    for part in net.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.train()
            part.momentum = 1.0
    with mock.patch.object(kind, "INPUT_IMAGE_SIZE", 139):
        net(torch.randint(256, (4, 3, 32, 32), dtype=torch.uint8))
    net.fc.weight.mul_(20)
    path = tmp_path_factory.mktemp("inception") / "weights.pth"
    torch.save(net.state_dict(), path)
    return path


@pytest.fixture
def small(monkeypatch):
    """Lets torch-fidelity's network work at 75x75, its smallest size, instead of 299x299, 16 times as fast."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    monkeypatch.setattr(FeatureExtractorInceptionV3, "INPUT_IMAGE_SIZE", 75)


class Bare(torch.utils.data.Dataset):
    """Images as torch-fidelity takes them: bare uint8 tensors."""

    def __init__(self, x):
        self.x = x

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i]


def test_the_whole_path_is_torch_fidelitys(weights, small):
    """FID, KID, IS, precision and recall from uint8 tensors: torch-fidelity's own results on the same images."""
    from torch_fidelity import calculate_metrics

    real = torch.randint(256, (24, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    samples = normal(24, 128, 30, (3, 8, 8))
    inputs = {"input1": Bare(samples), "input2": Bare(real), "feature_extractor": "inception-v3-compat"}
    theirs = calculate_metrics(
        **inputs,
        feature_extractor_weights_path=str(weights),
        fid=True,
        kid=True,
        isc=True,
        prc=True,
        kid_subsets=1,
        kid_subset_size=24,
        cuda=False,
        cache=False,
        save_cpu_ram=True,
        verbose=False,
    )
    before = torch.random.get_rng_state()
    found = [metrics[n](weights=str(weights)).measure(samples, real) for n in ("fid", "kid", "is", "prc")]
    ours = {estimate.name.split("[")[0]: estimate for part in found for estimate in part}
    assert torch.equal(before, torch.random.get_rng_state())
    assert ours["FD"].value == pytest.approx(theirs["frechet_inception_distance"], rel=1e-3)
    assert ours["KD"].value == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-5)
    assert ours["IS"].value == pytest.approx(theirs["inception_score_mean"], rel=1e-6) and ours["IS"].value > 1.0001
    assert ours["precision"].value == theirs["precision"] and ours["recall"].value == theirs["recall"]
    assert ours["FD"].low < ours["FD"].value < ours["FD"].high and ours["FD"].floor is None
    assert "N is not above the 2048 features: the covariance is singular" in ours["FD"].marks


def test_only_the_weights_of_fid_make_a_fid(weights, small, monkeypatch):
    metric = metrics["fid"](weights=str(weights))
    x = normal(4, 128, 30, (1, 8, 8))
    digest = metric.source().removeprefix("inception@")
    assert metric.measure(x, x)[0].name == f"FD[inception@{digest}]"
    monkeypatch.setattr(inception, "FILE", f"weights-{digest}.pth")
    found = metric.measure(x, x)[0]
    assert found.name == "FID-4" and "biased at N = 4: prefer kid below 10000" in found.marks
    assert metric.names(50_000) == ("FID",) and metrics["kid"](weights=str(weights)).names(9) == ("KID",)
    assert metrics["is"](weights=str(weights)).names(9) == ("IS-9",)
    assert metrics["prc"](weights=str(weights)).names(9) == ("precision", "recall")


def test_grey_is_repeated_and_no_result_is_stale(weights, small):
    """One pixel changed changes the features; the same images as colour give the same; other channels are refused."""
    metric = metrics["kid"](weights=str(weights))
    grey = normal(4, 128, 30, (1, 8, 8))
    first = metric.features(grey)
    assert torch.equal(first, metric.features(grey.repeat(1, 3, 1, 1)))
    changed = grey.clone()
    changed[0, 0, 0, 0] += 90
    assert not torch.equal(first[0], metric.features(changed)[0]) and torch.equal(first, metric.features(grey))
    with pytest.raises(DataError, match="takes images of 1 or 3 channels, got 2"):
        metric.check(20, (2, 8, 8), grey.repeat(6, 2, 1, 1))


@pytest.mark.parametrize("name", NETWORK)
def test_missing_weights_are_named_before_anything_is_done(name, digits, tmp_path, monkeypatch):
    """The file, the address and the option, with the network cut off."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.load_state_dict_from_url", mock.Mock(side_effect=AssertionError("downloads")))
    with pytest.raises(CheckpointError) as caught:
        metrics[name]().check(20, (1, 8, 8), digits[0])
    text = str(caught.value)
    assert str(tmp_path / "hub" / "checkpoints" / inception.FILE) in text and inception.URL in text
    assert "--weights" in text and "fd, kd, sw" in text


def test_bad_weights_are_refused(weights, digits, tmp_path):
    class Trap:
        def __reduce__(self):
            return exec, (f"open({str(tmp_path / 'ran')!r}, 'w')",)

    state = torch.load(weights, weights_only=True)
    files = {
        "garbage": (b"no weights", "cannot be read as Inception weights"),
        "pickle": ({"fc": Trap()}, "cannot be read as Inception weights"),
        "other": ({"fc": torch.zeros(3)}, "holds other weights than Inception's"),
        "nan": ({**state, "fc.bias": torch.full((1008,), torch.nan)}, "hold numbers that are not finite"),
    }
    for name, (content, message) in files.items():
        path = tmp_path / name
        path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
        with pytest.raises(CheckpointError, match=message):
            metrics["fid"](weights=str(path)).check(20, (1, 8, 8), digits[0])
    assert not (tmp_path / "ran").exists()


def test_the_network_is_imported_where_it_is_used():
    code = (
        "import sys, scoresde.metrics, scoresde.metrics.extractors\nscoresde.metrics.metrics.all()\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'torchvision', 'torch_fidelity', 'sklearn'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# features and statistics


def test_features_that_are_not_finite_are_refused():
    def network(x):
        return x.flatten(1).float().log()

    with pytest.raises(NumericalError, match="the features of image 3 by bad are not finite"):
        extract(torch.ones(5, 1, 2, 2, dtype=torch.uint8).index_fill(0, torch.tensor([3]), 0), "bad", network, batch=2)


@pytest.mark.parametrize("fits", [3, 1, 0])
def test_a_batch_beyond_the_memory_is_halved(fits):
    """Down to one image, with the same features of each image once; then it is an error of its own."""
    x, tried = normal(11, 128, 30, seed=fits), []

    def network(part):
        tried.append(len(part))
        if len(part) > fits:
            torch.empty(10**14)  # which no memory holds
        return part.flatten(1)

    if fits:
        assert torch.equal(extract(x, "tight", network, batch=8), x.flatten(1).float())
        assert tried[:4] == [8, 4, 2, 2] if fits == 3 else tried.count(1) == 11
    else:
        with pytest.raises(ResourceError, match="the memory of cpu does not hold one image in tight"):
            extract(x, "tight", network, batch=8)


def test_statistics_go_out_and_come_in(digits, tmp_path):
    """A file of ours, and one in the format of other codebases, give the distance that the images give."""
    train, test = digits
    for name in ("fd", "pixel-frechet"):
        metric = metrics[name]()
        path = tmp_path / f"{name}.npz"
        metric.statistics(metric.features(train)).save(path)
        loaded = Statistics.load(path)
        assert loaded.n == 1500 and loaded.source == metric.source()
        np.savez(tmp_path / "public.npz", mu=loaded.mu.numpy(), sigma=loaded.sigma.numpy(), other=np.arange(3))
        truth = metric.measure(test, train)[0]
        for file in (path, tmp_path / "public.npz"):
            found = metric.measure(test, Statistics.load(file))[0]
            assert found.value == pytest.approx(truth.value, rel=1e-9) and found.low == pytest.approx(truth.low)
            assert found.floor is None and found.marks == ("no floor: the statistics hold no images",)
    fd = Statistics.load(tmp_path / "fd.npz")
    with pytest.raises(
        DataError, match="the statistics are of 32 features of digits@.*, pixel-frechet has 64 of pixels"
    ):
        metrics["pixel-frechet"]().check(100, (1, 8, 8), fd)
    with pytest.raises(UsageError, match="sw needs the real images themselves"):
        metrics["sw"]().check(100, (1, 8, 8), fd)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (None, "cannot be read as a file of statistics"),
        ({"mu": np.zeros(3)}, "must hold the arrays mu and sigma, and holds mu"),
        ({"mu": np.zeros(3), "sigma": np.eye(2)}, r"must hold mu \(D,\) and sigma"),
        ({"mu": np.zeros(3, int), "sigma": np.eye(3)}, r"must hold mu \(D,\) and sigma"),
        ({"mu": np.full(3, np.nan), "sigma": np.eye(3)}, "not finite"),
        ({"mu": np.zeros(3), "sigma": np.tri(3)}, "is not symmetric"),
        ({"mu": np.zeros(3), "sigma": -np.eye(3)}, "is not symmetric with a diagonal of at least 0"),
    ],
)
def test_bad_statistics_are_refused(tmp_path, arrays, message):
    path = tmp_path / "a.npz"
    path.write_bytes(b"PK\x03\x04 cut") if arrays is None else np.savez(path, **arrays)
    with pytest.raises(DataError, match=message):
        Statistics.load(path)


@pytest.mark.parametrize(
    ("name", "n", "shape", "real", "error", "message"),
    [
        ("fd", 2, (1, 8, 8), (50, 1, 8, 8), UsageError, "fd needs at least 3 samples, got 2"),
        ("fd", 9, (1, 8, 8), (2, 1, 8, 8), DataError, "fd needs at least 3 real images, got 2"),
        ("sw", 9, (1, 8, 8), (50, 3, 8, 8), DataError, "samples of 1x8x8 cannot be compared with real images of 3x8x8"),
        ("fd", 9, (3, 8, 8), (50, 3, 8, 8), DataError, "the extractor digits takes images of 1x8x8, got 3x8x8"),
        ("domain-prc", 5, (1, 8, 8), (50, 1, 8, 8), UsageError, "domain-prc with 3 neighbours needs 6 samples"),
        ("is", 10, (1, 8, 8), (50, 1, 8, 8), UsageError, "is needs at least 11 samples, got 10"),
        ("pixel-frechet", 9, (3, 64, 64), (3, 3, 64, 64), ResourceError, "12288 features would need covariances of 1"),
    ],
)
def test_what_is_refused_before_sampling(name, n, shape, real, error, message):
    with pytest.raises(error, match=message):
        metrics[name]().check(n, shape, torch.zeros(real, dtype=torch.uint8))


@pytest.mark.parametrize("k", [3, 18, 37, 38, 57])
def test_as_many_samples_as_precision_needs_are_enough_without_a_block(k, digits):
    """The jackknife leaves a twentieth out, rounded up, and each of the others has k neighbours."""
    metric = metrics["domain-prc"](neighbours=k)
    needed = next(n for n in range(k + 3, 2 * k + 4) if n - math.ceil(n / 20) > k)
    real = torch.zeros(100, 1, 8, 8, dtype=torch.uint8)
    with pytest.raises(UsageError, match=f"with {k} neighbours needs {needed} samples"):
        metric.check(needed - 1, (1, 8, 8), real)
    assert len(metric.measure(digits[0][:needed], digits[0][100 : 100 + needed])) == 2


def test_images_must_be_bytes(digits):
    with pytest.raises(DataError, match=r"images must be \(N, C, H, W\) uint8, got \(9, 1, 8, 8\) of torch.float32"):
        metrics["sw"]().measure(digits[0][:9].float(), digits[0])
    with pytest.raises(DataError, match="uint8, got"):
        metrics["sw"]().check(9, (1, 8, 8), digits[0].float())


# the command


def test_the_command_measures_a_run_of_samples(run, tmp_path, digits):
    run("sample --solver euler --steps 4 -n 60 --out out --trajectory 2 --quiet")
    rows = json.loads(run("metrics out --data digits --metric fd,sw,domain-prc --json"))
    assert [row["metric"].split("[")[0] for row in rows] == ["FD", "SW", "precision", "recall"]
    with Image.open(tmp_path / "out" / "000007.png") as picture:
        one = torch.from_numpy(np.array(picture))
    x = torch.stack([torch.from_numpy(np.array(Image.open(p))) for p in sorted((tmp_path / "out").glob("0*.png"))])
    assert len(x) == 60 and torch.equal(x[7], one)
    truth = metrics["fd"]().measure(x[:, None], digits[0])[0]
    assert rows[0] == {
        "metric": truth.name,
        "value": truth.value,
        "low": truth.low,
        "high": truth.high,
        "floor": truth.floor,
        "N": 60,
        "marks": [],
    }
    text = run("metrics out --data digits --metric fd --save-statistics kept.npz")
    assert f"{truth.value:.4g}" in text and "floor" in text
    again = json.loads(run("metrics out --statistics kept.npz --metric fd --json"))[0]
    assert again["value"] == pytest.approx(truth.value) and again["floor"] is None


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("metrics nowhere --data digits", 3, "nowhere is not a folder"),
        ("metrics empty --data digits", 3, "empty holds no pictures"),
        ("metrics mixed --data digits", 3, "mixed/b.png is 9x8 L where a.png is 8x8 L: samples must have one size"),
        ("metrics deep --data digits", 3, "deep/a.png has the mode I;16: save the samples as grey or RGB of 8 bits"),
        ("metrics cut --data digits", 3, "cut/a.png cannot be read as a picture"),
        ("metrics good", 2, "give the real images by --data, or the statistics of their features by --statistics"),
        ("metrics good --data digits --statistics a.npz", 2, "give the real images by --data, or the statistics"),
        ("metrics good --data digits --metric fdd", 2, "no metric is called 'fdd'. Did you mean 'fd'?"),
        ("metrics good --data digits --metric ,", 2, "--metric must name at least one metric"),
        ("metrics good --data digits --metric sw --extractor digits", 2, "--extractor is not an option of sw"),
        ("metrics good --data digits --metric fd --extractor dogits", 2, "Did you mean 'digits'?"),
        ("metrics good --data digits --metric sw --directions 0", 2, "directions must be at least 1, got 0"),
        ("metrics good --data digits --metric sw --save-statistics a.npz", 2, "--save-statistics takes --data and one"),
        ("metrics good --statistics no.npz --metric fd", 3, "no.npz cannot be read as a file of statistics"),
        ("metrics good --data digits --metric fid --weights no.pth", 4, "there is no file of Inception weights no.pth"),
        ("metrics two --data digits --metric fd", 2, "fd needs at least 3 samples, got 2"),
        ("metrics good --data npz --path a.npy --metric sw", 3, "takes images of whole grey levels"),
    ],
)
def test_bad_input_is_one_clear_sentence(run, tmp_path, line, code, message):
    sizes = {"mixed": [(8, 8), (9, 8)], "good": [(8, 8)] * 3, "two": [(8, 8)] * 2, "deep": [(8, 8)], "empty": []}
    for folder, shapes in sizes.items():
        (tmp_path / folder).mkdir()
        for name, size in zip("abc", shapes, strict=False):
            Image.new("I;16" if folder == "deep" else "L", size).save(tmp_path / folder / f"{name}.png")
    np.save(tmp_path / "a.npy", np.arange(320.0).reshape(5, 1, 8, 8))  # which were compared in units of their own
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "a.png").write_bytes(b"\x89PNG cut")
    text = " ".join(run(line, code).split())
    assert message in text and "Traceback" not in text
