"""RGB vector to colour name: the 949 colours of the xkcd survey, which matplotlib carries."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import XKCD_COLORS, to_rgb

from unspool.demos.shared import compare, keep, nats_per_step, ngram_nats, parted, shuffled
from unspool.model import OneToMany

ASKED = {
    "a red": [0.9, 0.1, 0.1],
    "a pale blue": [0.7, 0.85, 1.0],
    "a dark green": [0.05, 0.3, 0.1],
    "a grey": [0.5] * 3,
}


def data() -> dict[str, list[Any]]:
    """Columns `rgb`, three numbers from 0 to 1, and `name`."""
    names = [name.removeprefix("xkcd:") for name in XKCD_COLORS]
    return {"rgb": [list(to_rgb(code)) for code in XKCD_COLORS.values()], "name": names}


def nearest(train: dict[str, list[Any]], rgb: list[float]) -> str:
    """The simplest thing that could work: the name of the nearest colour of training."""
    distance = np.linalg.norm(np.array(train["rgb"]) - np.array(rgb), axis=1)
    return str(train["name"][int(distance.argmin())])


def main(folder: Path) -> None:
    """Fit, compare, generate."""
    train, test = parted(data(), 0.15)
    print(f"{len(train['name'])} colours to learn from, {len(test['name'])} held out\n", flush=True)

    model = OneToMany(inputs=["rgb"], sequence="name", verbose=True).fit(train)

    order, ngram = ngram_nats(train, test, "name", None)
    nats = nats_per_step(model, test, "name")
    wrong = nats_per_step(model, shuffled(test, ["rgb"]), "name")
    compare(
        "character",
        [
            ("this model", nats, ""),
            (f"interpolated {order}-gram", ngram, "(it can't see a vector)"),
            ("this model, colours shuffled", wrong, f"so the colour is worth {wrong - nats:.3f}"),
        ],
    )

    in_data = set(train["name"]) | set(test["name"])
    made = model.generate({"rgb": list(ASKED.values())}, n=5, seed=0)
    for k, name in enumerate(made):
        words = list(ASKED)[k // 5]
        if k % 5 == 0:
            print(f"  {words}; the nearest in the data is {nearest(train, ASKED[words])!r}")
        print(f"    {name:24s} {'in the data' if name in in_data else 'new'}")
    keep(model, model.generate({"rgb": list(ASKED.values())}, n=12, seed=0), folder, "colours")
