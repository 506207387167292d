"""`unspool fit`: a table in, a model file out."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter

from unspool.cli.arguments import column_names
from unspool.cli.fields import kinds_help, parse_fields
from unspool.cli.files import check_writable, source, wide_table
from unspool.cli.flags import NETWORK, TRAINING, NetworkFlags, TrainingFlags, options_from
from unspool.errors import OptionError, readable
from unspool.options import Network, Training
from unspool.schema.fields import Field, First
from unspool.schema.relations import AUTO

if TYPE_CHECKING:
    from unspool.model import OneToMany

COLUMNS = Group("Columns: names separated by commas, or the option repeated", sort_key=1)
KIND_OPTIONS = Group("Kinds of columns, in place of the inferred ones", help=kinds_help(), sort_key=2)
RESULT = Group("Result", sort_key=3)


def fit_file(
    data: Annotated[str, Parameter(allow_leading_hyphen=True, group=COLUMNS)],
    *,
    inputs: Annotated[list[str] | None, Parameter(alias="-i", group=COLUMNS)] = None,
    sequence: Annotated[list[str] | None, Parameter(alias="-s", group=COLUMNS)] = None,
    first: Annotated[list[str] | None, Parameter(group=COLUMNS)] = None,
    id: Annotated[str | None, Parameter(group=COLUMNS)] = None,  # noqa: A002
    order: Annotated[str | None, Parameter(group=COLUMNS)] = None,
    steps: Annotated[str | None, Parameter(allow_leading_hyphen=True, group=COLUMNS)] = None,
    wide: Annotated[str | None, Parameter(group=COLUMNS)] = None,
    field: Annotated[list[str] | None, Parameter(group=KIND_OPTIONS)] = None,
    combination: Annotated[list[str] | None, Parameter(group=KIND_OPTIONS)] = None,
    relation: Annotated[list[str] | None, Parameter(group=KIND_OPTIONS)] = None,
    output: Annotated[Path, Parameter(alias="-o", group=RESULT)],
    checkpoint: Annotated[Path | None, Parameter(group=RESULT)] = None,
    start: Annotated[Path | None, Parameter(group=RESULT)] = None,
    cache: Annotated[Path | None, Parameter(group=RESULT)] = None,
    seed: Annotated[int, Parameter(group=RESULT)] = 0,
    quiet: Annotated[bool, Parameter(alias="-q", group=RESULT)] = False,
    json: Annotated[bool, Parameter(group=RESULT)] = False,
    network: Annotated[NetworkFlags, NETWORK] = NetworkFlags(),  # noqa: B008
    training: Annotated[TrainingFlags, TRAINING] = TrainingFlags(),  # noqa: B008
) -> int:
    """Learn from a table, and write a model file.

    ```
    unspool fit names.csv -i country -s name -o names.unspool
    unspool fit storms.parquet --first lat,long -s lat,long,wind --id storm --order time -o storms.unspool
    unspool fit posts.csv -i topic -s post --field post=text,unit=word,vocabulary=5000 -o posts.unspool
    unspool fit new.csv --start names.unspool -o newer.unspool
    zcat wind.csv.gz | unspool fit - -i place -s wind --field wind=number,transform=log1p,bounds=0: -o wind.unspool
    ```

    Unspool infers the kind of each column and prints it; --field decides otherwise. A name that holds a comma goes in
    double quotes. Ctrl-C ends the training and keeps the best model found so far.

    Args:
        data: the table: CSV, TSV, JSON, JSON lines or Parquet by the file's name; a folder, a pattern in quotes or a
            URL of Parquet files, which may be larger than memory; or - for standard input.
        inputs: the columns that are known beforehand.
        sequence: the column that holds the sequences, or the columns of a step.
        first: columns of a step whose first value is the input; * means all of them.
        id: where each row is a step, the column that says which steps belong together.
        order: the column that orders the steps of a sequence.
        steps: the table of steps, where DATA holds the inputs.
        wide: where each step is a column, those columns in their order, or a pattern such as "day*".
        field: NAME=KIND,OPTION=VALUE,...: a column, its kind, and options of the kind. Repeat it for others.
        combination: categories of a step, such as city,state, that are generated only in combinations of the training
            data. Repeat it for others.
        relation: what holds in every generated record, such as "start <= end" or "total = net + tax", beside what
            Unspool finds; none finds nothing. Repeat it for others.
        output: the model file to write.
        checkpoint: a folder that saves the training; the same command goes on from there.
        start: a model file whose training goes on with this data. It brings the columns, their kinds and the network.
        cache: a folder of its own that keeps the encoded data of Parquet files, for later fits to the same data.
        seed: seed of the training.
        quiet: print nothing but errors.
        json: print the result as a JSON object.
        network: its options.
        training: its options.
    """
    fields = parse_fields(field)
    first_columns = [First(*(name for name in column_names(first) if name != "*"))] if first else []
    if start is not None and (fields or combination):
        hint = "Leave out --field and --combination, or fit without --start."
        raise OptionError("--start", "columns as the start has them", "kinds of columns or combinations too", hint)
    if wide is not None and not sequence:
        sequence = ["sequence"]
    wanted, columns = with_fields(column_names(inputs), column_names(sequence), fields, nested=id is None)
    options: dict[str, Any] = {
        "network": options_from(Network, network),
        "training": options_from(Training, training),
        "combinations": [column_names([text]) for text in combination or ()] or None,
        "relations": relations_from(relation),
        "seed": seed,
        "verbose": False if quiet else None,
    }
    check_writable(output)
    from unspool.model import OneToMany
    from unspool.runtime.processes import is_first

    given: list[Any] = [*wanted, *first_columns]
    model = OneToMany(given if given or start is None else None, columns, **options)
    table = source(data) if wide is None else wide_table(source(data), wide, column_names(sequence)[0])
    model.fit(
        table, source(steps) if steps else None, id=id, order=order, checkpoint=checkpoint, start=start, cache=cache
    )
    model.save(output)
    if is_first():
        print_result(model, output, quiet=quiet, json=json)
    return 130 if model.summary_.stopped == "interrupted" else 0


def relations_from(texts: list[str] | None) -> list[str] | str:
    """The argument `relations` of `OneToMany`: those given beside those found, unless one of them is "none"."""
    if not texts:
        return AUTO
    return [*(() if "none" in texts else (AUTO,)), *(text for text in texts if text != "none")]


def with_fields(inputs: list[str], sequence: list[str], fields: dict[str, Field], *, nested: bool) -> tuple[Any, Any]:
    """The arguments `inputs` and `sequence` of `OneToMany` from column names and fields by name.

    If `nested`, fields that are in neither belong to the records of a single sequence column; else they are an error.
    """
    wanted = [fields.get(name, name) for name in inputs]
    columns: Any = [fields.get(name, name) for name in sequence]
    rest = [field for name, field in fields.items() if name not in (*inputs, *sequence)]
    if rest and nested and len(sequence) == 1:
        return wanted, {sequence[0]: rest}
    if rest:
        location, hint = f"--field {rest[0].name}", "Name it in --inputs or --sequence too."
        raise OptionError(location, "one of the inputs or of the columns of a step", "neither", hint)
    return wanted, (columns[0] if len(columns) == 1 else columns) or None


def print_result(model: "OneToMany", output: Path, *, quiet: bool, json: bool) -> None:
    """Print the result as one line on standard error, or as one JSON object on standard output."""
    summary = model.summary_
    if json:
        import msgspec

        result = {"file": str(output), "bytes": output.stat().st_size, **msgspec.structs.asdict(summary)}
        del result["rounds"]
        print(msgspec.json.encode(result).decode())
    elif not quiet:
        part = "held-out" if summary.validation else "training"
        ended = f", ended: {summary.stopped}" if summary.stopped in ("interrupted", "time") else ""
        size = f"{output.stat().st_size / 1000:,.0f} kB"
        line = f"{output}: {summary.nats:.3f} {part} nats a step, {summary.seconds:.0f} s, {size}{ended}"
        print(readable(line), file=sys.stderr)
