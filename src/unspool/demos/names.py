"""Kind to name: 94,293 names of the US Census in the package `names`."""

from pathlib import Path

import names as census

from unspool.demos.shared import print_nats, save_results, split
from unspool.model import OneToMany
from unspool.options import Training

NAMES_SECONDS = 30.0
"""Seconds of training, so that `make demo` ends within two minutes, installation included; by default it would go on
for some five."""
FILES = {"male": "dist.male.first", "female": "dist.female.first", "surname": "dist.all.last"}


def load_names() -> dict[str, list[str]]:
    """Columns `kind` and `name`; the census has them in capitals, most frequent first."""
    folder = Path(census.__file__).parent
    rows = [
        (kind, line.split()[0].capitalize())
        for kind, file in FILES.items()
        for line in folder.joinpath(file).read_text().splitlines()
    ]
    return {"kind": [kind for kind, _ in rows], "name": [name for _, name in rows]}


def run_names(folder: Path) -> None:
    """Fit, evaluate, generate."""
    everything = load_names()
    train, test = split(everything, 0.1)
    known = set(train["name"])
    again = sum(name in known for name in test["name"])
    print(f"{len(train['name']):,} names to learn from, {len(test['name']):,} held out", end="")
    print(f" ({again:,} of these also occur in training, under another kind)\n", flush=True)

    training = Training(seconds=NAMES_SECONDS)
    model = OneToMany(inputs=["kind"], sequence="name", training=training, verbose=True).fit(train)
    print_nats(model, train, test, "character")

    in_data = set(everything["name"])
    for k, name in enumerate(model.generate({"kind": list(FILES)}, n=5, seed=0)):
        print(f"  {list(FILES)[k // 5]:8s} {name:14s} {'in the data' if name in in_data else 'new'}")
    save_results(model, model.generate({"kind": list(FILES)}, n=12, seed=0), folder, "names")
