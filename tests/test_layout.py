"""The architecture, checked: layers import downwards, noise has one source, files stay short, no assertion ships."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import scoresde

ROOT = Path(scoresde.__file__).parent
LAYERS = [
    ["errors", "signals"],
    ["random", "finite", "distributed", "profiles", "lock"],
    ["brownian", "sharding"],
    ["shards"],
    ["registry", "decoding"],
    ["sde", "controllers", "masks"],
    ["labels"],
    ["grids", "krylov", "cosine"],
    ["model", "covariance", "observations"],
    ["conditions"],
    ["gaussian", "guidance", "clipping", "tiles", "progress"],
    ["problems"],
    ["solvers"],
    ["conditioners"],
    ["trajectory"],
    ["sample"],
    ["likelihood", "latent", "posterior"],
    ["data", "networks", "provenance"],
    ["checkpoint", "config", "pictures"],
    ["features", "checkpoints"],
    ["metrics"],
    ["images", "describe", "check", "plots", "stats"],
    ["feed"],
    ["objective", "optimisers", "pruning"],
    ["train", "restoration", "evaluate", "board"],
    ["snapshot", "changes"],
    ["run"],
    ["tune", "averages"],
    ["bench"],
    ["web"],
    ["commands"],
    ["cli"],
    ["__main__"],
]
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
FILES = sorted(path for path in ROOT.rglob("*.py") if path.name != "__init__.py" or path.parent != ROOT)
SHARED = ("__init__.py", "base.py", "guard.py", "adaptive.py", "embedded_pair.py", "exponential.py", "wrapped.py")
FOLDERS = ("solvers", "conditioners", "posterior", "data", "metrics")
PLUGINS = [p for p in FILES if p.parent.name in FOLDERS and p.parent.parent == ROOT and p.name not in SHARED]


def layer(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def named(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", FILES, ids=named)
def test_layers_import_downwards(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        inside = len(path.relative_to(ROOT).parts) - node.level
        if inside:
            continue  # a neighbour in the same folder
        targets = [node.module.split(".")[0]] if node.module else [alias.name for alias in node.names]
        for target in targets:
            if target in RANK:
                assert RANK[target] < RANK[layer(path)], f"{named(path)} imports {target}, which stands above it"


@pytest.mark.parametrize("path", FILES, ids=named)
def test_noise_has_one_source(path):
    calls = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
    draws = {"randn", "rand", "randint", "randperm", "multinomial", "bernoulli", "normal_", "uniform_", "manual_seed"}
    draws |= {"randn_like", "rand_like", "default_rng", "shuffle"}
    assert path.name == "random.py" or not draws & calls, f"{named(path)} draws by itself: {draws & calls}"


@pytest.mark.parametrize("path", FILES, ids=named)
def test_no_assertion_ships(path):
    assert not any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(path.read_text())))


def test_files_hold_one_idea():
    long = {named(p): n for p in FILES if (n := len(p.read_text().splitlines())) > 250}
    wide = {named(p): n for p in PLUGINS if (n := len(p.read_text().splitlines())) > 100}
    assert not long and not wide


def test_the_core_needs_neither_torchvision_nor_sklearn():
    code = (
        "import sys, scoresde.sample, scoresde.gaussian, scoresde.checkpoint\n"
        "from scoresde.solvers import solvers\n"
        "solvers.all()\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'torchvision', 'sklearn', 'torchdiffeq', 'fastapi'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
