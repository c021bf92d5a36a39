"""Milestones of denoising-diffusion-pytorch: what the original computes, what the file says, and what is refused."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from scoresde import models
from scoresde.core.errors import CheckpointError, UsageError
from scoresde.models.foreign import lucidrains
from scoresde.models.foreign.base import family_of
from scoresde.models.foreign.lucidrains import Lucidrains, objective_of, process
from scoresde.sde.chain import DDPM

GOLDEN = Path(__file__).parents[2] / "golden/foreign"
CASES = {"lucidrains-v-sigmoid": ("v", "chain"), "lucidrains-eps-cosine": ("eps", "ddpm")}


def imported(case, **options):
    return Lucidrains(image_size=16, **options).read(GOLDEN / case / "model-1.pt")


def relative(found, truth):
    """The largest error of each row over the row's largest value."""
    return ((found - truth).flatten(1).abs().amax(1) / truth.flatten(1).abs().amax(1)).max()


@pytest.mark.parametrize("case", CASES)
def test_it_computes_what_the_original_computes(case):
    assert family_of(GOLDEN / case / "model-1.pt") is Lucidrains
    found, truth = imported(case), load_file(GOLDEN / case / "golden.safetensors")
    model, x = found.model, truth["x"]
    assert (str(model.predicts), model.sde.name) == CASES[case] and model.shape == (3, 16, 16)
    t = model.sde.chain.times[truth["timestep"]]
    assert torch.allclose(model.time_input(t), truth["timestep"].double(), atol=1e-9)
    assert relative(model.output(x, t), truth["output"]) < 2e-5
    assert relative(model.eps(x, t), truth["eps"]) < 2e-5
    assert relative(model.denoise(x, t), truth["x0"]) < 2e-5
    # The stored score is -ε/√(1 - ᾱ) with ᾱ in float32, which has lost 2.7e-5 of √(1 - ᾱ) at the first row.
    noise = torch.load(GOLDEN / case / "model-1.pt", weights_only=True)["model"]["sqrt_one_minus_alphas_cumprod"]
    assert relative(model.score(x, t), -truth["eps"] / noise[truth["timestep"]][:, None, None, None]) < 2e-5
    assert relative(model.score(x, t), truth["score"]) < 4e-5


@pytest.mark.parametrize("case", CASES)
def test_averages_are_not_the_raw_weights(case):
    truth = load_file(GOLDEN / case / "golden.safetensors")
    raw = imported(case, weights="raw")
    t = raw.model.sde.chain.times[truth["timestep"]]
    assert raw.notes["weights"] == "raw"
    assert relative(raw.model.output(truth["x"], t), truth["output_of_raw_weights"]) < 2e-5
    assert relative(raw.model.output(truth["x"], t), truth["output"]) > 1e-3


def test_a_folder_of_it_is_the_same_to_the_bit(tmp_path):
    model = imported("lucidrains-v-sigmoid").model
    models.save(model, tmp_path / "m")
    again = models.load(tmp_path / "m")
    x, t = torch.randn(2, 3, 16, 16), torch.tensor([0.01, 0.7], dtype=torch.float64)
    assert again.sde == model.sde and torch.equal(again.eps(x, t), model.eps(x, t))


def linear(steps):
    """ᾱ of linear β, (steps,)."""
    return torch.cumprod(1 - torch.linspace(0.1 / steps, 20 / steps, steps, dtype=torch.float64), 0)


def buffers(alphas_cumprod, **more):
    noise = (1 - alphas_cumprod).sqrt()
    return {"alphas_cumprod": alphas_cumprod.float(), "sqrt_one_minus_alphas_cumprod": noise.float(), **more}


def test_a_chain_is_named_where_it_has_a_formula():
    for steps in (250, 1000):
        found = process(buffers(linear(steps)))
        assert found == DDPM(steps=steps)
    given = buffers(linear(1000) ** 1.01)
    found = process(given)
    assert found.name == "chain" and torch.allclose(found.chain.alphas_cumprod.float(), given["alphas_cumprod"])


@pytest.mark.parametrize("gamma", [torch.inf, 5.0, 0.3])
def test_the_objective_is_read_from_the_weights_of_the_loss(gamma):
    ratio = linear(1000)
    ratio = ratio / (1 - ratio)
    least = ratio.clamp_max(gamma)
    for objective, weight in {"pred_noise": least / ratio, "pred_x0": least, "pred_v": least / (ratio + 1)}.items():
        assert objective_of(buffers(linear(1000), loss_weight=weight.float())) == objective
    assert objective_of(buffers(linear(1000), loss_weight=ratio.float() ** 0.5)) is None
    assert objective_of(buffers(linear(1000))) is None


