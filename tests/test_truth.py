"""Where the true likelihood is known, a fit without any option comes within 0.02 nats a step of it on new data.

The data are sampled from processes with known densities; the truth is the likelihood of held-out data under the very
process that made them, which no model can beat but by chance.
"""

import numpy as np
import pytest

import unspool as us

CLOSE = 0.02
LOG_TAU = np.log(2 * np.pi)


def gap(table: dict[str, list[object]], true: np.ndarray, inputs: object, sequence: str, test: int) -> float:
    """Nats a step that a default fit loses on the last `test` sequences, against their true log-probabilities."""
    train = {name: values[:-test] for name, values in table.items()}
    new = {name: values[-test:] for name, values in table.items()}
    model = us.OneToMany(inputs, sequence, verbose=False).fit(train)
    steps = sum(len(one) for one in new[sequence])  # type: ignore[arg-type]
    return float((true[-test:] - model.log_prob(new)).sum() / steps)


@pytest.mark.slow
def test_a_markov_chain_whose_transitions_and_lengths_depend_on_the_input() -> None:
    rng = np.random.default_rng(0)
    V, N = 6, 2000
    chains = rng.dirichlet(np.full(V, 0.5), (2, V))
    stop = np.array([0.05, 0.1])
    kinds = rng.integers(0, 2, N)
    sequences, true = [], []
    for kind in kinds:
        tokens = [int(rng.integers(V))]
        log_prob = -np.log(V)
        while rng.random() >= stop[kind] and len(tokens) < 200:
            tokens.append(int(rng.choice(V, p=chains[kind, tokens[-1]])))
            log_prob += np.log(chains[kind, tokens[-2], tokens[-1]]) + np.log(1 - stop[kind])
        sequences.append([f"s{token}" for token in tokens])
        true.append(log_prob + np.log(stop[kind]))
    table = {"kind": [f"k{kind}" for kind in kinds], "tokens": sequences}
    lost = gap(table, np.array(true), "kind", "tokens", 300)
    print(lost)
    assert lost < CLOSE


@pytest.mark.slow
def test_an_autoregression_whose_strength_is_the_input() -> None:
    rng = np.random.default_rng(1)
    N, T = 1200, 40
    phi = rng.choice([0.5, 0.9], N)
    x = np.zeros((N, T))
    noise = rng.normal(size=(N, T))
    x[:, 0] = noise[:, 0]
    for t in range(1, T):
        x[:, t] = phi * x[:, t - 1] + noise[:, t]
    true = (-0.5 * noise**2 - 0.5 * LOG_TAU).sum(1)
    table = {"phi": [f"{value}" for value in phi], "x": x.tolist()}
    lost = gap(table, true, "phi", "x", 200)
    print(lost)
    assert lost < CLOSE


@pytest.mark.slow
def test_a_sine_with_noise_whose_amplitude_and_frequency_are_the_input() -> None:
    rng = np.random.default_rng(2)
    N, T, spread = 1500, 40, 0.3
    amplitude, frequency = rng.uniform(0.5, 2.0, N), rng.uniform(0.1, 0.4, N)
    clean = amplitude[:, None] * np.sin(frequency[:, None] * np.arange(T))
    noise = rng.normal(size=(N, T))
    true = (-0.5 * noise**2 - np.log(spread) - 0.5 * LOG_TAU).sum(1)
    table = {"amplitude": amplitude.tolist(), "frequency": frequency.tolist(), "x": (clean + spread * noise).tolist()}
    lost = gap(table, true, ["amplitude", "frequency"], "x", 200)
    print(lost)
    assert lost < CLOSE


def test_the_truth_itself_has_no_gap() -> None:
    """The yardstick is right: noise of known spread has the entropy that theory gives it."""
    noise = np.random.default_rng(3).normal(size=(200, 40))
    assert (-0.5 * noise**2 - 0.5 * LOG_TAU).mean() == pytest.approx(-0.5 * (LOG_TAU + 1), abs=5 / np.sqrt(2 * 8000))
