"""`unspool generate`: a model file and inputs in, sequences out."""

import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from unspool.cli.arguments import typed_allow, typed_inputs, typed_pins
from unspool.cli.files import check_writable, open_model
from unspool.cli.flags import BEAM, SAMPLING, BeamFlags, SamplingFlags, rule_from
from unspool.errors import OptionError
from unspool.options import Beam

if TYPE_CHECKING:
    from unspool.encoding.codec import Codec
    from unspool.model import OneToMany
    from unspool.sequences import Sequences

Format = Literal["lines", "csv", "tsv", "jsonl", "json", "parquet"]
KNOWN = Group("Values that are known or allowed", sort_key=2)
OUTPUT = Group("Output", sort_key=3)


def generate(
    model: str,
    *,
    input: Annotated[list[str] | None, Parameter(alias="-i")] = None,  # noqa: A002
    inputs_from: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    n: Annotated[int, Parameter(name="-n")] = 1,
    length: int | None = None,
    seed: int | None = None,
    prefix: Annotated[str | None, Parameter(group=KNOWN)] = None,
    pin: Annotated[list[str] | None, Parameter(group=KNOWN)] = None,
    allow: Annotated[list[str] | None, Parameter(group=KNOWN)] = None,
    output: Annotated[str | None, Parameter(alias="-o", group=OUTPUT)] = None,
    format: Annotated[Format | None, Parameter(alias="-f", group=OUTPUT)] = None,  # noqa: A002
    long: Annotated[bool | None, Parameter(negative="--wide", group=OUTPUT)] = None,
    stream: Annotated[bool, Parameter(group=OUTPUT)] = False,
    sampling: Annotated[SamplingFlags, SAMPLING] = SamplingFlags(),  # noqa: B008
    beam: Annotated[BeamFlags, BEAM] = BeamFlags(),  # noqa: B008
) -> None:
    """Generate sequences from a model file.

    ```
    unspool generate names.unspool -i country=Irish -n 5
    unspool generate names.unspool -i country=Irish -i country=Greek -n 100 --temperature 0.8 --seed 1 -o names.csv
    unspool generate names.unspool -i country=Irish --beam 8 --best 3
    unspool generate names.unspool -n 1000 -o synthetic.csv
    unspool generate storms.unspool --pin 3.status=hurricane --pin 3.wind=80 -n 100
    cat inputs.csv | unspool generate storms.unspool --inputs-from - --long -f jsonl | head
    ```

    Sequences go to standard output: a line each in a terminal, CSV otherwise. The same seed gives the same sequences.
    Without --seed, Unspool takes a new seed and prints it on standard error.

    Args:
        model: the model file.
        input: NAME=VALUE of an input. Repeat it for every input; repeat a NAME for a row of each VALUE. A vector is
            written 255,0,0. Without any input, Unspool draws inputs that resemble those of training.
        inputs_from: a table of inputs, CSV, JSON, JSON lines or Parquet, or - for standard input.
        n: sequences for each row of inputs. Without any input, the rows to draw, with a sequence each.
        length: exact number of steps; by default the network decides where a sequence ends.
        seed: seed of the draws, a whole number.
        prefix: the first steps of every sequence: text as it is, other sequences as JSON such as [1,2].
        pin: STEP.NAME=VALUE, a known value, steps counted from 0; an empty VALUE is missing. Repeat it for more.
        allow: NAME=VALUE,VALUE of a category or NAME=LOW..HIGH of a number: nothing else is drawn. Repeat it for more.
        output: the file to write: .csv, .tsv, .jsonl, .json or .parquet.
        format: the format, where neither the file's name nor a terminal decides.
        long: a row per step, or with --wide a row per sequence; by default as in the training data.
        stream: print each step as soon as it is drawn: the characters of a single text, JSON lines otherwise.
        sampling: its options.
        beam: its options.
    """
    rule = rule_from(sampling, beam)
    _check_output(output, format, stream=stream)
    loaded = open_model(model)
    codec = loaded.codec_
    table = typed_inputs(codec, input, inputs_from, needed=False)
    chosen = secrets.randbits(32) if seed is None else seed
    request: dict[str, Any] = {
        "n": n,
        "length": length,
        "seed": chosen,
        "rule": rule,
        "prefix": None if prefix is None else _prefix(prefix, codec),
        "pin": typed_pins(codec, pin),
        "allow": typed_allow(codec, allow),
    }
    if stream:
        _stream(loaded, table, request, format)
    elif output is None and (format or ("lines" if sys.stdout.isatty() else "csv")) == "lines":
        print_lines(loaded.generate(table, **request), labelled=table is None)
    else:
        target = sys.stdout.buffer if output is None else output
        loaded.generate_to(target, table, **request, long=long, format=format)
    if seed is None and not isinstance(rule, Beam) and not rule.greedy:
        print(f"seed {chosen}; --seed {chosen} gives these sequences again", file=sys.stderr)


def _check_output(output: str | None, format: Format | None, *, stream: bool) -> None:  # noqa: A002
    """Refuse output that can't be written, before anything is generated."""
    if stream and (output is not None or format not in (None, "lines", "jsonl")):
        raise OptionError("--stream", "standard output, as lines or jsonl", f"{output or format}")
    if output is not None and format is None:
        from unspool.tables.readers import format_of

        format_of(output)
    if output is not None:
        check_writable(Path(output))
    if format == "lines" and output is not None:
        raise OptionError("--format lines", "standard output", output)
    if format == "parquet" and output is None and sys.stdout.isatty():
        raise OptionError("--format parquet", "a file or a pipe", "a terminal", "Name a file with -o.")


def _prefix(text: str, codec: "Codec") -> Any:
    if codec.schema.form == "text":
        return text
    import msgspec

    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise OptionError("--prefix", "the first steps as JSON, such as [1,2]", repr(text), str(error)) from None


def print_lines(sequences: "Sequences", *, labelled: bool = False) -> None:
    """A line for each sequence, after its inputs where there are several.

    Args:
        sequences: as generated.
        labelled: whether the inputs stand before a single sequence too, because they were drawn.
    """
    labels = [sequences.label(k) for k in range(len(sequences))]
    width = max(map(len, labels), default=0)
    for label, value in zip(labels, sequences, strict=True):
        print((f"{label:<{width}}  " if labelled or len(sequences.inputs) > 1 else "") + as_line(value))


def as_line(value: Any) -> str:
    """One sequence, for people."""
    if isinstance(value, str):
        return value
    if value and isinstance(value[0], dict):
        return "  ".join(" ".join(f"{name}={_number(item)}" for name, item in step.items()) for step in value)
    return " ".join("(" + " ".join(map(_number, v)) + ")" if isinstance(v, list) else _number(v) for v in value)


def _number(value: Any) -> str:
    return "-" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def _stream(model: "OneToMany", table: Any, request: dict[str, Any], format: Format | None) -> None:  # noqa: A002
    import msgspec

    alone = model.codec_.schema.form == "text" and (1 if table is None else len(table)) * request["n"] == 1
    if format == "lines" and not alone:
        raise OptionError("--stream --format lines", "one single text", "several sequences, or no text", "Use jsonl.")
    events = model.stream(table, **request)
    if alone and format != "jsonl":
        for event in events:
            print(event.value, end="", flush=True)
        print()
        return
    for event in events:
        print(msgspec.json.encode(event._asdict()).decode(), flush=True)
