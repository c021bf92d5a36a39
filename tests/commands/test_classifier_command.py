"""`scoresde classifier`, and samples that it guides: from the command line and from Python the same."""

import json

import pytest
import torch
from click.testing import CliRunner

import scoresde
from scoresde.cli import scoresde as command
from scoresde.core.errors import DataError, UsageError
from scoresde.models.classifier import ClassifierGuidedModel


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("classifiers")
    said = run(f"classifier digits --images 300 --out {place}/digits --quiet")
    assert "time accuracy cross_entropy 0.001" in said and f"a classifier of 10 classes, in {place}/digits" in said
    return place / "digits"


def run(line, code=0):
    result = CliRunner().invoke(command, line.split(), prog_name="scoresde")
    assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
    return " ".join(result.output.split())


def test_its_folder_says_how_it_was_made(folder):
    config = json.loads((folder / "config.json").read_text())
    recipe, rows = config["recipe"], config["accuracy"]
    assert recipe["data"] == {"name": "digits"} and (recipe["train"], recipe["test"]) == (1500, 297)
    assert recipe["images"] == 300 and recipe["model"]["name"] == "digits" and "torch" in recipe["versions"]
    assert [row["time"] for row in rows] == [0.001, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0]
    assert all(round(297 * row["accuracy"]) / 297 == row["accuracy"] for row in rows)
    assert scoresde.load_classifier(folder, "cpu").held_out == rows


def test_samples_of_the_command_are_those_of_python(folder, tmp_path):
    line = f"sample --classifier {folder} --class 3,5 --guidance 2 -n 5 --batch 2 --solver euler --steps 4 --quiet"
    run(f"{line} --out {tmp_path}/out")
    record = json.loads((tmp_path / "out" / "samples.json").read_text())
    made = scoresde.load_classifier(folder, "cpu")
    assert record["classes"] == [3, 5, 3, 5, 3] and record["guidance"] == 2
    assert record["classifier"] == {"name": "digits", "sha256": made.sha256}
    by_hand = ClassifierGuidedModel(scoresde.load("digits", "cpu"), made, 2.0, [3, 5, 3, 5, 3])
    wanted = scoresde.sample(by_hand, "euler", n=5, steps=4)
    found = scoresde.sample("digits", "euler", n=5, steps=4, classes="3,5".split(","), guidance=2, classifier=folder)
    assert torch.equal(found.x, wanted.x)
    assert not torch.equal(found.x, scoresde.sample("digits", "euler", n=5, steps=4).x)
    found.save(tmp_path / "python")
    images = sorted((tmp_path / "out").glob("*[0-9].png"))
    assert len(images) == 5
    assert all(path.read_bytes() == (tmp_path / "python" / path.name).read_bytes() for path in images)


def test_it_guides_inside_a_condition(folder):
    """What is known stays as it is, and the class changes the rest."""
    top = torch.zeros(8, 8)
    top[:4] = 1
    model = scoresde.condition("digits", top, scoresde.sample("digits", "euler", n=1, steps=4).x, "replace")
    plain = scoresde.sample(model, "euler", n=2, steps=4).x
    drawn = scoresde.sample(model, "euler", n=2, steps=4, classes=[1, 2], guidance=30, classifier=folder).x
    assert torch.equal(drawn[:, :, :4], plain[:, :, :4]) and not torch.equal(drawn, plain)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("sample --classifier FOLDER", "--classifier needs --class"),
        ("sample --classifier FOLDER --class 10", "from 0 to 9, one per sample, got"),
        ("sample --classifier FOLDER --class shoe", "have no names"),
        ("sample --classifier FOLDER --class 3 --guidance -1", "at least 0, got -1.0"),
        ("sample --classifier FOLDER --class 3 --guidance-interval 0.5,0.2", "rises from a time to a later one"),
        ("sample --classifier none --class 3", "there is no folder none"),
        ("sample --model fashion --classifier FOLDER --class 3", "samples of shape (1, 8, 8), and the model has"),
        ("classifier digits --out FOLDER", "already holds a classifier or a model: choose another folder"),
        ("classifier photos", "two classes or more"),
        ("classifier digits --data photos:size=8", "pictures of shape (3, 8, 8): name others (--data)"),
        ("classifier fashion --data digits", "pictures of shape (1, 8, 8): name others (--data)"),
        ("classifier digits --data digit", "Did you mean 'digits'"),
        ("classifier digits --batch 1", "batch must be at least 2, got 1"),
    ],
)
def test_what_does_not_go_together_is_said_in_a_sentence(line, message, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = 3 if "two classes" in message or "name others" in message else 2
    before = (folder / "config.json").read_bytes()
    said = run(line.replace("FOLDER", str(folder)) + " --quiet", code)
    assert message in said and said.count("Error") == 1
    assert not list(tmp_path.iterdir()) and (folder / "config.json").read_bytes() == before


def test_what_python_refuses(folder):
    with pytest.raises(UsageError, match="a classifier needs classes"):
        scoresde.sample("digits", classifier=folder)
    with pytest.raises(UsageError, match="name a data set or files"):
        scoresde.fit_classifier(scoresde.GaussianModel(torch.zeros(2), torch.eye(2), scoresde.VPSDE()), folder / "x")
    with pytest.raises(DataError, match="held-out data go from 0 to 2"):  # and not after the training
        sets = tuple(scoresde.Tensors(torch.eye(3)[:, :2], torch.arange(3) % k) for k in (2, 3))
        scoresde.fit_classifier(scoresde.GaussianModel(torch.zeros(2), torch.eye(2), "vp"), folder / "x", sets)
