"""What the model makes for the inputs of real examples, in the form of real examples."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unspool.dataset.examples import Examples
from unspool.encoding.codec import Codec, Encoded
from unspool.encoding.columns import Vocabulary
from unspool.encoding.multilabel import MultiLabel
from unspool.generation.sampler import SampleRequest, sample_sequences
from unspool.generation.support import with_support
from unspool.network.decoder import Net
from unspool.network.distributions.rules import Rule
from unspool.options import Sampling
from unspool.schema.coercion import code_points
from unspool.tables.columns import offsets_from_lengths


class Made(NamedTuple):
    """Generated sequences.

    Attributes:
        examples: in original units.
        encoded: the same as the network drew them, without log-Jacobians.
        ended: (N,) whether each ended by itself, rather than at the limit.
    """

    examples: Examples
    encoded: Encoded
    ended: NDArray[np.bool_]


def made(net: Net, codec: Codec, examples: Examples, encoded: Encoded, samples: int, seed: int) -> Made:
    """Sequences drawn as the model has learned them: the default rule, and lengths of its own.

    Args:
        net: the network.
        codec: its fitted columns.
        examples: whose inputs sequences are made for.
        encoded: the same, as the network sees them.
        samples: sequences per input, row after row.
        seed: of all uniforms.

    Returns:
        `samples` times as many sequences.
    """
    request = SampleRequest(
        inputs=encoded.inputs,
        samples=samples,
        seed=seed,
        rule=Rule.of(Sampling()),
        length=codec.longest if codec.shortest == codec.longest else None,
        limit=max(2 * codec.longest, 1),
    )
    values, offsets, ended = sample_sequences(net, with_support(request, codec, examples.first, len(examples)))
    as_drawn = offsets
    rows = np.repeat(np.arange(len(examples)), samples)
    first = {name: base[rows] for name, base in examples.first.items()}
    steps = codec.decode(values, offsets, first)
    for field, column, codes in zip(codec.schema.steps, codec.steps, values, strict=True):
        if isinstance(column, Vocabulary) and column.text:  # examples hold code points
            pieces = steps[field.name]
            steps[field.name] = code_points(pieces)
            offsets = offsets_from_lengths(np.array([len(piece) for piece in pieces.tolist()], np.int64))[offsets]
        elif isinstance(column, MultiLabel):  # and a block as one array
            steps[field.name] = codes
    inputs = {name: column[rows] for name, column in examples.inputs.items()}
    whole = Examples(inputs, steps, offsets, first, location="what the model made")
    drawn = Encoded(tuple(column[rows] for column in encoded.inputs), tuple(values), as_drawn, ())
    return Made(whole, drawn, np.asarray(ended, np.bool_))