def written(folder, **changes):
    """A milestone with other entries; None takes one out."""
    found = torch.load(GOLDEN / "lucidrains-v-sigmoid/model-1.pt", weights_only=True)
    for key, value in changes.items():
        part, _, name = key.partition("/")
        if value is None:
            del found[part][name]
        elif name:
            found[part][name] = value
        else:
            found[part] = value
    torch.save(found, folder / "model-2.pt")
    return folder / "model-2.pt"


AVERAGE = "ema/ema_model.model."


@pytest.mark.parametrize(
    "changes, options, error, reason",
    [
        ({}, {"image_size": None}, UsageError, "give image_size"),
        ({}, {"image_size": 15}, UsageError, "sides that 2 divides"),
        ({}, {"objective": "pred_noise"}, UsageError, "are those of pred_v, not of pred_noise"),
        ({"model/loss_weight": None}, {}, UsageError, "give objective, pred_noise or pred_x0 or pred_v"),
        ({"model/alphas_cumprod": None}, {}, CheckpointError, "no alphas_cumprod"),
        ({"ema": {}}, {}, CheckpointError, "has no averages"),
        ({AVERAGE + "final_conv.bias": None}, {}, CheckpointError, "final_conv.bias is missing"),
        ({AVERAGE + "final_conv.weight": None}, {}, CheckpointError, "lacks weights of the Unet"),
        ({AVERAGE + "time_mlp.0.weights": torch.ones(8)}, {}, UsageError, "of another Unet"),
        ({AVERAGE + "extra": torch.ones(8)}, {}, CheckpointError, "extra is unknown"),
        ({}, {"channels": 1}, UsageError, "from 3 to 3 channels, which 1 do not fit"),
    ],
)
def test_what_it_refuses(tmp_path, changes, options, error, reason):
    with pytest.raises(error, match=reason):
        Lucidrains(**{"image_size": 16, **options}).read(written(tmp_path, **changes))


@pytest.mark.parametrize("bad", [None, 3, "x", [], torch.tensor(1.0), torch.zeros(0), torch.zeros(1, 1, 1, 1, 1, 1)])
def test_a_damaged_entry_is_an_error_of_ours(bad, tmp_path, monkeypatch):
    whole = torch.load(GOLDEN / "lucidrains-v-sigmoid/model-1.pt", weights_only=True)
    names = ["model", "ema", "model/alphas_cumprod", "model/sqrt_one_minus_alphas_cumprod"]
    names += [
        AVERAGE + name for name in ("time_mlp.1.weight", "downs.0.2.mem_kv", "downs.0.3.1.weight", "ups.0.2.norm.g")
    ]
    for name in names:
        part, _, key = name.partition("/")
        changed = {**whole, part: {**whole[part], key: bad} if key else bad}
        monkeypatch.setattr(lucidrains, "read_weights", lambda _, found=changed: found)
        with pytest.raises((UsageError, CheckpointError)):
            Lucidrains(image_size=16).read(tmp_path)


def test_an_objective_that_the_file_does_not_say_is_taken_from_the_option(tmp_path):
    source = written(tmp_path, **{"model/loss_weight": None})
    assert str(Lucidrains(image_size=16, objective="pred_x0").read(source).model.predicts) == "x0"


def test_channels_that_are_not_clear_are_asked_for(tmp_path):
    double = torch.zeros(8, 6, 7, 7)
    more = {"final_conv.weight": torch.ones(6, 8, 1, 1), "final_conv.bias": torch.ones(6), "init_conv.weight": double}
    source = written(tmp_path, **{AVERAGE + name: tensor for name, tensor in more.items()})
    with pytest.raises(UsageError, match="give channels, 6 or 3"):
        Lucidrains(image_size=16).read(source)
    plain = Lucidrains(image_size=16, channels=6).read(source).model
    assert plain.shape == (6, 16, 16) and not plain.options.learned_variance
    both = Lucidrains(image_size=16, channels=3).read(source)
    assert both.model.options.self_condition and both.model.options.learned_variance and both.notes["self_condition"]
    assert str(both.model.predicts) == "eps"  # whatever the objective, the original trains it on the noise


def test_nothing_that_runs_code_is_read(tmp_path):
    torch.save({"model": torch.nn.Linear(2, 2)}, tmp_path / "model-1.pt")
    with pytest.raises(CheckpointError, match="more than tensors and plain values"):
        Lucidrains(image_size=16).read(tmp_path / "model-1.pt")
