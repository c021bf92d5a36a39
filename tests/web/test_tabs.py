"""A tab is a class that is registered: its address and its place on the page follow."""

from importlib import resources
from typing import ClassVar

import numpy as np
import pytest
from pydantic import Field
from test_web import EM, drawn, expected, folders, pixels, refused, serving  # noqa: F401

from scoresde import models
from scoresde.core.random import generators
from scoresde.observations.tasks import trained_task
from scoresde.sampling.sample import sample
from scoresde.solvers import solvers
from scoresde.web.encoding import encoded
from scoresde.web.tabs import Tab, tabs
from scoresde.web.watching import Watcher, cost


@pytest.fixture(scope="module")
def toy():
    @tabs("toy")
    class Toy(Tab):
        """Pictures from scaled noise, by networks for colours and others with 3 channels."""

        label: ClassVar[str] = "A toy"
        order: ClassVar[int] = 15
        scale: float = Field(0.5, gt=0, description="Of the noise.")

        @classmethod
        def serves(cls, model):
            return model.shape[0] == 3 and trained_task(model).name != "inpaint"

        def work(self, served):
            model = self.clipped(served.model)

            def work(job):
                noise = self.scale * model.prior(generators(self.seeds))
                done = sample(model, solvers.build(EM), noise, generator=generators(self.seeds),
                              observers=(Watcher(job, model),))  # fmt: skip
                return {"pictures": encoded(done.x), **cost(done)}

            return work

    yield Toy
    del tabs._classes["toy"]


@pytest.fixture(scope="module")
def client(toy, folders, tmp_path_factory):  # noqa: F811
    with serving(folders, tmp_path_factory.mktemp("kept") / "catalogue.sqlite") as made:
        yield made


def test_the_page_is_told_of_the_tabs_in_order_with_the_models_that_serve_them(client):
    about = client.get("/api/about").json()
    told = {tab["name"]: tab for tab in about["tabs"]}
    labels = [("generate", "Generate"), ("toy", "A toy"), ("inpaint", "Inpaint"), ("colourise", "Colourise")]
    assert [(name, tab["label"]) for name, tab in told.items()] == [*labels, ("race", "Race")]
    unconditional = ["grey", "colour", "digits", "labelled"]
    assert {name: tab["models"] for name, tab in told.items()} == {
        "generate": unconditional,
        "inpaint": unconditional,
        "race": unconditional,
        "colourise": ["colour", "colourist"],
        "toy": ["colour", "colourist"],
    }
    assert [model["name"] for model in about["models"]] == [*unconditional, "colourist"]
    assert told["toy"]["defaults"] == {"seed": 0, "count": 4, "clip": False, "scale": 0.5}
    assert told["inpaint"]["defaults"]["solver"] == {"name": "dpm++", "steps": 10}
    assert told["race"]["reference"] == {"name": "ipndm", "steps": 200}


def test_a_tab_has_an_address_that_draws(client, folders):  # noqa: F811
    done = drawn(client, "toy", model="colour", seed=3, count=2, scale=0.25)
    model, sources = models.load(folders[3]), generators([3, 4])
    truth = sample(model, solvers["em"](steps=5), 0.25 * model.prior(sources), generator=generators([3, 4]))
    np.testing.assert_array_equal([pixels(each) for each in done["pictures"]], expected(truth.x))
    assert done["nfe"] == truth.nfe


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"model": "other"}, "no model is called 'other'"),
        ({"model": "grey", "scale": 0}, "scale must be greater than 0"),
        ({"model": "grey", "count": 17}, "count must be at most 16"),
        ({"model": "grey", "solver": EM}, "solver is not an option"),
    ],
)
def test_what_a_tab_does_not_allow_is_one_sentence(client, body, sentence):
    assert sentence in refused(client.post("/api/toy", json=body), 400)


def test_every_tab_has_a_script_and_the_page_names_none():
    static = resources.files("scoresde.web") / "static"
    scripts = {file.name for file in static.iterdir()}
    fixed = (static / "index.html").read_text() + (static / "app.js").read_text()
    for name in set(tabs) - {"toy"}:
        assert f"{name}.js" in scripts and f"{name}.js" not in fixed and f'id="{name}"' not in fixed
