"""From a codec to a network: which arrays the fitted columns need."""

from collections.abc import Mapping
from types import MappingProxyType

from unspool.codec.codec import Codec
from unspool.codec.columns import Dates, InputColumn, Reals, StepColumn, Symbols
from unspool.network.heads.base import Head
from unspool.network.heads.nullable import Nullable
from unspool.network.heads.numbers import Mixture, Normal, Point, StudentT
from unspool.network.heads.symbols import Categorical
from unspool.network.net import Reals as RealInput
from unspool.network.net import Shape
from unspool.network.net import Symbols as SymbolInput
from unspool.options import Network
from unspool.schema.fields import AnyField, Number
from unspool.schema.inference import DEFAULT_HEAD

NUMBER_HEADS: Mapping[str, Head] = MappingProxyType(
    {"normal": Normal(), "student_t": StudentT(), "mixture": Mixture(), "point": Point()}
)
"""The head that each choice of a `Number` means; inference has decided what `"auto"` is."""


def shape_of(codec: Codec, options: Network, size: int, embedding: int) -> Shape:
    """The shape of the network for fitted columns.

    Args:
        codec: the fitted columns.
        options: of the network.
        size: hidden units.
        embedding: width of a symbol's embedding.
    """
    heads = tuple(_head(field, column) for field, column in zip(codec.schema.steps, codec.steps, strict=True))
    return Shape(tuple(map(_input, codec.inputs)), heads, codec.shortest < codec.longest, size, embedding, options)


def _input(column: InputColumn) -> SymbolInput | RealInput:
    if isinstance(column, Symbols):
        return SymbolInput(len(column.values))
    if isinstance(column, Reals):
        return RealInput(column.dim)
    return RealInput(1 + 2 * len(column.cycles) if isinstance(column, Dates) else 1)


def _head(field: AnyField, column: StepColumn) -> Head:
    if isinstance(column, Symbols):
        return Categorical(len(column.values), column.unseen)
    head = NUMBER_HEADS[field.head if isinstance(field, Number) else DEFAULT_HEAD]
    return Nullable(head) if column.nullable else head
