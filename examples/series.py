"""One number in, a series out: a stretch of a sine learned by heart, then waves that training never saw.

Run it with `python examples/series.py`.
"""

import numpy as np

import unspool as us

RNG = np.random.default_rng(0)
KNOBS = ["amplitude", "frequency", "phase"]
# These values are exact: there is no noise to model. The point distribution gives one value a step, and learns it by
# squared error.
WAVE = us.Number("wave", distribution="point")
# For the same reason nothing is held out: holding out guards against learning noise by heart. With free feeding the
# network reads its own output while it trains, as it will when it generates; by default it reads the data.
EXACT = us.Training(holdout=0, feeding="free")


def one() -> None:
    wave = np.sin(np.linspace(0, 10, 200))[:31]
    # First() makes the first value the input, and the 30 after it the sequence.
    model = us.OneToMany(inputs=us.First(), sequence=WAVE, training=EXACT, verbose=False).fit({"wave": [wave]})
    generated = np.array(model.generate({"wave": wave[0]})[0])
    print(f"the first value of a sine, {wave[0]:.1f}, gives the next {len(generated)}:", *generated[:5].round(3), "...")
    print(f"largest error {np.abs(generated - wave[1:]).max():.4f}, expected at most 0.01\n")


def waves(count: int) -> dict[str, np.ndarray]:
    """A table: in each row three numbers, and the wave of 30 steps that they stand for."""
    amplitude, frequency, phase = RNG.uniform([0.5, 0.5, 0], [2, 2, 2 * np.pi], (count, 3)).T
    wave = amplitude[:, None] * np.sin(frequency[:, None] * np.linspace(0, 5, 30) + phase[:, None])
    return {"amplitude": amplitude, "frequency": frequency, "phase": phase, "wave": wave}


def unseen() -> None:
    known, new = waves(600), waves(100)
    small = us.Network(size=64)  # quick to train, and enough for this
    model = us.OneToMany(inputs=KNOBS, sequence=WAVE, network=small, training=EXACT, verbose=False).fit(known)
    generated = np.array(list(model.generate({knob: new[knob] for knob in KNOBS})))
    # A baseline: the wave of the nearest known triple, each knob in units of its standard deviation.
    apart = sum(((new[knob][:, None] - known[knob]) / known[knob].std()) ** 2 for knob in KNOBS)
    print("(amplitude, frequency, phase) gives its wave: 600 to learn from, 100 others to judge by.")
    print("Largest error on a wave, in shares of its amplitude:")
    for name, guess in (("one-to-many LSTM", generated), ("nearest known wave", known["wave"][apart.argmin(1)])):
        error = np.abs(guess - new["wave"]).max(1) / new["amplitude"]
        print(f"  {name:18}  median {np.median(error):6.1%}  worst {error.max():6.1%}")


if __name__ == "__main__":
    one()
    unseen()
