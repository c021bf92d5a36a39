"""colourise, inpaint and restore: what they read, what they keep, what they write, and what they refuse."""

import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import tiny_model

from scoresde.cli import COMMANDS
from scoresde.conditioners import conditioners
from scoresde.core import files
from scoresde.core.errors import DataError
from scoresde.core.random import generators, numpy_stream, randn, stream
from scoresde.images import pictures, sheets
from scoresde.models import load
from scoresde.observations import Luma, covariance
from scoresde.posterior import posteriors, store, tasks
from scoresde.sampling.sample import sample
from scoresde.solvers import solvers

QUICK = "--steps 3 -n 2 --quiet"


def noise(height, width, channels=3, seed=0):
    array = numpy_stream(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return Image.fromarray(array if channels > 1 else array[..., 0])


def pixels(path):
    with Image.open(path) as picture:
        return np.array(picture)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Three model folders with covariances: for colour, for grey, and one for colour whose samples stay in [-1, 1]."""
    home = tmp_path_factory.mktemp("models")
    for name, channels, predicts in (("1", 1, "eps"), ("3", 3, "eps"), ("tame", 3, "x0")):
        folder = Path(tiny_model(home / name, channels, predicts))
        smooth = torch.nn.functional.avg_pool2d(randn((200, channels, 10, 10), stream(0, "images")), 3, 1)
        found = [covariance.estimate(smooth, kind) for kind in ("channel", "dct")]
        store.save(folder, found, {"data": "smooth noise", "images": 200})
    return home


@pytest.fixture
def go(run, models):
    """Runs one of the commands with few steps, on the colour model unless another is named."""

    def call(line, code=0):
        line = line if "--model" in line else f"{line} --model {models / '3'}"
        return " ".join(run(f"{line} {QUICK}", code).split())

    return call


def test_the_american_spelling_is_the_same_command():
    assert COMMANDS["colorize"][0] == COMMANDS["colourise"][0]


def test_colourise_writes_samples_a_sheet_and_a_record(go, tmp_path, models):
    noise(8, 8).save(tmp_path / "a.png")
    said = go("colourise a.png --seed 5")
    assert "a.png: 8x8, reduced to its luma" in said
    assert "2 samples for each of 1 picture by covariance" in said and "4 NFE, 0 products" in said
    out = tmp_path / "colourise" / "a"
    assert sorted(p.name for p in out.iterdir()) == ["a-000005.png", "a-000006.png", "colourise.json", "sheet.png"]
    record = json.loads((out / "colourise.json").read_text())
    assert record["solver"]["name"] == "dpm++" and record["solver"]["steps"] == 3
    assert record["conditioner"]["name"] == "covariance" and record["seeds"] == [5, 6]
    assert record["model"]["sha256"] == files.read_json(models / "3" / "config.json")["sha256"]
    (row,) = record["pictures"]
    assert (row["nfe"], row["vjps"], row["cost"], row["work"]) == (4, 0, 4, 4)
    assert row["picture"] == "a.png" and row["observation"] == "luma"
    with Image.open(out / "sheet.png") as sheet:
        assert sheet.size == (6 * 260 + 4, 280)  # known, two samples, mean, spread, truth, each of 256 pixels


def test_colours_have_the_luma_of_the_picture_and_are_those_of_python(go, tmp_path, models):
    """The same pixels as by the library's own calls, with Pillow's grey as y; and the luma, to four levels.

    At the end of the process σ²/α² is 1e-4, so that (with a rounding of variance 5e-6) a tenth is left of what the
    network, to which all is a middle grey, would have otherwise: of at most 32 levels.
    """
    noise(8, 8).point(lambda level: 96 + level // 4).save(tmp_path / "a.png")
    go(f"colourise a.png --model {models / 'tame'} --out out")
    with Image.open(tmp_path / "a.png") as picture:
        grey = np.array(picture.convert("L"))
    model, method = load(models / "tame"), conditioners["covariance"]()
    y = (torch.from_numpy(grey).float() / 127.5 - 1)[None, None].expand(2, -1, -1, -1)
    fitted, sources = store.fitted(method, models / "tame", Luma()), generators([0, 1])
    conditioned = fitted.condition(model, Luma(), y, sources)
    found = sample(conditioned, solvers["dpm++"](steps=3), conditioned.prior(sources), generator=sources).x
    assert fitted.covariance.kind == "channel"
    for i, ours in enumerate(sheets.to_uint8(found)):
        written = pixels(tmp_path / "out" / f"a-{i:06d}.png")
        assert np.array_equal(written, ours.permute(1, 2, 0).numpy())
        luma = np.array(Image.fromarray(written).convert("L")).astype(int)
        assert 0 < written.min() and written.max() < 255 and np.abs(luma - grey).max() <= 4


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(8, 8), (11, 19)])
def test_known_pixels_come_back_bit_for_bit(go, tmp_path, models, channels, size):
    """As they are, or in tiles where the picture is larger; and what the hole held is gone."""
    noise(*size, channels).save(tmp_path / "a.png")
    go(f"inpaint a.png --box 2,1,6,7 --fit tile --model {models / str(channels)} --out out")
    before, hole = pixels(tmp_path / "a.png"), np.zeros(size, bool)
    hole[1:7, 2:6] = True
    samples = [pixels(tmp_path / "out" / f"a-00000{i}.png") for i in (0, 1)]
    for found in samples:
        assert found.shape == before.shape and np.array_equal(found[~hole], before[~hole])
        assert (found[hole] != before[hole]).mean() > 0.9
    assert not np.array_equal(*samples)
    assert np.array_equal(pixels(tmp_path / "out" / "a-mask.png") == 255, hole)


def test_white_is_the_hole_of_a_mask_file_and_can_be_inverted(go, tmp_path):
    noise(8, 8).save(tmp_path / "a.png")
    hole = np.zeros((8, 8), bool)
    hole[:3] = True
    Image.fromarray(hole).save(tmp_path / "hole.png")
    Image.fromarray((~hole).astype(np.uint8) * 255).save(tmp_path / "kept.png")
    go("inpaint a.png --mask hole.png --out one")
    go("inpaint a.png --mask kept.png --invert --out two")
    one, two = (pixels(tmp_path / out / "a-000000.png") for out in ("one", "two"))
    assert np.array_equal(one, two) and np.array_equal(one[~hole], pixels(tmp_path / "a.png")[~hole])


def test_a_random_mask_depends_on_the_seed_and_the_name_alone(go, tmp_path):
    (tmp_path / "in").mkdir()
    for name in "ab":
        noise(8, 8).save(tmp_path / "in" / f"{name}.png")
    said = go("inpaint in --random-mask freeform --out one")
    go("inpaint in/b.png --random-mask freeform --out two")
    go("inpaint in/b.png --random-mask freeform --seed 1 --out three")
    one, alone, other = (pixels(tmp_path / out / "b-mask.png") for out in ("one", "two", "three"))
    assert np.array_equal(one, alone) and not np.array_equal(one, other)
    assert not np.array_equal(one, pixels(tmp_path / "one" / "a-mask.png"))
    share = (one == 255).mean()
    assert 0.15 <= share <= 0.5 and f"the hole is {share:.1%} of it" in said


def test_everything_known_is_the_picture_and_nothing_known_is_the_model(go, run, tmp_path, models):
    noise(8, 8).save(tmp_path / "a.png")
    wide = np.array(noise(8, 16))
    wide[:, 4:12] = pixels(tmp_path / "a.png")
    Image.fromarray(wide).save(tmp_path / "wide.png")  # of which the middle is cut out, without the hole
    assert "everything is known" in go("inpaint wide.png --box 0,0,1,8 --fit resize --out same")
    assert np.array_equal(pixels(tmp_path / "same" / "wide-000001.png"), pixels(tmp_path / "a.png"))
    assert "nothing is known" in go("inpaint a.png --box 0,0,8,8 --out free")
    run(f"sample --model {models / '3'} --solver dpm++ --out own {QUICK}")
    assert np.array_equal(pixels(tmp_path / "free" / "a-000001.png"), pixels(tmp_path / "own" / "000001.png"))


def test_what_is_done_to_a_picture_is_said_and_done_to_its_mask(go, tmp_path):
    noise(30, 16).save(tmp_path / "a.png")
    noise(4, 6).save(tmp_path / "b.png")
    hole = np.zeros((30, 16), np.uint8)
    hole[:, 8:] = 255
    Image.fromarray(hole).save(tmp_path / "hole.png")
    assert "16x30 reduced to 8x15, its middle 8x8 cut out" in go("inpaint a.png --mask hole.png --fit resize --out a")
    mask = pixels(tmp_path / "a" / "a-mask.png") == 255
    # At half the size the bicubic filter reaches over four pixels to each side: column 2, of those up to 8, has some.
    assert mask[:, 2:].all() and not mask[:, :2].any()
    assert "6x4 enlarged to 12x8, its middle 8x8 cut out" in go("colourise b.png --fit resize --out b")
    assert "6x4 enlarged to 12x8, reduced" in go("colourise b.png --fit tile --out c")
    assert pixels(tmp_path / "c" / "b-000000.png").shape == (8, 12, 3)


@pytest.mark.parametrize(
    ("name", "make", "shape"),
    [
        ("sixteen.png", lambda: Image.fromarray(noise(8, 9, 1).convert("I").point(lambda v: v * 257)), (8, 9)),
        ("alpha.png", lambda: noise(8, 9, 4), (8, 9)),
        ("cmyk.jpg", lambda: noise(8, 9).convert("CMYK"), (8, 9)),
        ("palette.gif", lambda: noise(8, 9).convert("P"), (8, 9)),
        ("grey.webp", lambda: noise(8, 9, 1), (8, 9)),
    ],
)
def test_every_kind_of_picture_is_read_by_rule(go, tmp_path, name, make, shape):
    made = make() if name != "sixteen.png" else Image.fromarray(np.asarray(noise(8, 9, 1)).astype(np.uint16) * 257)
    made.save(tmp_path / name)
    go(f"inpaint {name} --box 0,0,4,4 --fit tile --out out")
    with Image.open(tmp_path / name) as picture:
        if name == "sixteen.png":
            truth = np.array(noise(8, 9, 1).convert("RGB"))
        elif name == "alpha.png":
            white = Image.new("RGBA", picture.size, "white")
            truth = np.array(Image.alpha_composite(white, picture).convert("RGB"))
        else:
            truth = np.array(picture.convert("RGB"))
    found = pixels(next((tmp_path / "out").glob("*-000000.png")))
    assert found.shape == (*shape, 3) and np.array_equal(found[4:], truth[4:])


def test_the_orientation_of_the_camera_is_applied_to_picture_and_mask_size(go, tmp_path):
    picture, exif = noise(8, 12), Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter clockwise
    picture.save(tmp_path / "a.png", exif=exif)
    go("inpaint a.png --box 0,0,8,4 --fit tile --out out")
    upright = np.array(picture.transpose(Image.Transpose.ROTATE_270))
    found = pixels(tmp_path / "out" / "a-000000.png")
    assert found.shape == (12, 8, 3) and np.array_equal(found[4:], upright[4:])


def test_a_bad_file_in_a_folder_is_reported_and_the_others_are_done(go, tmp_path):
    """Each under a name of its own: a.png.gif without its ending would be a.png."""
    (tmp_path / "in").mkdir()
    noise(8, 8).save(tmp_path / "in" / "a.png")
    noise(8, 8).save(tmp_path / "in" / "a.png.gif")
    noise(8, 8, 1).save(tmp_path / "in" / "a.jpg")
    noise(9, 8).save(tmp_path / "in" / "c.png")
    (tmp_path / "in" / "bad.png").write_text("no picture")
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    said = go("colourise in --out out", 3)
    assert "skipped: in/bad.png cannot be read as a picture" in said
    assert "1 of 5 pictures were skipped, the others are done: in/bad.png" in said
    written = {path.name for path in (tmp_path / "out").glob("*0.png")}
    assert written == {f"{name}-000000.png" for name in ("1-a.png", "a.jpg", "a.png.gif", "c")}
    record = json.loads((tmp_path / "out" / "colourise.json").read_text())
    assert len(record["pictures"]) == 4 and len(record["skipped"]) == 1
    assert "truth" not in record and (tmp_path / "out" / "sheet.png").exists()


def test_a_picture_that_cannot_be_done_as_asked_does_not_stop_the_others(go, tmp_path):
    (tmp_path / "in").mkdir()
    noise(12, 8).save(tmp_path / "in" / "high.png")
    noise(8, 12).save(tmp_path / "in" / "wide.png")
    line = "inpaint {} --box 9,0,12,4 --fit tile --out out"
    said = go(line.format("in"), 3)
    assert "1 of 2 pictures were skipped, the others are done: in/high.png" in said
    record = json.loads((tmp_path / "out" / "inpaint.json").read_text())
    assert [row["picture"] for row in record["pictures"]] == ["in/wide.png"] and "high.png" in record["skipped"][0]
    go(line.format("in/high.png"), 2)


@pytest.mark.parametrize(("factor", "side"), [(2, 4), (3, 3), (3, 5)])
def test_restore_of_a_small_picture_has_its_means(go, tmp_path, models, factor, side):
    """Also by a factor that the sides of the model, 8, are no multiples of."""
    noise(side, side).point(lambda level: 96 + level // 4).save(tmp_path / "a.png")
    go(f"restore a.png --task downsample:{factor} --model {models / 'tame'} --out out")
    found = pixels(tmp_path / "out" / "a-000000.png").astype(float)
    assert found.shape == (factor * side, factor * side, 3) and 0 < found.min() and found.max() < 255
    means = found.reshape(side, factor, side, factor, 3).mean((1, 3))
    assert np.abs(means - pixels(tmp_path / "a.png")).max() <= 0.5  # each of the pixels is rounded by half a level


def test_an_original_is_cut_to_a_multiple_of_the_factor(go, tmp_path):
    noise(13, 17).save(tmp_path / "a.png")
    assert "17x13, its middle 15x12 cut out" in go("restore a.png --task downsample:3 --degrade --out out")
    assert pixels(tmp_path / "out" / "a-000000.png").shape == (12, 15, 3)


@pytest.mark.parametrize(
    "task", ["downsample:2", "downsample:factor=2,noise=0.1", "blur:0.8", "crop:left=2", "luma", "noisy:0.2"]
)
def test_a_degraded_original_is_the_truth_of_every_task(go, tmp_path, task):
    noise(9, 12).save(tmp_path / "a.png")
    said = go(f"restore a.png --task {task} --degrade --fit tile --out out")
    kept = 8 if task.startswith("down") else 9
    tiles = 2 if kept == 8 else 4
    assert ("a.png: 12x9, its middle 12x8 cut out" if kept == 8 else "a.png: 12x9") + f", in {tiles} tiles 2 s" in said
    assert pixels(tmp_path / "out" / "a-000001.png").shape == (kept, 12, 3)
    with Image.open(tmp_path / "out" / "sheet.png") as sheet:
        zoom = 22  # the least that makes 12 pixels 256, in the sixth column
        truth = np.array(sheet)[20 + 2, 4 + 5 * (12 * zoom + 4) + 2 :: zoom][:12]
        assert np.array_equal(truth, pixels(tmp_path / "a.png")[0])


@pytest.mark.parametrize(
    "conditioner", ["moment:products=2", "projection", "replace", "dps:rate=10", "covariance:kind=dct"]
)
def test_every_conditioner_by_its_text(go, tmp_path, conditioner):
    noise(8, 8).save(tmp_path / "a.png")
    go(f"inpaint a.png --box 1,1,5,5 --conditioner {conditioner} --solver ddim --out out")
    record = json.loads((tmp_path / "out" / "inpaint.json").read_text())
    assert record["solver"]["name"] == "ddim" and record["conditioner"]["name"] == conditioner.split(":")[0]
    products = {"moment:products=2": 2, "dps:rate=10": 1}.get(conditioner, 0)
    assert record["pictures"][0]["vjps"] == 4 * products and record["pictures"][0]["nfe"] == 4
    assert np.array_equal(pixels(tmp_path / "out" / "a-000000.png")[5:], pixels(tmp_path / "a.png")[5:])


POSTERIORS = {
    "travel": "travel:resamplings=2,jump=2,solver=ancestral:steps=4",
    "smc": "smc:particles=3,solver=ancestral:steps=4",
    "langevin": "langevin:inner=1,solver=ancestral:steps=4",
    "gibbs": "gibbs:rounds=2,start=0.5,solver=ancestral:steps=4",
}


@pytest.mark.parametrize("name", posteriors.all())
def test_every_posterior_sampler_by_its_text(go, run, tmp_path, models, name):
    noise(8, 8).save(tmp_path / "a.png")
    line = (
        f"inpaint a.png --box 1,1,5,5 --model {models / 'tame'} -n 2 --posterior {POSTERIORS[name]} --out out --quiet"
    )
    assert "2 samples for each of 1 picture by" in run(line)
    record = json.loads((tmp_path / "out" / "inpaint.json").read_text())
    assert record["posterior"]["name"] == name and "solver" not in record and record["pictures"][0]["nfe"] > 4
    one, two = (pixels(tmp_path / "out" / f"a-00000{i}.png") for i in (0, 1))
    assert np.array_equal(one[5:], pixels(tmp_path / "a.png")[5:]) and not np.array_equal(one, two)


@pytest.mark.parametrize("extra", ["--solver em", "--conditioner dps", "--steps 5", "--tol 0.1"])
def test_a_posterior_sampler_takes_no_other_method(run, tmp_path, models, extra):
    noise(8, 8).save(tmp_path / "a.png")
    text = run(f"colourise a.png --model {models / '3'} --posterior smc {extra}", 2)
    assert f"takes no {extra.split()[0]}" in " ".join(text.split())


def test_predictions_can_be_clipped_before_they_are_conditioned(go, tmp_path):
    """What is known stays as it is, and the record says so; the random network's samples leave the range without."""
    noise(8, 8).save(tmp_path / "a.png")
    go("inpaint a.png --box 1,1,5,5 --out plain")
    go("inpaint a.png --box 1,1,5,5 --clip --out clipped")
    plain, clipped = (pixels(tmp_path / out / "a-000000.png") for out in ("plain", "clipped"))
    assert np.array_equal(clipped[5:], plain[5:]) and not np.array_equal(clipped, plain)
    assert json.loads((tmp_path / "clipped" / "inpaint.json").read_text())["clip"] is True


def test_a_sample_depends_on_its_seed_and_not_on_the_batch(go, tmp_path, monkeypatch):
    """Also of a batch that does not fit into the memory, which is halved."""
    noise(8, 8).save(tmp_path / "a.png")
    go("colourise a.png --solver em --out one --batch 1")
    go("colourise a.png --solver em --out two --seed 1")

    def small(model, solver, x, **options):
        if len(x) > 1:
            raise torch.OutOfMemoryError
        return sample(model, solver, x, **options)

    monkeypatch.setattr(tasks, "sample", small)
    go("colourise a.png --solver em --out halved")
    one, two, halved = (pixels(tmp_path / out / "a-000001.png").astype(int) for out in ("one", "two", "halved"))
    assert np.abs(one - two).max() <= 1  # the rounding of a network on another batch
    assert np.array_equal(one, halved)


def test_nothing_is_written_beside_an_input_or_over_it(go, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "masks").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "in")
    noise(8, 8).save(tmp_path / "in" / "sheet.png")
    Image.new("L", (8, 8), 255).save(tmp_path / "masks" / "sheet.png")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.png")}
    for line in (
        "colourise in --out in",
        "colourise in/sheet.png --out in",
        "colourise in/sheet.png --out link",
        "colourise link/sheet.png --out in",
        "inpaint in/sheet.png --mask masks/sheet.png --out masks",
    ):
        assert "beside which nothing is written: choose another" in go(line, 2)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.png")} == before


