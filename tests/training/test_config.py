"""Configurations: what comes with the package is valid, mistakes are all listed, and nothing is lost on the way."""

import tomllib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scoresde.core.errors import UsageError
from scoresde.core.options import Registry, describe_type, table
from scoresde.sde import VPSDE, sdes
from scoresde.solvers import solvers
from scoresde.training import config as configuration
from scoresde.training.recorded import recorded_config


@pytest.mark.parametrize("name", configuration.names())
def test_every_configuration_is_valid_and_survives_writing(name):
    chosen = configuration.load(name)
    again = configuration.parse(tomllib.loads(configuration.to_toml(chosen.tables())), "again")
    assert again == chosen


@pytest.mark.parametrize("name", configuration.names())
def test_every_configuration_says_its_command_and_passes_a_dry_run(name, run):
    """And its network can be built for its images, on torch's meta device, with what the training needs."""
    head = (configuration.folder() / f"{name}.toml").read_text().split("[data]")[0]
    assert f"scoresde train {name}" in head and max(map(len, head.splitlines())) <= 125
    assert run(f"train {name} --dry-run").startswith("[data]")
    chosen = configuration.load(name)
    shape = chosen.data.shape or (3, 256, 256)
    assert not configuration.contradictions(chosen, shape)
    with torch.device("meta"):
        net = chosen.network.build(shape)
    assert sum(p.numel() for p in net.parameters()) > 100_000


def test_every_mistake_is_listed_with_a_hint(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text(
        '[data]\nname = "digitz"\n[sde]\nname = "vp"\nbeta_max = 0.01\n[network]\nname = "unet"\nchanels = 8\n'
        'multipliers = []\n[train]\nbatch = 0\nlearning_rate = "fast"\nlabel = 4\nevaluate_metrics = 3\n[optimiser]\n'
    )
    with pytest.raises(UsageError) as caught:
        configuration.load(str(path))
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("9 mistakes in the configuration") and len(lines) == 10
    text = str(caught.value)
    assert "[data] no data set is called 'digitz'. Did you mean 'digits'?" in text
    assert "[sde] beta_max must be greater than beta_min = 0.1, got 0.01" in text
    assert "[network] chanels is not an option of unet. Did you mean 'channels'?" in text
    assert "[train] batch must be at least 1, got 0" in text
    assert "[train] learning_rate must be a number, got 'fast'" in text
    assert "[network] multipliers must have at least 1 value, got []" in text
    assert "[train] evaluate_metrics must be a list, got 3" in text
    assert "[train] label must be a Label, its table or its text, got 4" in text
    assert "[optimiser] is not a table of a configuration" in text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[data", "is not a configuration"),
        ("", "the data set has no name"),
        ("data = 3", r"\[data\] must be a table, got 3"),
        ('[data]\nname = "digits"\nsize = 8', "size is not an option of digits. It has none."),
    ],
)
def test_other_mistakes(tmp_path, content, message):
    path = tmp_path / "bad.toml"
    path.write_text(content)
    with pytest.raises(UsageError, match=message):
        configuration.load(str(path))


def test_overrides():
    chosen = configuration.load("digits", ["train.batch=64", "network.multipliers=[1, 2]", "sde.name=sub-vp"])
    assert (chosen.train.batch, chosen.network.multipliers, chosen.sde.name) == (64, (1, 2), "sub-vp")
    for bad in ("batch=64", "train.batch", "train.=3"):
        with pytest.raises(UsageError, match="must be written as table.key=value"):
            configuration.load("digits", [bad])
    with pytest.raises(UsageError, match=r"\[train\] must be a table, got 3"):
        configuration.override({"train": 3}, ["train.batch=64"])
    with pytest.raises(UsageError, match="no file, folder or configuration is called 'digit'. Did you mean 'digits'"):
        configuration.load("digit")


def test_what_looks_like_a_number_or_a_date_is_a_path_where_a_path_is_asked_for():
    for text in ("2024", "2024.10", "1e3", "true", "2024-10-01", "inf", "[1]"):
        for order in (["data.name=folder", f"data.path={text}"], [f"data.path={text}", "data.name=folder"]):
            assert configuration.load("digits", order).data.path == text
    assert configuration.load("digits", ["data.name=npz", 'data.path="a b.npz"']).data.path == "a b.npz"
    assert configuration.load("digits", ["train.wandb=2024"]).train.wandb == "2024"


PATHS = (
    "my 🐱 pictures",
    'quotes " and \\ backslashes',
    "tab\tand\x7fdelete",
    "日本",
    "line\nbreak",
    "é\u2028",
    "#x = 1",
)


@pytest.mark.parametrize("path", PATHS)
def test_any_path_survives_being_written(path):
    tables = {"data": {"name": "folder", "path": path}}
    assert tomllib.loads(configuration.to_toml(tables)) == tables


def test_a_name_that_no_text_can_hold_is_refused():
    with pytest.raises(UsageError, match="no UTF-8"):
        configuration.to_toml({"data": {"path": b"\xff.png".decode("utf-8", "surrogateescape")}})


@pytest.mark.parametrize("mark", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_files_of_other_editors_are_read(tmp_path, mark, newline):
    text = configuration.to_toml(configuration.load("digits").tables())
    (tmp_path / "config.toml").write_bytes(text.replace("\n", newline).encode(mark))
    assert configuration.load(str(tmp_path / "config.toml")) == configuration.load("digits")
    assert recorded_config(tmp_path) == configuration.load("digits")


@settings(max_examples=100, deadline=None, derandomize=True)
@given(low=st.floats(1e-3, 1.0), span=st.floats(2.8, 50.0))
def test_options_survive_a_table(low, span):
    sde = VPSDE(beta_min=low, beta_max=low + span)
    assert sdes.build(table(sde)) == sde
    text = configuration.to_toml({"sde": table(sde)})
    assert sdes.build(tomllib.loads(text)["sde"]) == sde


def test_registry_messages():
    with pytest.raises(UsageError, match="no solver is called 'eulr'. Did you mean 'euler'"):
        solvers["eulr"]
    with pytest.raises(UsageError, match="the solver has no name"):
        solvers.build({"steps": 3})
    with pytest.raises(UsageError, match="no thing is called 'x'. There are: ."):
        Registry("thing", "scoresde.core.errors")["x"]
    with pytest.raises(UsageError, match="tol must be a finite number, got nan"):
        solvers["dpm"](tol=float("nan"))
    with pytest.raises(UsageError, match="order of dpm must be 2 or 3, got 4"):
        solvers["dpm"](order=4)
    assert describe_type(float | None) == "float or none" and describe_type(tuple[int, ...]) == "list of int"


@pytest.mark.parametrize("shape", [(1, 64), (1, 8, 8, 8), (5,)])
def test_a_layout_of_images_is_refused_for_other_items(shape):
    """Torch refuses it for volumes with a traceback, and does nothing for series."""
    chosen = configuration.load("digits", ["train.channels_last=true"])
    (found,) = configuration.contradictions(chosen, shape)
    assert "layout of images" in found and str(shape) in found
    assert not configuration.contradictions(chosen, (1, 8, 8))
