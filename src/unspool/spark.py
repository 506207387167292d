"""Unspool on a Spark cluster: the same files as one process makes, written by Spark's workers. Extra `spark`."""

from collections.abc import Iterator
from typing import Any

from unspool.cluster.workers import ship, write_part
from unspool.errors import OptionError
from unspool.model import OneToMany
from unspool.sequences import FileForm


def generate_parts(
    spark: Any,
    model: OneToMany | str,
    inputs: Any,
    target: str,
    n: int = 1,
    *,
    long: bool | None = None,
    format: str | None = None,  # noqa: A002
    per_part: int | None = None,
    **options: Any,
) -> int:
    """Write the sequences of `OneToMany.generate_to` into a folder by the workers of a Spark cluster; returns the seed.

    Spark repeats the task of a worker that dies, and may run one twice: a part is the same part then. A job that is run
    again writes the missing parts.

    Args:
        spark: the session.
        model: a fitted model, or the path or URL of its file, which all workers reach.
        inputs: any kind of table in the driver's memory, or the path or URL of a Parquet file or folder that all
            workers reach. The rows of a DataFrame of Spark have no fixed order: write it to Parquet first.
        target: a folder that all workers reach, or the URL of one.
        n: as for `generate`, like `options`.
        long: as for `generate_to`, like `format` and `per_part`.
        format: of the files, Parquet by default.
        per_part: sequences of a file.
        **options: the others of `generate`.

    Raises:
        FileError: the folder is that of another job.
        OptionError: inputs are a DataFrame of Spark.
    """
    if type(inputs).__module__.startswith("pyspark"):
        hint = "Write it with inputs.write.parquet(folder), and pass the folder."
        raise OptionError("generate_parts(inputs=...)", "rows in a fixed order", "a DataFrame of Spark", hint)
    job, shipment = ship(model, inputs, n, options, target, FileForm(long, format), per_part)
    missing = job.missing()
    if missing:
        shipped = spark.sparkContext.broadcast(shipment)

        def write(batches: Iterator[Any]) -> Iterator[Any]:
            for batch in batches:
                for part in batch.column(0).to_pylist():
                    write_part(shipped.value, part)
                yield batch

        parts = spark.createDataFrame([(part,) for part in missing], "part long")
        parts.repartitionByRange(len(missing), "part").mapInArrow(write, "part long").count()
        shipped.destroy()
    job.finish()
    return job.record.seed
