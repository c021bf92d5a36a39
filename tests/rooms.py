"""The rooms of the package, bottom up: the one list that the layering test, docs and CONTRIBUTING.md are made from.

A module imports from its own room and from rows above it in this list; rooms of one row do not know each other.
"""

ROOMS = [
    # (rooms of one rank, what each is for, the registries that it holds)
    {"core": ("Shared basics: errors, options and registries, randomness, files, process groups, signals.", "")},
    {
        "sde": ("Diffusion processes: SDEs, discrete chains, time inputs of networks.", "sdes, labels"),
        "networks": ("Networks as torch modules, and their cost.", "networks"),
        "images": ("Single images: decoding, resizing, and overview images.", ""),
    },
    {
        "models": (
            "Score models: networks, exact models, wrappers, and model folders.",
            "predictions, autoencoders, families",
        ),
        "data": ("Data sets of images and of other arrays.", "data"),
    },
    {
        "solvers": (
            "ODE and SDE solvers, with their grids, step controllers and Brownian paths.",
            "solvers, grids, controllers",
        )
    },
    {"sampling": ("Sampling with counted evaluations and time: samples, latent codes, trajectories, progress.", "")},
    {
        "observations": (
            "Measurements of a sample: observations, masks, the covariance of the data, Krylov solvers.",
            "observations, masks, tasks",
        )
    },
    {"conditioners": ("Turn a model of p(x) into a model of p(x given y).", "conditioners")},
    {
        "posterior": ("Samplers of p(x given y) with their own loop; restoration of whole photographs.", "posteriors"),
        "likelihood": ("log p(x), with standard errors.", ""),
    },
    {"metrics": ("Distances between sets of images, and feature extractors.", "metrics")},
    {"training": ("Training from a configuration to a run folder, with resume.", "weightings, time_laws")},
    {
        "bench": (
            "Measurements: tests of solvers, tuned solvers, tables, plots, problems with exact solutions.",
            "problems",
        )
    },
    {"web": ("The web page.", ""), "api": ("The functions of `import scoresde`.", "")},
    {"commands": ("The commands: read options, call one function, print text.", "")},
    {"cli": ("The group of all commands.", "")},
    {"__main__": ("`python -m scoresde`.", "")},
]
RANK = {room: rank for rank, rooms in enumerate(ROOMS) for room in rooms}


def table() -> str:
    """The rooms as a Markdown table."""
    lines = ["| rank | room | what it is for | registries |", "|---|---|---|---|"]
    for rank, rooms in enumerate(ROOMS):
        for room, (text, registries) in rooms.items():
            if room != "__main__":
                names = ", ".join(f"`{name}`" for name in registries.split(", ") if name)
                lines.append(f"| {rank} | `{room}` | {text} | {names} |")
    return "\n".join(lines)
