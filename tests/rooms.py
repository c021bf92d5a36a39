"""The rooms of the package, bottom up: the one list that the layering test, docs and CONTRIBUTING.md are made from.

A module imports from its own room and from rows above it in this list; rooms of one row do not know each other.
"""

ROOMS = [
    # (rooms of one rank, what each is for, the registries that it holds)
    {"core": ("What everything stands on: errors, options and registries, randomness, files, processes, signals.", "")},
    {
        "sde": ("How data becomes noise: processes, chains, labels.", "sdes, labels"),
        "networks": ("Torch modules, and what they cost.", "networks"),
        "images": ("One picture: bytes to pixels, made to fit, and pixels to sheets.", ""),
    },
    {
        "models": (
            "Score models: a network, closed forms, models around models, and the folder a model lives in.",
            "predictions, autoencoders, families",
        ),
        "data": ("Sets of images, and of any other numbers.", "data"),
    },
    {
        "solvers": (
            "Ways to carry x from one time to another, with their grids, step controllers and Brownian paths.",
            "solvers, grids, controllers",
        )
    },
    {"sampling": ("What a solver makes of a model, counted and timed: samples, codes, trajectories, progress.", "")},
    {
        "observations": (
            "What is known of a picture: observations, masks, the covariance of the data, Krylov solvers.",
            "observations, masks, tasks",
        )
    },
    {"conditioners": ("Models of p(x) made into models of p(x given y).", "conditioners")},
    {
        "posterior": ("Samplers of p(x given y) that are more than a wrapped model; whole pictures.", "posteriors"),
        "likelihood": ("log p(x), with its error bars.", ""),
    },
    {"metrics": ("Distances between sets of images, and the extractors that they look through.", "metrics")},
    {"training": ("From a configuration to a run folder, interrupted or not.", "weightings, time_laws")},
    {"bench": ("Measuring: promises of plug-ins, tuned grids, tables, figures, known problems.", "problems")},
    {"web": ("The page.", ""), "api": ("The verbs: what is done with a model, each in one call.", "")},
    {"commands": ("The commands: options in, one call, text out.", "")},
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
