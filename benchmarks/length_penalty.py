"""Which length penalty suits a beam: `python -m benchmarks.length_penalty`.

Two kinds of data whose references are many: sentences written from slots, and the steps of a recipe. BLEU (Papineni et
al. 2002) of the best hypothesis against one reference of its input, beside greedy, typical and plain samples.
"""

import collections
import math
from collections.abc import Sequence

import numpy as np

import unspool as us

TRAIN, TEST, INPUTS, PENALTIES = 2_500, 6_000, 150, (0.0, 0.3, 0.6, 0.8, 1.0, 1.3, 2.0)
"""Examples to learn from and to take references from, inputs to search for, and exponents of the penalty."""
Table = dict[str, list]


def sentences(rng: np.random.Generator, count: int) -> Table:
    """A restaurant's slots, and a sentence that may leave some of them out."""
    slots = {
        "name": ["Aromi", "Blue Spice", "Clowns", "The Eagle", "Zizzi", "Strada"],
        "food": ["French", "Italian", "Indian", "English"],
        "price": ["cheap", "moderate", "high"],
        "area": ["riverside", "city centre"],
        "kids": ["yes", "no", "unknown"],
    }
    table: Table = {name: rng.choice(values, count).tolist() for name, values in slots.items()} | {"s": []}
    for name, food, price, area, kids in zip(*(table[key] for key in slots), strict=True):
        form = int(rng.integers(3))
        text = (
            f"{name} is a {price} {food} restaurant",
            f"In the {area} there is {name} , which serves {food} food",
            f"{name} serves {food} food at {price} prices",
        )[form]
        if rng.random() < 0.7:
            where = f" in the {area}" if rng.random() < 0.5 else f" . It is located in the {area}"
            text += f" at {price} prices" if form == 1 else where
        if kids == "yes" and rng.random() < 0.8:
            text += rng.choice([" . It is family friendly", " . Children are welcome"])
        if kids == "no" and rng.random() < 0.8:
            text += rng.choice([" . It is not for children", " and it is not family friendly"])
        table["s"].append(f"{text} .")
    return table


def recipes(rng: np.random.Generator, count: int) -> Table:
    """A dish, and its steps, of which some are optional, repeated or in either order."""
    slots = {"dish": ["soup", "stew", "salad", "pie"], "base": ["leek", "bean", "beet", "pea"], "hot": ["yes", "no"]}
    table: Table = {name: rng.choice(values, count).tolist() for name, values in slots.items()} | {"s": []}
    for dish, base, hot in zip(*(table[key] for key in slots), strict=True):
        steps = ["wash", "peel"] if rng.random() < 0.6 else ["peel", "wash"]
        steps += [f"chop {base}"]
        if dish in ("soup", "stew"):
            steps += ["boil"] + ["stir"] * int(rng.integers(1, 5))
        if dish == "stew":
            steps += ["add stock", "simmer"] + ["stir"] * int(rng.integers(1, 4))
        steps += {"pie": ["make dough", "rest", "roll", "fill", "bake"], "salad": ["mix"]}.get(dish, [])
        extras = {"salt": 0.7, "pepper": 0.5, "herbs": 0.4, "cream": 0.3}
        steps += [name for name, share in extras.items() if rng.random() < share]
        steps += ["heat" if hot == "yes" else "cool", "serve"] + ["clean"] * int(rng.random() < 0.3)
        table["s"].append(steps)
    return table


def bleu(found: Sequence[Sequence[str]], wanted: Sequence[Sequence[str]]) -> float:
    """Corpus BLEU up to four words, of one reference each."""
    logs = []
    for n in range(1, 5):
        pairs = [[collections.Counter(zip(*(words[k:] for k in range(n)), strict=False)) for words in both]
                 for both in zip(found, wanted, strict=True)]  # fmt: skip
        matches = sum((one & other).total() for one, other in pairs)
        logs.append(math.log(max(matches, 1e-9) / max(sum(one.total() for one, _ in pairs), 1)))
    short = 1 - sum(map(len, wanted)) / max(sum(map(len, found)), 1)
    return math.exp(min(0.0, short) + sum(logs) / 4)


def main() -> None:
    """Print BLEU and lengths by kind of data, seed and rule."""
    rules: dict[str, us.Sampling | us.Beam | us.Typical] = {
        "sample": us.Sampling(), "greedy": us.Sampling(greedy=True), "typical": us.Typical(samples=50),
    }  # fmt: skip
    rules |= {f"penalty {penalty}": us.Beam(width=8, length_penalty=penalty) for penalty in PENALTIES}
    for kind in (sentences, recipes):
        for seed in (0, 1):
            rng = np.random.default_rng(seed)
            train, test = kind(rng, TRAIN), kind(rng, TEST)
            names = [name for name in train if name != "s"]
            step = us.Text("s", unit="word") if kind is sentences else us.Category("s")
            training = us.Training(seconds=45, draw_inputs=False)
            model = us.OneToMany(names, step, network=us.Network(size=64), training=training, seed=seed, verbose=False)
            model.fit(train)
            first = {key: k for k, key in reversed(list(enumerate(zip(*(test[name] for name in names), strict=True))))}
            rows = list(first.values())[-INPUTS:]
            given = {name: [test[name][k] for k in rows] for name in names}
            references = [test["s"][k] for k in rows]
            words = [text.split() if isinstance(text, str) else text for text in references]
            for label, rule in rules.items():
                made = [s.split() if isinstance(s, str) else s for s in model.generate(given, seed=0, rule=rule)]
                lengths = [np.mean([len(part) for part in parts]) for parts in (made, words)]
                score = f"BLEU {bleu(made, words):.3f}, length {lengths[0]:.2f} of {lengths[1]:.2f}"
                print(f"{kind.__name__} {seed} {label:<12} {score}", flush=True)


if __name__ == "__main__":
    main()
