"""GeneratedAnswer sequences in the form that a client accepts, and steps as events of a stream."""

import io
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import msgspec
import numpy as np

from unspool.jobs import Event
from unspool.sequences import Sequences
from unspool.serving.messages import GeneratedAnswer, GenerateRequest, Step
from unspool.serving.problems import Refusal

STREAM_TYPE = "text/event-stream"
TABLE_TYPES = {
    "application/jsonl": "jsonl",
    "application/x-ndjson": "jsonl",
    "text/csv": "csv",
    "application/vnd.apache.parquet": "parquet",
    "application/vnd.apache.arrow.stream": "arrow",
}
"""Media types of tables."""
JSON_TYPE = "application/json"
ANSWER_TYPES = (JSON_TYPE, *TABLE_TYPES, STREAM_TYPE)
"""Media types of generated sequences, the default first."""


def accepted(header: str, offered: tuple[str, ...] = ANSWER_TYPES) -> str:
    """The media type that a client likes best, the first of the offered ones among equals.

    Raises:
        Refusal: it accepts none of them.

    Examples:
        >>> accepted("text/csv;q=0.5, application/vnd.apache.parquet"), accepted("text/*"), accepted("")
        ('application/vnd.apache.parquet', 'text/csv', 'application/json')
    """
    liked: dict[str, float] = {}
    for part in (header or "*/*").split(","):
        name, *parameters = (text.strip().lower() for text in part.split(";"))
        weights = [text[2:] for text in parameters if text.startswith("q=")]
        try:
            liked[name] = float(weights[0]) if weights else 1.0
        except ValueError:
            liked[name] = 0.0

    def weight(kind: str) -> float:
        return next(
            (liked[name] for name in (kind, f"{kind.split('/', maxsplit=1)[0]}/*", "*/*") if name in liked), 0.0
        )

    best = max(offered, key=weight)
    if not weight(best) > 0:
        raise Refusal(HTTPStatus.NOT_ACCEPTABLE, "header Accept", f"one of {', '.join(offered)}", header)
    return best


def plain(value: Any) -> Any:
    """A value of NumPy as one of Python, for JSON."""
    return value.tolist() if isinstance(value, (np.generic, np.ndarray)) else str(value)


encode = msgspec.json.Encoder(enc_hook=plain).encode


def answer(made: Sequences, kind: str, wanted: GenerateRequest, model: str, digest: str) -> bytes:
    """Sequences as a body of a media type. That of a table is the file that `Sequences.save` writes."""
    if kind == JSON_TYPE:
        return encode(generated(made, wanted, model, digest))
    file = io.BytesIO()
    if TABLE_TYPES[kind] == "arrow":
        import pyarrow as pa

        table = made.to_arrow(long=wanted.long)
        with pa.ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table)
    else:
        made.save(file, format=TABLE_TYPES[kind], long=wanted.long)
    return file.getvalue()


def generated(made: Sequences, wanted: GenerateRequest, model: str, digest: str) -> GeneratedAnswer:
    """Sequences with what gives them again."""
    schema, names = made.codec.schema, made.drawn
    if wanted.inputs is None and not schema.is_unconditional:
        names = tuple(field.name for field in schema.inputs)
    columns = made.to_dict(long=False) if names else {}
    return GeneratedAnswer(
        model=model,
        hash=digest,
        seed=made.seed,
        sequences=list(made),
        rows=made.rows.tolist(),
        ended=made.ended.tolist(),
        inputs={name: columns[name] for name in names} or None,
        nats=None if made.nats is None else made.nats.tolist(),
    )


class EventId(msgspec.Struct, frozen=True):
    """The place of an event: all that is needed to go on behind it.

    Attributes:
        digest: hash of the model.
        seed: of the request.
        step: of the event, as are `row` and `sample`.
    """

    digest: str
    seed: int
    step: int
    row: int
    sample: int

    @classmethod
    def of(cls, text: str) -> "EventId":
        """The place that a client has got to.

        Raises:
            Refusal: it is none of this server's.

        Examples:
            >>> EventId.of("2b5d-7-0-1-2").seed
            7
        """
        digest, *numbers = text.strip().split("-")
        if len(numbers) != 4 or not all(part.isascii() and part.isdecimal() and len(part) < 21 for part in numbers):
            expected = "the id of an event of this server"
            raise Refusal(HTTPStatus.BAD_REQUEST, "header Last-Event-ID", expected, repr(text[:60]))
        return cls(digest, *map(int, numbers))

    @property
    def order(self) -> tuple[int, int, int]:
        """Events come in this order."""
        return self.step, self.row, self.sample


def events_after(events: Iterator[Event], last: EventId | None, digest: str, seed: int) -> bytes:
    """Events as server-sent ones, but those up to the last one that the client has."""
    order = None if last is None else last.order
    lines: list[bytes] = []
    for row, sample, step, value in events:
        if order is None or (step, row, sample) > order:
            place = f"id: {digest}-{seed}-{step}-{row}-{sample}\ndata: "
            lines += place.encode(), encode(Step(row, sample, step, value)), b"\n\n"
    return b"".join(lines)
