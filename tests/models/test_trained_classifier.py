"""The folder of a classifier of noisy data, what it fits, and when its scale holds."""

import json
import shutil

import pytest
import torch

import scoresde
from scoresde.api.guidance import guided
from scoresde.core.errors import CheckpointError, UsageError
from scoresde.core.random import generators, randn, seed_global
from scoresde.core.units import Units
from scoresde.metrics import extractors
from scoresde.models.classes import class_numbers
from scoresde.models.classifier import ClassifierGuidedModel
from scoresde.models.guided import GuidedModel
from scoresde.models.network import NetworkModel
from scoresde.models.trained_classifier import Classifier, load, save
from scoresde.networks.guided_classifier import ClassifierOptions
from scoresde.sde import VESDE, VPSDE

SHAPE, NAMES = (1, 4, 4), ("shirt", "sneaker", "sandal")
OPTIONS = ClassifierOptions(classes=3, channels=32, multipliers=(1,), blocks=1, attention=(), head_channels=32)


def made(sde=None, names=NAMES, units=None):
    seed_global(0)
    return Classifier(OPTIONS, sde or VPSDE(), SHAPE, names, units).eval().requires_grad_(False)


def normal(sde=None, shape=SHAPE):
    return scoresde.GaussianModel(torch.zeros(shape), torch.ones(shape), sde or VPSDE())


class Own(torch.nn.Module):
    """A network that is told a class, or none, and says it."""

    def forward(self, x, label, classes=None):
        return x if classes is None else x + classes.reshape(-1, 1, 1, 1)


def knowing(classes, names, null=True):
    model = NetworkModel(Own(), VPSDE(), SHAPE, classes=classes, class_names=names)
    model.null_class = null
    return model


@pytest.mark.parametrize("units", [None, Units(torch.full((1, 1, 1), 2.0), torch.full((1, 1, 1), 0.1))])
def test_a_folder_gives_the_same_classifier(tmp_path, units):
    one, x, t = made(VESDE(sigma_max=5), units=units), randn((5, *SHAPE), generators(range(5))), torch.linspace(0, 1, 5)
    save(one, tmp_path / "c", {"recipe": {}})
    before = torch.get_rng_state()
    again = load(tmp_path / "c")
    assert torch.equal(torch.get_rng_state(), before)  # the caller's own random numbers do not depend on it
    assert torch.equal(again(x, t.double()), one(x, t.double())) and not again.training
    assert again.sde == one.sde and again.class_names == NAMES and again.record == one.record
    assert again.record["name"] == "c" and len(again.record["sha256"]) == 64
    assert (again.units and again.units.lists()) == (units and units.lists())


def test_what_is_no_folder_of_one_is_said(tmp_path):
    save(made(), tmp_path / "c", {})
    for name, change, message in [
        ("flipped", lambda f: (f / "model.safetensors").write_bytes(b"x" * 900), "damaged: its sha256"),
        ("bare", lambda f: (f / "config.json").unlink(), "holds no config.json"),
        ("future", lambda f: edit(f, format=2), "not the folder of a classifier of noisy data of format 1"),
        ("wide", lambda f: edit(f, classifier={**OPTIONS.model_dump(), "classes": 4}), "classes have as many names"),
        ("vague", lambda f: edit(f, shape="round"), "does not describe a classifier"),
        ("other", lambda f: edit(f, class_names=[], classifier={**OPTIONS.model_dump(), "blocks": 2}), "does not fit"),
    ]:
        change(shutil.copytree(tmp_path / "c", tmp_path / name))
        with pytest.raises(CheckpointError, match=message):
            load(tmp_path / name)
    with pytest.raises(UsageError, match="there is no folder .*none"):
        load(tmp_path / "none")
    with pytest.raises(CheckpointError, match="not the folder of a classifier of noisy data"):
        load(scoresde.models.BUNDLED / "digits")
    with pytest.raises(CheckpointError):
        scoresde.load(tmp_path / "c")
    with pytest.raises(CheckpointError, match="not the folder of an extractor|does not describe an extractor"):
        extractors.load(tmp_path / "c")


