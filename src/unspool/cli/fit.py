"""`unspool fit`: a table in, a model file out."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from unspool.cli.flags import NETWORK, TRAINING, NetworkFlags, TrainingFlags, options
from unspool.cli.streams import names, pairs, source, writable
from unspool.errors import OptionError
from unspool.options import Network, Training
from unspool.schema.fields import Category, Count, Field, First, Flag, Number, Text, Vector, When

if TYPE_CHECKING:
    from unspool.model import OneToMany

KINDS: tuple[type[Field], ...] = (Category, Number, Count, Text, Flag, When, Vector)


def fit(
    data: Annotated[str, Parameter(allow_leading_hyphen=True)],
    *,
    inputs: Annotated[list[str] | None, Parameter(alias="-i")] = None,
    sequence: Annotated[list[str] | None, Parameter(alias="-s")] = None,
    output: Annotated[Path, Parameter(alias="-o")],
    id: str | None = None,  # noqa: A002
    order: str | None = None,
    steps: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    first: list[str] | None = None,
    category: list[str] | None = None,
    number: list[str] | None = None,
    count: list[str] | None = None,
    text: list[str] | None = None,
    flag: list[str] | None = None,
    when: list[str] | None = None,
    vector: list[str] | None = None,
    transform: list[str] | None = None,
    dist: list[str] | None = None,
    mean: list[str] | None = None,
    unit: list[str] | None = None,
    combination: list[str] | None = None,
    checkpoint: Path | None = None,
    seed: int = 0,
    quiet: Annotated[bool, Parameter(alias="-q")] = False,
    json: bool = False,
    network: Annotated[NetworkFlags, NETWORK] = NetworkFlags(),  # noqa: B008
    training: Annotated[TrainingFlags, TRAINING] = TrainingFlags(),  # noqa: B008
) -> int:
    """Learn from a table, and write a model file.

    ```
    unspool fit names.csv -i country -s name -o names.unspool
    unspool fit storms.parquet --first lat,long -s lat,long,wind --id storm --order time -o storms.unspool
    zcat prices.csv.gz | unspool fit - -i sector -s price --transform price=log_return --seconds 60 -o prices.unspool
    ```

    The kinds of the columns are inferred and shown; --category, --number and their like decide otherwise. Columns are
    separated by commas, or the option is repeated; a name that holds a comma goes in double quotes. Ctrl-C ends the
    training and keeps the best model found so far.

    Args:
        data: the table: CSV, TSV, JSON, JSON lines or Parquet by the file's name, or - for standard input.
        inputs: columns that are known beforehand: the one.
        sequence: the column that holds the sequences, or the columns of a step: the many.
        output: the model file to write.
        id: in a table with a row per step, the column that says which steps belong together.
        order: the column that orders them.
        steps: the table of steps, when DATA has the inputs.
        first: columns of a step whose first value is the input; * means all of them.
        category: columns that are categories, whatever they look like.
        number: columns that are numbers.
        count: columns that are whole numbers from 0 on.
        text: columns that are text.
        flag: columns that are true or false.
        when: columns that are dates.
        vector: columns that are lists of numbers of one length.
        transform: COLUMN=TRANSFORM, of none, standardize, log1p, asinh, difference, log_return, gap,
            drop; what is seen as gaps never falls, what is seen as drops never rises.
        dist: COLUMN=HEAD, the distribution of a number, of normal, student_t, mixture,
            discretized, histogram, point.
        mean: COLUMN=MEAN, whether the mean of a number may follow input and history, of learned,
            constant; constant is for returns on a market and their like.
        unit: COLUMN=UNIT, what a step of a text is, of char, word, bpe.
        combination: categories of a step, such as city,state, of which only the combinations that training saw are
            generated. Repeat it for others.
        checkpoint: a folder to save the training to; the same command goes on from there.
        seed: of all that is random in training.
        quiet: print nothing but errors.
        json: print the result as a JSON object.
        network: its options.
        training: its options.
    """
    wanted = [*names(inputs), *([First(*(name for name in names(first) if name != "*"))] if first else [])]
    kinds = dict(zip(KINDS, map(names, (category, number, count, text, flag, when, vector)), strict=True))
    of_numbers = {
        "transform": pairs(transform, "--transform"),
        "distribution": pairs(dist, "--head"),
        "mean": pairs(mean, "--mean"),
    }
    given = overrides(kinds, of_numbers, pairs(unit, "--unit"))
    fields, columns = placed(wanted, names(sequence), given, inner=id is None)
    network, training = options(Network, network), options(Training, training)
    writable(output)
    from unspool.runtime.compilation_cache import keep_compiled

    keep_compiled()
    from unspool.model import OneToMany

    verbose = False if quiet else None
    together = [names([text]) for text in combination or ()] or None
    model = OneToMany(
        fields, columns, network=network, training=training, combinations=together, seed=seed, verbose=verbose
    )
    model.fit(source(data), source(steps) if steps else None, id=id, order=order, checkpoint=checkpoint)
    model.save(output)
    report(model, output, quiet=quiet, json=json)
    return 130 if model.summary_.stopped == "interrupted" else 0


def overrides(
    kinds: Mapping[type[Field], list[str]],
    of_numbers: Mapping[str, Mapping[str, str]],
    units: Mapping[str, str],
) -> dict[str, Field]:
    """The fields that the command line decides, by name.

    Args:
        kinds: columns by kind.
        of_numbers: by option of a number, what it is of which column.
        units: of texts.

    Raises:
        OptionError: one column is given two kinds; an unknown transform, distribution, mean or unit.
    """
    fields: dict[str, Field] = {}
    for kind, columns in kinds.items():
        for name in columns:
            if name in fields:
                raise OptionError(f"column {name!r}", "one kind", f"{fields[name].kind} and {kind.__name__}")
            fields[name] = kind(name)
    for name in dict.fromkeys(name for columns in of_numbers.values() for name in columns):
        if not isinstance(fields.get(name, Number(name)), Number):
            raise OptionError(f"column {name!r}", f"a number, to have a {' or '.join(of_numbers)}", fields[name].kind)
        told: dict[str, Any] = {option: columns[name] for option, columns in of_numbers.items() if name in columns}
        fields[name] = type(fields.get(name, Number(name)))(name, **told)
    for name, unit in units.items():
        if not isinstance(fields.get(name, Text(name)), Text):
            raise OptionError(f"column {name!r}", "a text, to have a unit", fields[name].kind)
        fields[name] = Text(name, unit)  # type: ignore[arg-type]  # which checks it
    return fields


def placed(inputs: list[Any], sequence: list[str], given: dict[str, Field], *, inner: bool) -> tuple[list[Any], Any]:
    """Inputs and sequence as `OneToMany` takes them, with the overriding fields in their places.

    Args:
        inputs: column names, and perhaps a `First`.
        sequence: column names.
        given: fields by name.
        inner: whether other fields may lie inside of the records of the sequence column.

    Raises:
        OptionError: a column is neither input nor sequence.
    """
    wanted = [given.get(name, name) if isinstance(name, str) else name for name in inputs]
    columns: Any = [given.get(name, name) for name in sequence]
    rest = {name: field for name, field in given.items() if name not in inputs and name not in sequence}
    if rest and inner and len(sequence) == 1:
        return wanted, {sequence[0]: list(rest.values())}
    if rest:
        hint = "Name it in --inputs or --sequence too."
        raise OptionError(f"column {next(iter(rest))!r}", "one of the inputs or of the sequence", "neither", hint)
    return wanted, (columns[0] if len(columns) == 1 else columns) or None


def report(model: "OneToMany", output: Path, *, quiet: bool, json: bool) -> None:
    """The result: one line for people on standard error, or one JSON object on standard output."""
    summary = model.summary_
    if json:
        import msgspec

        result = {"file": str(output), "bytes": output.stat().st_size, **msgspec.structs.asdict(summary)}
        del result["rounds"]
        print(msgspec.json.encode(result).decode())
    elif not quiet:
        what = "held-out" if summary.validation else "training"
        kept = f", ended: {summary.stopped}" if summary.stopped in ("interrupted", "time") else ""
        size = f"{output.stat().st_size / 1000:,.0f} kB"
        line = f"{output}: {summary.nats:.3f} {what} nats a step, {summary.seconds:.0f} s, {size}{kept}"
        print(line, file=sys.stderr)