def bomb(width, height):
    """The beginning of a PNG that says it is large."""
    chunk = lambda kind, body: struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("colourise a.png --model {home}/1", 2, "colourise needs a model of colour images"),
        ("colourise a.png --model bare", 2, "bare has no covariance yet: make it with `scoresde stats bare`"),
        ("colourise a.png --conditioner covariance:kind=full", 2, "has no full covariance: make it with"),
        ("colourise a.png --conditioner covarience", 2, "Did you mean 'covariance'?"),
        ("colourise a.png --solver dpm++ --tol 1e-2", 2, "--tol is not an option of dpm++"),
        ("colourise missing.png", 3, "missing.png cannot be opened: No such file"),
        ("colourise text.png", 3, "text.png cannot be read as a picture: no format that Pillow knows"),
        ("colourise cut.png", 3, "cut.png cannot be read as a picture"),
        ("colourise large.png", 3, "large.png has 9000x9000 pixels, and at most 67,108,864 are read"),
        ("colourise larger.png", 3, "larger.png has far more than the 67,108,864 pixels that are read"),
        ("colourise narrow.png --fit tile", 3, "a picture of 1x1200000 would be enlarged to 8x9600000, more than"),
        ("colourise cut.png text.png", 3, "none of 2 pictures could be done, the first because: cut.png"),
        ("colourise empty", 3, "empty holds no pictures, files that end in .jpg"),
        ("inpaint a.png", 2, "give the hole by one of --mask FILE, --box x0,y0,x1,y1 and --random-mask"),
        ("inpaint a.png --box 1,1,2,2 --random-mask rectangle", 2, "give the hole by one of"),
        ("inpaint a.png --box 1,1,2,2 --invert", 2, "--invert changes the meaning of a --mask, and there is none"),
        (
            "inpaint a.png --box 1,1,2",
            2,
            "--box must be four whole numbers x0,y0,x1,y1, such as 8,8,24,24, got '1,1,2'",
        ),
        ("inpaint a.png --box 1,1,1,4", 2, "lie in the picture of 8x8, got 1,1,1,4"),
        ("inpaint a.png --box 0,0,9,4", 2, "lie in the picture of 8x8, got 0,0,9,4"),
        ("inpaint a.png --mask wide.png", 2, "the mask wide.png is 9x8 and the picture 8x8"),
        ("inpaint a.png --mask soft.png", 2, "12.50% of the mask soft.png is grey: it must hold only black"),
        ("inpaint a.png --mask text.png", 3, "text.png cannot be read as a picture"),
        ("inpaint a.png --random-mask strokes", 2, "no mask is called 'strokes'"),
        ("inpaint a.png --random-mask freeform:most=0.1", 2, "has no hole of 0.15 to 0.1"),
        (
            "restore a.png --task downsample:3 --fit resize",
            2,
            "downsample by 3 takes images with sides that it divides",
        ),
        ("restore a.png --task blurr:1", 2, "no observation is called 'blurr'. Did you mean 'blur'?"),
        ("restore a.png --task blur:0", 2, "sigma must be greater than 0, got 0"),
        ("restore a.png --task luma --noise -1", 2, "noise must be at least 0, got -1"),
        ("restore a.png --task luma --model {home}/1", 2, "luma sees images of 3 channels"),
        ("restore a.png --task crop:left=8", 2, "leave nothing of images"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing_behind(go, tmp_path, models, line, code, message):
    noise(8, 8).save(tmp_path / "a.png")
    tiny_model(tmp_path / "bare", 3)
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "cut.png").write_bytes((tmp_path / "a.png").read_bytes()[:80])
    (tmp_path / "large.png").write_bytes(bomb(9000, 9000))
    (tmp_path / "larger.png").write_bytes(bomb(60000, 60000))
    Image.new("1", (1, 1_200_000)).save(tmp_path / "narrow.png")
    Image.new("L", (9, 8)).save(tmp_path / "wide.png")
    soft = Image.new("L", (8, 8))
    soft.paste(128, (0, 0, 8, 1))
    soft.save(tmp_path / "soft.png")
    before = sorted(tmp_path.rglob("*"))
    text = go(line.format(home=models), code)
    assert message in text and text.count("Error:") == 1
    made = [path for path in sorted(tmp_path.rglob("*")) if path not in before and path.is_file()]
    assert not made


def test_a_large_picture_is_refused_before_it_is_decoded():
    file = io.BytesIO(bomb(8193, 8192))
    file.name = "large.png"
    with pytest.raises(DataError, match="8193x8192 pixels"):
        pictures.open_picture(file, "large.png")


def test_default_steps_are_ten(run, tmp_path, models):
    noise(8, 8).save(tmp_path / "a.png")
    run(f"colorize a.png --model {models / '3'} -n 1 --quiet --out out")
    assert json.loads((tmp_path / "out" / "colourise.json").read_text())["pictures"][0]["nfe"] == 11
