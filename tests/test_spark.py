"""On a local Spark cluster: the same files as of one process."""

import hashlib
import sys
from pathlib import Path

import pytest

import unspool as us
from unspool.errors import OptionError

pytestmark = pytest.mark.slow
INPUTS = {"country": ["Irish", "Greek"] * 30}


def contents(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(Path(folder).glob("part-*"))}


# Spark starts Java by a fork that runs nothing of ours.
@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")
def test_the_parts_are_those_of_one_process(workshop, tmp_path, monkeypatch):
    sql = pytest.importorskip("pyspark.sql", reason="no Spark: pip install unspool[spark], and Java")
    from unspool.spark import generate_parts

    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    builder = sql.SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    spark = builder.config("spark.driver.host", "127.0.0.1").config("spark.driver.memory", "1g").getOrCreate()
    try:
        model = us.load(workshop.names)
        model.generate_to(f"{tmp_path}/one/", INPUTS, n=2, seed=5, per_part=30)
        assert generate_parts(spark, model, INPUTS, str(tmp_path / "spark"), n=2, seed=5, per_part=30) == 5
        assert contents(tmp_path / "spark") == contents(tmp_path / "one")
        (tmp_path / "spark" / min(contents(tmp_path / "one"))).unlink()
        generate_parts(spark, str(workshop.names), INPUTS, str(tmp_path / "spark"), n=2, per_part=30)
        assert contents(tmp_path / "spark") == contents(tmp_path / "one")
        with pytest.raises(OptionError, match=r"write\.parquet"):
            generate_parts(spark, model, spark.range(3), str(tmp_path / "other"))
    finally:
        spark.stop()
