"""Classes by name: what a word means, where names come from, and where they are kept."""

import json
import struct

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from tiny import tiny_model

import scoresde
from scoresde import models
from scoresde.api.guidance import labels
from scoresde.cli import scoresde as command
from scoresde.core.errors import UsageError
from scoresde.data.base import Images, data
from scoresde.models.classes import RELATED, class_numbers, lines, meant, names_of, related, same, split
from scoresde.training import config as configuration

FASHION = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
SHOES = ["Sandal", "Sneaker", "Ankle boot"]


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    """A folder of a model with three classes that have names."""
    folder = tmp_path_factory.mktemp("models") / "named"
    model = models.load(tiny_model(folder, classes=3))
    model.class_names = tuple(SHOES)
    models.save(model, folder)
    return folder


@pytest.mark.parametrize(
    ("text", "classes"),
    [
        *((name, [name]) for name in FASHION),
        *((name.upper(), [name]) for name in FASHION),
        ("sneakers", ["Sneaker"]),
        ("dresses", ["Dress"]),
        ("shoe", SHOES),
        ("Shoes", SHOES),
        ("ankle boots", ["Ankle boot"]),
        ("boots", ["Ankle boot"]),
        ("ankle", ["Ankle boot"]),
        ("running shoes", ["Sneaker"]),  # the longer phrase
        ("jumper", ["Pullover"]),
        ("a pair of jeans", ["Trouser"]),
        ("shirt", ["Shirt"]),  # not a T-shirt, which has it as a part
        ("t-shirts", ["T-shirt/top"]),
        ("tshirt", ["T-shirt/top"]),
        ("top", ["T-shirt/top"]),
        ("snea", ["Sneaker"]),
        ("shi", ["Shirt"]),
        ("draw me a red sneaker and a bag", ["Sneaker", "Bag"]),
        ("bag, bags", ["Bag"]),
        ("spaceship", []),
        ("draw me a", []),
        ("sn", []),
        ("", []),
        ("?!", []),
    ],
)
def test_a_text_means_classes(text, classes):
    assert [FASHION[number] for number in meant(text, FASHION)] == classes


def test_names_of_any_kind_are_found():
    assert meant("retriever", ["golden_retriever", "tench, Tinca tinca"]) == [0]
    assert meant("Tinca tinca", ["golden_retriever", "tench, Tinca tinca"]) == [1]
    assert meant("CAFE", ["Café", "Bar"]) == [0]
    assert meant("a", ["a", "b"]) == [0] and meant("a b c", ["a", "b"]) == []
    assert meant("lorry", ["ship", "truck"]) == [1]  # of the list of related words
    assert meant("zzz " * 10**5, FASHION) == []


@pytest.mark.parametrize(
    ("one", "many"),
    [("shoe", "shoes"), ("dress", "dresses"), ("horse", "horses"), ("pony", "ponies"), ("scarf", "scarves"),
     ("knife", "knives"), ("box", "boxes"), ("bus", "buses")],
)  # fmt: skip
def test_plurals_are_the_same_word(one, many):
    assert same(split(one), split(many)) and same(split(many), split(one))
    assert not same(split(one), split("gas"))


def test_words_are_related_in_both_directions():
    assert {"sneaker", "sandal", "ankle boot"} <= set(related("shoes"))
    assert "shoe" in related("sneaker") and "sandal" not in related("sneaker")
    assert {"pullover", "jumper"} <= set(related("sweater"))
    assert related("spaceship") == []


def test_the_list_of_related_words_is_well_formed():
    text = RELATED.read_text(encoding="utf-8")
    assert text.endswith("\n") and all(line.count(":") == 1 or line[0] == "#" for line in text.splitlines())
    names = [name for heads, _ in lines() for name in heads]
    assert len(names) == len(set(names)) and set(map(split, FASHION[1:])) <= set(names)
    for heads, others in lines():
        assert all((*heads, *others)) and len({*heads, *others}) == len(heads) + len(others)


def test_a_number_is_a_name_only_where_a_class_is_called_so():
    net = torch.nn.Identity()

    def numbers(*names):
        model = scoresde.NetworkModel(net, scoresde.VPSDE(), (4,), classes=3, class_names=names)
        return class_numbers(model, ["2", 2, " 1"])

    assert numbers() == [2, 2, 1]
    assert numbers("one", "three", "two") == [2, 2, 1]
    assert numbers("1", "2", "3") == [1, 2, 0]


def test_a_name_with_commas_is_one_name_on_the_command_line():
    """As those of ImageNet are: its parts are also words of other classes."""
    names = ["tench, Tinca tinca", "carp, tench", "Kirsche"]
    model = scoresde.NetworkModel(torch.nn.Identity(), scoresde.VPSDE(), (4,), classes=3, class_names=names)
    for text, classes in ((names[0], [0]), (f"{names[1]},Kirsche", [1, 2]), ("2,carp", [2, 1]), ("tench", [0, 1])):
        found = labels(model, text, len(classes), None, None)
        assert found is not None and found.classes == classes


