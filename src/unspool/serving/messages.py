"""Requests and answers of the server: they check, describe themselves in OpenAPI, and are what the client sends."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from unspool.options import Beam, Decoding, Positive, Sampling, Typical, Unknown

Steps = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Seed = Annotated[int, Meta(ge=0, extra_json_schema={"maximum": 2**64 - 1})]
InputRow = dict[str, Any]
Inputs = Annotated[
    dict[str, Any] | list[InputRow] | None,
    Meta(
        description="Columns with one value for all rows or a list with one for each; or a list of rows. "
        "Columns that are left out are drawn, and without any, `n` rows of inputs are."
    ),
]
Prefix = Annotated[Any, Meta(description="First steps: one sequence for all rows, or a list with one for each.")]


class SamplingRule(
    Sampling,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag="sampling",
    tag_field="kind",
):
    """`Sampling(...)`: every step is sampled."""


class BeamRule(
    Beam, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, tag="beam", tag_field="kind"
):
    """`Beam(...)`: the likeliest sequences."""


class TypicalRule(
    Typical, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, tag="typical", tag_field="kind"
):
    """`Typical(...)`: the sample that is nearest to others, by the default distance."""

    distance: None = None


RuleMessage = Literal["sample", "greedy", "beam", "typical"] | SamplingRule | BeamRule | TypicalRule
RULE_KINDS: dict[type[Any], type[Any]] = {Sampling: SamplingRule, Beam: BeamRule, Typical: TypicalRule}
"""By class of options, that which a request holds."""


def rule_message(rule: Decoding | str) -> Any:
    """A rule as a request holds it.

    Examples:
        >>> msgspec.json.encode(rule_message(Sampling(temperature=0.5)))
        b'{"kind":"sampling","temperature":0.5}'
    """
    return rule if isinstance(rule, str) else RULE_KINDS[type(rule)](**msgspec.structs.asdict(rule))


class GenerateRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What to generate; the fields are the arguments of `OneToMany.generate`.

    A pin is `{step: {column: value}}` with steps counted from 0; `allow` is `{column: [values]}` of categories, and
    `{column: [low, high]}` of numbers. `long` asks for a table with a row for each step.
    """

    inputs: Inputs = None
    n: Positive = 1
    length: Steps | None = None
    seed: Seed | None = None
    rule: RuleMessage = "sample"
    prefix: Prefix = None
    pin: dict[Steps, InputRow] | list[dict[Steps, InputRow]] | None = None
    allow: dict[str, list[Any]] | None = None
    unknown: Unknown = "refuse"
    long: bool | None = None


class ScoreRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Sequences to score, in the layout of the training data; the fields are the arguments of `OneToMany.log_prob`."""

    data: dict[str, Any] | list[InputRow]
    errors: Literal["raise", "nan"] = "raise"
    by_field: bool = False


class NextStepRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the next step is asked after; the fields are the arguments of `OneToMany.next_step`."""

    inputs: Inputs = None
    prefix: Prefix = None
    samples: Annotated[int, Meta(ge=1, le=4096)] = 256
    seed: Seed = 0


class GeneratedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """GeneratedAnswer sequences, `n` for every row of inputs, row after row.

    `hash` is that of the model; the same hash, seed and request give the same sequences again. `inputs` are those that
    were drawn, of every sequence; `nats` are log-probabilities of a beam search.
    """

    model: str
    hash: str
    seed: int
    sequences: list[Any]
    rows: list[int]
    ended: list[bool]
    inputs: dict[str, list[Any]] | None = None
    nats: list[float] | None = None


class Step(msgspec.Struct, frozen=True):
    """One step of a stream: `row`, `sample` and `step` are counted from 0."""

    row: int
    sample: int
    step: int
    value: Any


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """Log-probability of every sequence in nats; or of every field, then of the stops. `null` is no number."""

    model: str
    hash: str
    log_prob: list[float | list[float | None] | None]


class NextStepAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The distribution of the next step of one row, see `NextStep`: pairs of a value or quantile and a number."""

    end: float
    probabilities: dict[str, list[tuple[Any, float]]]
    quantiles: dict[str, list[tuple[float, Any]]]
    missing: dict[str, float]


class NextSteps(msgspec.Struct, frozen=True, kw_only=True):
    """The next step of every row."""

    model: str
    hash: str
    steps: list[NextStepAnswer]


class ModelCard(msgspec.Struct, frozen=True, kw_only=True):
    """A model: what it takes and gives, and what is known about it.

    `inputs` is the JSON Schema of a row of inputs, and `step` that of a step; `schema` has the fields as the model file
    has them; `summary` says what happened in training.
    """

    model: str
    hash: str
    inputs: dict[str, Any]
    step: dict[str, Any]
    schema: Any
    summary: Any


class ModelList(msgspec.Struct, frozen=True):
    """The models of this server."""

    models: list[str]
