"""What the model generates for the inputs of real examples, in the form of real examples."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unspool.dataset.decoded import decoded_examples
from unspool.dataset.examples import Examples
from unspool.encoding.codec import Codec
from unspool.encoding.encoded import Encoded
from unspool.errors import Location
from unspool.generation.inputs import InputSampler
from unspool.generation.sampler import SampleRequest, sample_sequences
from unspool.generation.support import with_support
from unspool.network.decoder import Net
from unspool.network.distributions.rules import PLAIN
from unspool.schema.coercion import coerce


class Generated(NamedTuple):
    """Generated sequences.

    Attributes:
        examples: in original units.
        encoded: the same as the network sampled them, without log-Jacobians.
        ended: (N,) whether each sequence stopped by itself, rather than at the limit.
    """

    examples: Examples
    encoded: Encoded
    ended: NDArray[np.bool_]


def generate_like(net: Net, codec: Codec, examples: Examples, encoded: Encoded, samples: int, seed: int) -> Generated:
    """`samples` sequences for each input of examples, row after row, with lengths of their own.

    `encoded` are the same examples as the network reads them. The seed decides all uniforms.
    """
    request = SampleRequest(
        inputs=encoded.inputs,
        samples=samples,
        seed=seed,
        rule=PLAIN,
        length=codec.longest if codec.shortest == codec.longest else None,
        limit=codec.limit or codec.most_steps,
        ends=codec.limit > 0,
    )
    values, offsets, ended = sample_sequences(net, with_support(request, codec, examples.first, len(examples)))
    rows = np.repeat(np.arange(len(examples)), samples)
    generated = Encoded(tuple(column[rows] for column in encoded.inputs), tuple(values), offsets, ())
    first = {name: base[rows] for name, base in examples.first.items()}
    inputs = {name: column[rows] for name, column in examples.inputs.items()}
    steps = codec.decode(generated.steps, offsets, first)
    decoded = decoded_examples(codec.schema, inputs, steps, offsets, first)
    return Generated(decoded, generated, np.asarray(ended, np.bool_))


def with_drawn_inputs(net: Net, rows: Codec, codec: Codec, examples: Examples, seed: int) -> Examples:
    """The examples with inputs of the model of the inputs, `net` with its codec, in place of their own."""
    columns = InputSampler.of(net, rows, codec).draw(seed, slice(0, len(examples)))
    pairs = ((field, Location("the drawn inputs", field.name)) for field in codec.schema.inputs)
    return replace(examples, inputs={item.name: coerce(columns[item.name], item, at) for item, at in pairs})