def edit(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_it_guides_models_of_its_data_and_process_alone():
    for model, message in [
        (normal(shape=(1, 8, 8)), r"samples of shape \(1, 4, 4\), and the model has \(1, 8, 8\)"),
        (normal(VPSDE(beta_max=19)), "trained on the process .*20.*, and the model has .*19"),
        (normal(VESDE()), "trained on the process"),
    ]:
        with pytest.raises(UsageError, match=message):
            ClassifierGuidedModel(model, made(), 1.0, [0])
    with pytest.raises(UsageError, match="trained on the units .*, and the model has None"):
        ClassifierGuidedModel(normal(), made(units=Units(torch.zeros(1, 1, 1), torch.ones(1, 1, 1))), 1.0, [0])
    with pytest.raises(UsageError, match="from 0 to 2, one per sample, got"):
        ClassifierGuidedModel(normal(), made(), 1.0, [3])
    with pytest.raises(UsageError, match=r"takes samples \(C, H, W\), got \(2,\)"):
        Classifier(OPTIONS, VPSDE(), (2,))


def test_the_network_sees_a_state_of_deviation_1_and_the_share_of_the_process():
    """A process without shrinking at ten times the noise shows it what one of the same log-SNR shows."""
    seen, one = [], made(VESDE(sigma_max=10))
    one.net.register_forward_pre_hook(lambda net, given: seen.append(given))
    x0, z, t = torch.ones(2, *SHAPE), randn((2, *SHAPE), generators(range(2))), torch.tensor([0.25, 1.0]).double()
    sigma = one.sde.sigma(t).float().reshape(-1, 1, 1, 1)
    one(x0 + sigma * z, t)
    ((x, label),) = seen
    torch.testing.assert_close(x, (x0 + sigma * z) / (1 + sigma**2).sqrt())
    torch.testing.assert_close(label, torch.tensor([250.0, 1000.0]))


@pytest.mark.parametrize("interval", [None, (0.2, 0.5)])
def test_the_scale_holds_between_two_times(interval):
    x, t = randn((3, *SHAPE), generators(range(3))).double(), torch.tensor([0.1, 0.4, 0.9]).double()
    scaled = ClassifierGuidedModel(normal(), made(), 3.0, [0, 1, 2], interval=interval).eps(x, t)
    plain = ClassifierGuidedModel(normal(), made(), 1.0, [0, 1, 2]).eps(x, t)
    scales = torch.tensor([3.0, 3.0, 3.0] if interval is None else [1.0, 3.0, 1.0]).reshape(-1, 1, 1, 1)
    free = normal().eps(x, t)
    torch.testing.assert_close(scaled - free, scales * (plain - free), rtol=1e-5, atol=1e-7)
    assert float((plain - free).abs().max()) > 1e-3


class Long(VESDE):
    """A process whose time is not a share of it."""

    @property
    def t_max(self):
        return 80.0


@pytest.mark.parametrize("t", [0.5, 60.0])
def test_without_an_interval_guidance_holds_at_all_times_of_any_process(t):
    model = NetworkModel(Own(), Long(), SHAPE, classes=3)
    x, times = torch.ones(1, *SHAPE), torch.full((1,), t, dtype=torch.float64)
    found = GuidedModel(model, [1], scale=2.0).eps(x, times)
    torch.testing.assert_close(found, x + 1 + (1 - 3))  # ε_c + (w - 1) (ε_c - ε_∅), the class 3 being none


def test_its_classes_have_names():
    assert class_numbers(made(), ["sneakers", 0, "2"]) == [1, 0, 2] and set(class_numbers(made(), ["shoe"])) == {1, 2}
    with pytest.raises(UsageError, match="no class is called 'hat'"):
        class_numbers(made(), ["hat"])
    with pytest.raises(UsageError, match="have no names"):
        class_numbers(made(names=()), ["shirt"])


def test_a_network_that_cannot_do_without_a_class_is_told_it():
    x, t, labels = torch.ones(2, *SHAPE), torch.full((2,), 0.5).double(), [0, 2]
    shift = ClassifierGuidedModel(normal(), made(), 1.5, labels).eps(x, t) - normal().eps(x, t)
    for null, told in [(True, torch.zeros(2)), (False, torch.tensor(labels))]:
        found = guided(knowing(3, NAMES, null), labels, 1.5, None, made()).eps(x, t)
        torch.testing.assert_close(found, x + told.reshape(-1, 1, 1, 1) + shift)
    for other in (knowing(2, (), null=False), knowing(3, ("a", "b", "c"), null=False)):
        with pytest.raises(UsageError, match="give it a classifier of the same classes"):
            guided(other, labels, 1.0, None, made())
