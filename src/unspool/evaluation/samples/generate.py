"""What the model generates for the inputs of real examples, in the form of real examples."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unspool.dataset.examples import Examples
from unspool.encoding.codec import Codec
from unspool.encoding.encoded import Encoded
from unspool.evaluation.samples.build import decoded_examples
from unspool.generation.sampler import SampleRequest, sample_sequences
from unspool.generation.support import with_support
from unspool.network.decoder import Net
from unspool.network.distributions.rules import PLAIN


class Generated(NamedTuple):
    """Generated sequences.

    Attributes:
        examples: in original units.
        encoded: the same as the network drew them, without log-Jacobians.
        ended: (N,) whether each sequence stopped by itself, rather than at the limit.
    """

    examples: Examples
    encoded: Encoded
    ended: NDArray[np.bool_]


def generate_like(net: Net, codec: Codec, examples: Examples, encoded: Encoded, samples: int, seed: int) -> Generated:
    """Sequences for the inputs of examples, drawn from the learned distribution with lengths of their own.

    Args:
        net: the network.
        codec: its fitted columns.
        examples: the examples whose inputs are used.
        encoded: the same, as the network reads them.
        samples: sequences per input, row after row.
        seed: of all uniforms.

    Returns:
        `samples` times as many sequences.
    """
    request = SampleRequest(
        inputs=encoded.inputs,
        samples=samples,
        seed=seed,
        rule=PLAIN,
        length=codec.longest if codec.shortest == codec.longest else None,
        limit=max(2 * codec.longest, 1),
    )
    values, offsets, ended = sample_sequences(net, with_support(request, codec, examples.first, len(examples)))
    rows = np.repeat(np.arange(len(examples)), samples)
    drawn = Encoded(tuple(column[rows] for column in encoded.inputs), tuple(values), offsets, ())
    first = {name: base[rows] for name, base in examples.first.items()}
    inputs = {name: column[rows] for name, column in examples.inputs.items()}
    return Generated(decoded_examples(codec, drawn, first, inputs), drawn, np.asarray(ended, np.bool_))
