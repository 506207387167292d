"""`unspool generate` and `unspool sample`: a model file in, sequences out."""

import io
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from unspool.cli.arguments import typed_allow, typed_inputs, typed_pins
from unspool.cli.files import check_writable, open_model
from unspool.cli.flags import BEAM, SAMPLING, BeamFlags, SamplingFlags, rule_from
from unspool.errors import OptionError, readable
from unspool.options import Beam, Decoding, Sampling, Unknown

if TYPE_CHECKING:
    from unspool.encoding.codec import Codec
    from unspool.model import OneToMany
    from unspool.sequences import Sequences

Format = Literal["lines", "csv", "tsv", "jsonl", "json", "parquet"]
KNOWN = Group("Values that are known or allowed", sort_key=2)
OUTPUT = Group("Output", sort_key=3)


@dataclass(frozen=True, kw_only=True)
class SequenceFlags:
    """The flags of both `unspool generate` and `unspool sample`.

    Args:
        length: exact number of steps; by default the network decides where a sequence ends.
        seed: seed of the samples, a whole number.
        prefix: the first steps of every sequence: text as it is, other sequences as JSON such as [1,2].
        pin: STEP.NAME=VALUE, a known value, steps counted from 0; an empty VALUE is missing. Repeat it for more.
        allow: NAME=VALUE,VALUE of a category or NAME=LOW..HIGH of a number: nothing else is sampled. Repeat it for
            more.
        output: the file to write: .csv, .tsv, .jsonl, .json or .parquet.
        format: the format, where neither the file's name nor a terminal decides.
        escape_formulas: in CSV, put an apostrophe before texts that a spreadsheet would run as formulas.
        long: a row per step, or with --wide a row per sequence; by default as in the training data.
    """

    length: int | None = None
    seed: int | None = None
    prefix: Annotated[str | None, Parameter(group=KNOWN)] = None
    pin: Annotated[list[str] | None, Parameter(group=KNOWN)] = None
    allow: Annotated[list[str] | None, Parameter(group=KNOWN)] = None
    output: Annotated[str | None, Parameter(alias="-o", group=OUTPUT)] = None
    format: Annotated[Format | None, Parameter(alias="-f", group=OUTPUT)] = None
    escape_formulas: Annotated[bool, Parameter(group=OUTPUT)] = False
    long: Annotated[bool | None, Parameter(negative="--wide", group=OUTPUT)] = None

    def check_output(self) -> None:
        """Refuse files that can't be written, and formats that don't fit the output, before anything is generated."""
        if self.output is None:
            if self.format == "parquet" and sys.stdout.isatty():
                raise OptionError("--format parquet", "a file or a pipe", "a terminal", "Name a file with -o.")
            return
        if self.format is None:
            from unspool.tables.readers import format_of

            format_of(self.output)
        check_writable(Path(self.output))
        if self.format == "lines":
            raise OptionError("--format lines", "standard output", self.output)

    @property
    def in_lines(self) -> bool:
        """Whether to print sequences as lines rather than as a table."""
        return self.output is None and (self.format or ("lines" if sys.stdout.isatty() else "csv")) == "lines"

    @property
    def file_form(self) -> dict[str, Any]:
        """The options of a file."""
        return {"long": self.long, "format": self.format, "escape_formulas": self.escape_formulas}

    @property
    def target(self) -> Any:
        """The file or stream for a table; a terminal gets readable text."""
        if self.output is not None:
            return self.output
        return Terminal() if sys.stdout.isatty() else sys.stdout.buffer

    def options(self, codec: "Codec", rule: Decoding) -> dict[str, Any]:
        """The options of `OneToMany.generate`, with a new seed if the user gave none."""
        return {
            "length": self.length,
            "seed": secrets.randbits(32) if self.seed is None else self.seed,
            "rule": rule,
            "prefix": None if self.prefix is None else _prefix(self.prefix, codec),
            "pin": typed_pins(codec, self.pin),
            "allow": typed_allow(codec, self.allow),
        }

    def print_seed(self, options: dict[str, Any]) -> None:
        """Print the seed that gives the same sequences again, if Unspool has taken a new one."""
        rule, seed = options["rule"], options["seed"]
        if self.seed is None and not isinstance(rule, Beam) and not (isinstance(rule, Sampling) and rule.greedy):
            print(f"seed {seed}; --seed {seed} gives these sequences again", file=sys.stderr)


class Terminal(io.TextIOBase):
    """Standard output for lines that may hold anything: characters that steer a terminal are escaped."""

    def write(self, text: str) -> int:
        """Write the text, escaped."""
        return sys.stdout.write(readable(text, len(text)))


SEQUENCE = Parameter(name="*")


