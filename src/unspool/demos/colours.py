"""RGB vector to colour name: the 949 colours of the xkcd survey, which matplotlib carries."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import XKCD_COLORS, to_rgb

from unspool.demos.shared import print_nats, save_results, split
from unspool.model import OneToMany

EXAMPLES = {
    "a red": [0.9, 0.1, 0.1],
    "a pale blue": [0.7, 0.85, 1.0],
    "a dark green": [0.05, 0.3, 0.1],
    "a grey": [0.5] * 3,
}
"""Colours to name, in words and in RGB."""


def load_colours() -> dict[str, list[Any]]:
    """Columns `rgb`, three numbers from 0 to 1, and `name`."""
    names = [name.removeprefix("xkcd:") for name in XKCD_COLORS]
    return {"rgb": [list(to_rgb(code)) for code in XKCD_COLORS.values()], "name": names}


def closest_name(train: dict[str, list[Any]], rgb: list[float]) -> str:
    """The name of the nearest colour of training."""
    distance = np.linalg.norm(np.array(train["rgb"]) - np.array(rgb), axis=1)
    return str(train["name"][int(distance.argmin())])


def run_colours(folder: Path) -> None:
    """Fit, evaluate, generate."""
    train, test = split(load_colours(), 0.15)
    print(f"{len(train['name'])} colours to learn from, {len(test['name'])} held out\n", flush=True)

    model = OneToMany(inputs=["rgb"], sequence="name", verbose=True).fit(train)
    print_nats(model, train, test, "character")

    in_data = {*train["name"], *test["name"]}
    names = model.generate({"rgb": list(EXAMPLES.values())}, n=5, seed=0)
    for k, (words, rgb) in enumerate(EXAMPLES.items()):
        print(f"  {words}; the nearest in the data is {closest_name(train, rgb)!r}")
        for name in names[5 * k : 5 * k + 5]:
            print(f"    {name:24s} {'in the data' if name in in_data else 'new'}")
    save_results(model, model.generate({"rgb": list(EXAMPLES.values())}, n=12, seed=0), folder, "colours")
