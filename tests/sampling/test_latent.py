"""Latent codes: against the exact flow of a Gaussian, there and back on the bundled model, and along the sphere."""

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image

from scoresde import models
from scoresde.core.errors import UsageError
from scoresde.core.random import stream
from scoresde.data import data
from scoresde.sampling.latent import decode, encode, slerp
from scoresde.solvers import solvers


@pytest.mark.parametrize("name", ["rk45", "adams", "dpm", "eab"])
def test_codes_are_those_of_the_exact_flow(name, gaussian):
    x = gaussian.draw(6, stream(0, "x"), t=gaussian.sde.t_min)
    solver = solvers[name](**({"steps": 400} if name == "eab" else {"tol": 1e-6, "atol": 1e-6}))
    codes = encode(gaussian, solver, x)
    assert (codes.x - gaussian.flow(x, gaussian.sde.t_min, 1.0)).abs().max() < 2e-5
    back = decode(gaussian, solver, codes.x)
    assert (back.x - x).abs().max() < 2e-5
    assert codes.nfe > 0 and back.nfe > 0


def test_the_bundled_model_returns_an_image():
    """At a loose tolerance; the tight one is below."""
    model = models.load("digits")
    x = data["digits"]().load("test").scaled(slice(0, 2))
    solver = solvers["adams"](tol=1e-3)
    assert (decode(model, solver, encode(model, solver, x).x).x - x).square().mean().sqrt() < 2e-2


@pytest.mark.slow
def test_the_way_there_and_back_at_tol_1e_5_is_off_by_less_than_1e_3():
    model = models.load("digits")
    x = data["digits"]().load("test").scaled(slice(0, 8))
    solver = solvers["adams"](tol=1e-5)
    assert (decode(model, solver, encode(model, solver, x).x).x - x).square().mean().sqrt() < 1e-3


def test_what_has_no_way_back_is_refused(gaussian):
    x = gaussian.draw(2, stream(0, "x"))
    with pytest.raises(UsageError, match="em adds noise"):
        encode(gaussian, solvers["em"](), x)
    with pytest.raises(UsageError, match="em adds noise"):
        decode(gaussian, solvers["em"](), x)
    with pytest.raises(UsageError, match=r"shape \(B, 3\), got \(2, 2\)"):
        encode(gaussian, solvers["rk45"](), x[:, :2])


def test_slerp_goes_at_even_speed_along_the_circle():
    """Between orthogonal unit vectors it is (cos, sin); ends and lengths are kept in any dimension."""
    a, b = torch.tensor([[1.0, 0.0]]).double(), torch.tensor([[0.0, 1.0]]).double()
    for share in (0.0, 0.1, 0.5, 1.0):
        angle = share * math.pi / 2
        expected = torch.tensor([[math.cos(angle), math.sin(angle)]]).double()
        assert torch.allclose(slerp(a, b, share), expected, atol=1e-14)
    u, v = (z / z.flatten(1).norm(dim=1)[:, None, None] for z in torch.randn(2, 5, 3, 4, generator=stream(0)).double())
    assert torch.allclose(slerp(u, v, 0.0), u) and torch.allclose(slerp(u, v, 1.0), v)
    assert torch.allclose(slerp(u, v, 0.3).flatten(1).norm(dim=1), torch.ones(5).double(), atol=1e-12)


def test_slerp_of_parallel_codes_is_the_straight_line():
    a = torch.tensor([[1.0, 2.0]])
    assert torch.allclose(slerp(a, 3 * a, 0.5), 2 * a)
    assert torch.allclose(slerp(a, a, 0.25), a)


def test_encode_writes_codes_a_sheet_and_the_error(run, tmp_path):
    said = run("encode -n 2 --tol 1e-2 --out out --quiet")
    assert "2 images by adams:tol=0.01:" in said and "root mean square off" in said
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "codes.safetensors",
        "encode.json",
        "sheet.png",
    ]
    written = json.loads((tmp_path / "out/encode.json").read_text())
    assert len(written["rms_of_each"]) == 2 and written["rms"] < 0.2 and written["nfe"]["encode"] > 5


def test_interpolate_draws_pairs(run, tmp_path):
    said = run("interpolate -n 2 --frames 3 --solver eab --steps 20 --out out --quiet")
    assert "2 ways of 3 images" in said
    with Image.open(tmp_path / "out/way.gif") as way:
        assert way.n_frames == 3


@pytest.mark.parametrize(("count", "code", "said"), [(2, 3, "one image is held out for few"), (6, 0, "1 way of 2")])
def test_images_without_another_have_no_way(run, tmp_path, count, code, said):
    np.save("few.npy", np.random.default_rng(0).integers(0, 256, (count, 8, 8), np.uint8))
    recipe = {"data": {"name": "npz", "path": "few.npy", "held_out": 0.5}}
    models.save(models.load("digits"), tmp_path / "few", {"recipe": recipe})
    assert said in run("interpolate --model few --frames 2 --solver eab --steps 2 --out out --quiet", code)


def test_pictures_of_the_user_are_encoded(run, tmp_path):
    for name, grey in (("a.png", 30), ("b.png", 220)):
        Image.new("RGB", (20, 16), (grey, grey, grey)).save(tmp_path / name)
    run("interpolate a.png b.png --frames 2 --solver eab --steps 3 --out out --quiet")
    assert json.loads((tmp_path / "out/interpolate.json").read_text())["pictures"] == ["a.png", "b.png"]


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("encode missing.png", 3, "missing.png cannot be opened: No such file"),
        ("encode --solver em", 2, "em adds noise"),
        ("encode --solver rk45 --steps 3", 2, "--steps is not an option of rk45"),
        ("interpolate a.png", 2, "in pairs, got 1"),
        ("encode --model nothing", 2, "no model folder or bundled model"),
    ],
)
def test_bad_input_is_one_sentence(run, tmp_path, line, code, message):
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    assert message in run(line, code)