def test_what_means_no_class_is_answered_with_the_names(named):
    model = models.load(named)
    with pytest.raises(UsageError, match="no class is called 'spaceship'. There are: Ankle boot, Sandal, Sneaker"):
        class_numbers(model, ["spaceship"])
    with pytest.raises(UsageError, match="Did you mean 'Sneaker'"):
        class_numbers(model, ["Snaeker"])
    nameless = scoresde.NetworkModel(torch.nn.Identity(), scoresde.VPSDE(), (4,), classes=3)
    with pytest.raises(UsageError, match="have no names: give whole numbers such as 3 or 0,1,2, got 'shoe'"):
        class_numbers(nameless, ["shoe"])
    for wrong in (SHOES[:2], [*SHOES[:2], "Sandal"], [*SHOES, "Bag"]):
        with pytest.raises(UsageError, match="3 classes have as many names, each another"):
            scoresde.NetworkModel(torch.nn.Identity(), scoresde.VPSDE(), (4,), classes=3, class_names=wrong)


def test_names_are_kept_with_the_model_and_seen_through_wrappers(named):
    assert json.loads((named / "config.json").read_text())["class_names"] == SHOES
    model = scoresde.load(named)
    assert names_of(model) == names_of(scoresde.ClippedModel(model)) == tuple(SHOES)
    assert names_of(scoresde.load("digits")) == ()
    assert "class_names" not in json.loads((models.locate("digits") / "config.json").read_text())


def test_samples_of_a_name_are_those_of_its_number(named):
    def drawn(classes):
        return scoresde.sample(str(named), "euler", n=3, steps=2, classes=classes, guidance=2.0).x

    for name, number in (("sneakers", 1), (["Ankle boot", 0], [2, 0]), ("shoe", [0, 1, 2]), (["sandal", "1"], [0, 1])):
        assert torch.equal(drawn(name), drawn(number))
    with pytest.raises(UsageError, match="this model knows no classes"):
        scoresde.sample("digits", n=1, classes="sneaker")


def test_the_command_takes_names(named, tmp_path):
    def run(classes, model=named):
        options = f"sample --model {model} --solver euler --steps 2 -n 4 --quiet".split()
        return CliRunner().invoke(command, [*options, "--class", classes, "--out", str(tmp_path / "out")])

    for asked, numbers in (("sneaker", [1] * 4), ("ankle boot,0", [2, 0, 2, 0]), ("shoe", [0, 1, 2, 0])):
        assert run(asked).exit_code == 0
        assert json.loads((tmp_path / "out/samples.json").read_text())["classes"] == numbers
    for asked, model, said in (
        ("sneaker,hat", named, "no class is called 'hat'. There are: Ankle boot, Sandal, Sneaker."),
        ("", named, "no class is called ''"),
        ("3", named, "classes are whole numbers from 0 to 2"),
        ("sneaker", "digits", "this model knows no classes"),
    ):
        found = run(asked, model)
        assert found.exit_code == 2 and said in found.output, found.output


def test_a_training_on_folders_keeps_their_names(tmp_path):
    for name in ("zebra", "ant"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for i in range(4):
            Image.new("L", (8, 8), 20 * i).save(tmp_path / "set" / name / f"{i}.png")
    images = data["folder"](path=str(tmp_path / "set"), size=8, channels=1, held_out=0).load("train")
    assert images.class_names == ("ant", "zebra") and images.drawn(3).class_names == ("ant", "zebra")
    unnamed = data["folder"](path=str(tmp_path / "set"), size=8, channels=1, held_out=0, labels=False).load("train")
    assert unnamed.class_names == () and unnamed.labels is None
    network = {"name": "unet", "channels": 4, "multipliers": [1], "blocks": 1, "attention": [], "group_channels": 4}
    for classes, names in ((2, ("ant", "zebra")), (3, ()), (0, ())):
        tables = {
            "data": {"name": "folder", "path": str(tmp_path / "set"), "size": 8, "channels": 1, "held_out": 0},
            "sde": {"name": "vp"},
            "network": {**network, "classes": classes},
            "train": {"images": 4, "batch": 4, "save_every": 4, "sample_every": 4},
        }
        config = configuration.parse(tables, "here")
        run = scoresde.fit(config, tmp_path / f"run{classes}", progress=False)
        assert run.model.class_names == scoresde.load(tmp_path / f"run{classes}").class_names == names


def test_names_given_in_python_are_kept():
    pixels, labels = torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.tensor([0, 1, 0, 1])
    assert Images(pixels, labels=labels, class_names=("a", "b")).stratified(2).class_names == ("a", "b")
    assert Images(pixels).class_names == scoresde.Tensors(torch.randn(3, 2)).class_names == ()


@pytest.mark.parametrize(("name", "first"), [("fashion-mnist", FASHION), ("mnist", ("zero", "one", "two"))])
def test_sets_that_are_downloaded_have_names(name, first, tmp_path):
    raw = tmp_path / data[name].home
    raw.mkdir(parents=True)
    for part in ("train", "t10k"):
        images = struct.pack(">IIII", 2051, 2, 28, 28) + bytes(2 * 784)
        (raw / f"{part}-images-idx3-ubyte").write_bytes(images)
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 2049, 2) + bytes([0, 1]))
    found = data[name](root=str(tmp_path), download=False).load("train")
    assert found.class_names[: len(first)] == first and len(found.class_names) == 10
    assert np.array_equal(found.labels, [0, 1])