def generate(
    model: str,
    *,
    input: Annotated[list[str] | None, Parameter(alias="-i")] = None,  # noqa: A002
    inputs_from: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    unknown: Unknown = "refuse",
    n: Annotated[int, Parameter(name="-n")] = 1,
    sequence: Annotated[SequenceFlags, SEQUENCE] = SequenceFlags(),
    stream: Annotated[bool, Parameter(group=OUTPUT)] = False,
    sampling: Annotated[SamplingFlags, SAMPLING] = SamplingFlags(),  # noqa: B008
    beam: Annotated[BeamFlags, BEAM] = BeamFlags(),  # noqa: B008
) -> None:
    """Generate sequences for inputs that you give.

    ```
    unspool generate names.unspool -i country=Irish -n 5
    unspool generate names.unspool -i country=Irish -i country=Greek -n 100 --temperature 0.8 --seed 1 -o names.csv
    unspool generate names.unspool -i country=Irish --beam 8 --best 3
    unspool generate storms.unspool -i lat=14 -i long=-60 --pin 3.status=hurricane --pin 3.wind=80 -n 100
    cat inputs.csv | unspool generate storms.unspool --inputs-from - --long -f jsonl | head
    ```

    Sequences go to standard output: a line each in a terminal, CSV otherwise. The same seed gives the same sequences.
    Without --seed, Unspool takes a new seed and prints it on standard error. Inputs that you don't give are drawn,
    given the others; to draw all of them, use `unspool sample`.

    Args:
        model: the model file.
        input: NAME=VALUE of an input; an empty VALUE is missing. Repeat it for more inputs; repeat a NAME for a row of
            each VALUE. A vector is written 255,0,0.
        inputs_from: a table of inputs, CSV, JSON, JSON lines or Parquet, or - for standard input.
        unknown: what becomes of a category among the inputs that training never saw; missing reads it as a missing one.
        n: sequences for each row of inputs.
        sequence: its options.
        stream: print each step as soon as it is sampled: the characters of a single text, JSON lines otherwise.
        sampling: its options.
        beam: its options.
    """
    rule = rule_from(sampling, beam)
    if stream and (sequence.output is not None or sequence.format not in (None, "lines", "jsonl")):
        raise OptionError("--stream", "standard output, as lines or jsonl", f"{sequence.output or sequence.format}")
    sequence.check_output()
    loaded = open_model(model)
    inputs = typed_inputs(loaded.codec_, input, inputs_from)
    options = sequence.options(loaded.codec_, rule) | {"unknown": unknown}
    if stream:
        _stream(loaded, inputs, n, options, sequence.format)
    elif sequence.in_lines:
        print_lines(loaded.generate(inputs, n, **options))
    else:
        loaded.generate_to(sequence.target, inputs, n, **sequence.file_form, **options)
    sequence.print_seed(options)


def sample(
    model: str,
    *,
    n: Annotated[int, Parameter(name="-n")],
    sequence: Annotated[SequenceFlags, SEQUENCE] = SequenceFlags(),
    sampling: Annotated[SamplingFlags, SAMPLING] = SamplingFlags(),  # noqa: B008
    beam: Annotated[BeamFlags, BEAM] = BeamFlags(),  # noqa: B008
) -> None:
    """Sample inputs as in training, and a sequence for each: a whole synthetic table.

    ```
    unspool sample names.unspool -n 1000 -o synthetic.csv
    unspool sample storms.unspool -n 5 --seed 1
    ```

    Args:
        model: the model file.
        n: rows of inputs, with a sequence each.
        sequence: its options.
        sampling: its options.
        beam: its options.
    """
    rule = rule_from(sampling, beam)
    sequence.check_output()
    loaded = open_model(model)
    options = sequence.options(loaded.codec_, rule)
    if sequence.in_lines:
        print_lines(loaded.sample(n, **options), labelled=True)
    else:
        loaded.sample_to(sequence.target, n, **sequence.file_form, **options)
    sequence.print_seed(options)


def _prefix(text: str, codec: "Codec") -> Any:
    if codec.schema.form == "text":
        return text
    import msgspec

    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise OptionError("--prefix", "the first steps as JSON, such as [1,2]", repr(text), str(error)) from None


def print_lines(sequences: "Sequences", *, labelled: bool = False) -> None:
    """Print a line for each sequence, after its inputs if there are several, or if `labelled`."""
    labels = [sequences.label(k) for k in range(len(sequences))]
    width = max(map(len, labels), default=0)
    for label, value in zip(labels, sequences, strict=True):
        line = (f"{label:<{width}}  " if labelled or len(sequences.inputs) > 1 else "") + _as_line(value)
        print(readable(line, len(line)))


def _as_line(value: Any) -> str:
    """A sequence as a line of text."""
    if isinstance(value, str):
        return value
    if value and isinstance(value[0], dict):
        return "  ".join(" ".join(f"{name}={_number(item)}" for name, item in step.items()) for step in value)
    return " ".join("(" + " ".join(map(_number, v)) + ")" if isinstance(v, list) else _number(v) for v in value)


def _number(value: Any) -> str:
    return "-" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def _stream(model: "OneToMany", inputs: Any, n: int, options: dict[str, Any], format: Format | None) -> None:  # noqa: A002
    import msgspec

    alone = model.codec_.schema.form == "text" and len(inputs) * n == 1
    if format == "lines" and not alone:
        raise OptionError("--stream --format lines", "one single text", "several sequences, or no text", "Use jsonl.")
    as_text = alone and format != "jsonl"
    for event in model.stream(inputs, n, **options):
        if as_text:
            print(readable(event.value), end="", flush=True)
        else:
            line = msgspec.json.encode(event._asdict()).decode()
            print(readable(line, len(line)), flush=True)
    if as_text:
        print()
