"""What one request may ask for."""

import warnings
from http import HTTPStatus
from typing import Any, NamedTuple

from unspool.jobs import Fitted, GenerationJob, GenerationOptions, generation_job, sampling_job
from unspool.runtime.process import free_memory
from unspool.serving.messages import GenerateRequest, NextStepRequest
from unspool.serving.problems import Refusal

BYTES_PER_VALUE = 200
"""Bytes of a value on its way to an answer, about."""
ALWAYS_FREE = 1 << 20
"""Bytes of a request so small that nobody asks whether they are free: the question takes longer than its answer."""
PAIRS_PER_STEP = 64
"""Pairs of samples whose comparison takes about as long as a step."""


class Limits(NamedTuple):
    """What one request may ask for, and how many may be under way.

    Attributes:
        sequences: rows of inputs times samples, or times hypotheses.
        steps: of one sequence.
        total: of all sequences of a request.
        stream: sequences of a stream, whose steps come side by side.
        body: bytes.
        queue: requests of a model.
        kinds: of requests whose programs are compiled for a model: sets of rules and of columns with constraints.
        seconds: in which a body must arrive.
    """

    sequences: int = 100_000
    steps: int = 100_000
    total: int = 10_000_000
    stream: int = 1_024
    body: int = 1 << 20
    queue: int = 256
    kinds: int = 64
    seconds: float = 20.0

    def job(self, fitted: Fitted, wanted: GenerateRequest, stream: bool) -> GenerationJob:
        """The checked generation of a request, within the limits; without inputs, that of `OneToMany.sample`."""
        names = ("length", "seed", "rule", "prefix", "pin", "allow", "unknown")
        options = GenerationOptions.of({name: getattr(wanted, name) for name in names})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check_size("n", wanted.n, self.sequences)
            if wanted.inputs is None and not fitted.codec.schema.is_unconditional:
                job = sampling_job(fitted, wanted.n, options)
            else:
                job = generation_job(fitted, wanted.inputs, wanted.n, options)
        samples = job.request.samples if job.beam is None else job.beam.width
        sequences = max(job.total, job.total // max(job.request.samples, 1) * samples)
        steps = job.request.max_steps
        check_size("rows times n", sequences, self.sequences)
        check_size("steps", steps, self.steps)
        cost = sequences * (steps + (samples // PAIRS_PER_STEP * steps if job.reranking is not None else 0))
        check_size("steps of all sequences", cost, self.total)
        fields = len(fitted.net.shape.steps.params)
        needed = sequences * steps * fields * BYTES_PER_VALUE
        if needed > ALWAYS_FREE:
            check_size("bytes of memory", needed, free_memory())
        if stream:
            check_size("sequences of a stream", sequences, self.stream)
            if job.beam is not None or job.reranking is not None:
                place, cure = "body.rule", "Accept another type than text/event-stream."
                raise Refusal(
                    HTTPStatus.UNPROCESSABLE_ENTITY, place, "a rule that samples, for a stream", "a search", cure
                )
        return job

    def check_kinds(self, known: int) -> None:
        """Refuse a request of another kind than those, so many, whose programs a model has."""
        if known >= self.kinds:
            expected = f"one of the {self.kinds} combinations whose programs are there"
            cure = "Ask for a combination of before, or let the server have more: unspool serve --max-kinds."
            place = "body: rule, and columns of allow, prefix and pin"
            raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, place, expected, "another one", cure)

    def check_next_step(self, wanted: NextStepRequest) -> None:
        """Refuse a question about the next step that takes too long."""
        cost = longest(wanted.inputs) * wanted.samples * (longest(wanted.prefix) + 1)
        check_size("rows times samples times steps", cost, self.total)


def check_size(name: str, count: int, most: int) -> None:
    """Refuse what is larger than a limit."""
    if count > most:
        status, cure = HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Send smaller requests."
        raise Refusal(status, f"body: {name}", f"at most {most:,}", f"{count:,}", cure)


def longest(value: Any) -> int:
    """Items of the longest list, or letters of the longest text, in columns, rows or sequences.

    Examples:
        >>> longest({"a": [1, 2, 3], "b": 1}), longest(["ab", "c"]), longest(None)
        (3, 2, 1)
    """
    parts = [*value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    own = len(value) if isinstance(value, (list, str)) else 1
    return max([own, *(len(part) for part in parts if isinstance(part, (list, str)))])
