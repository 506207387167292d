"""A beam of width 8 against sampling 8 sequences of each input: python benchmarks/beam.py.

One layer, V = 64 symbols, float32, sequences of exact length. Both take 8 rows for each input through the same cell;
the beam sorts where sampling draws, and lets states follow their hypotheses. Parity is that what the beam says of its
sequences is what the likelihood of training says.
"""

import jax.numpy as jnp
import numpy as np
from common import Sizes, geometric, in_turn, line, quick, report
from ours import sampling, token_net

from unspool.generation.beam import BeamResult, search
from unspool.generation.sampler import SampleRequest
from unspool.network.decoder import Net
from unspool.network.distributions.rules import PLAIN
from unspool.network.likelihood import sequence_log_prob
from unspool.options import Beam

K = 8


def find(net: Net, sizes: Sizes) -> BeamResult:
    """The likeliest sequence of each of B inputs."""
    request = SampleRequest((np.zeros(sizes.B, np.int32),), 1, 0, PLAIN, sizes.T, sizes.T)
    return search(net, request, Beam(width=K))


def parity(net: Net, sizes: Sizes) -> None:
    """The beam's nats are those of training."""
    found = find(net, sizes)
    values = jnp.asarray(found.values[0].reshape(sizes.B, sizes.T).T)
    inputs, lengths = (jnp.zeros(sizes.B, jnp.int32),), jnp.full(sizes.B, sizes.T)
    fields, *_ = sequence_log_prob(net, inputs, (values,), lengths, net.masks())
    np.testing.assert_allclose(fields[..., 0].sum(0), found.nats, rtol=1e-4)


def main() -> None:
    """Measure."""
    small = quick()
    units, batches, T, rounds = ((8, 16), (1, 4), 12, 1) if small else ((64, 128, 256, 512), (1, 16), 192, 9)
    rows = []
    for H in units:
        for B in batches:
            sizes = Sizes(H, B, T, 64)
            net = token_net(sizes)
            parity(net, sizes)
            ours, as_many = in_turn(
                lambda net=net, sizes=sizes: find(net, sizes), sampling(sizes._replace(B=B * K)), rounds=rounds
            )
            rows.append(line(f"step of a beam of {K}, {sizes}, against sampling {B * K} rows", ours / T, as_many / T))
    report("beam", [*rows, geometric("beam against sampling", rows)])


if __name__ == "__main__":
    main()
