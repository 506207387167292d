"""The command line: files and streams in and out, and one sentence for a mistake."""

import ast
import io
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import msgspec
import pytest

import unspool as us
from unspool.cli.app import main
from unspool.cli.fields import KINDS, parse_field
from unspool.cli.wording import in_cli_syntax
from unspool.errors import OptionError, UnspoolError
from unspool.options import Network, Sampling, Training
from unspool.schema.fields import Field
from unspool.tables.table import read_table

UNSPOOL = [sys.executable, "-m", "unspool"]
PYTHON = re.compile(r"\b[A-Z]\w*\(|\bNone\b")
"""Python syntax, which no message may have."""


@pytest.fixture
def run(capsys):
    """Run a command line in this process: exit code, standard output, standard error."""

    def command(*words):
        capsys.readouterr()
        code = main([str(word) for word in words])
        return code, *capsys.readouterr()

    return command


@pytest.fixture
def standard_input(monkeypatch):
    return lambda data: monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))


@pytest.mark.parametrize(
    "command", ["fit", "generate", "sample", "evaluate", "explain", "export", "plot", "inspect", "demo"]
)
def test_the_help_names_every_command_with_examples_and_without_python(run, command):
    assert f"│ {command} " in run("--help")[1]
    code, out, _ = run(command, "--help")
    assert code == 0
    assert out.count(f"unspool {command}") >= 2
    assert not re.search(r"None|False|True|`|\w\(\w*=", out)


@pytest.mark.parametrize(("command", "kinds"), [("fit", (Network, Training)), ("generate", (Sampling,))])
def test_every_option_is_a_flag_with_help(run, command, kinds):
    lines = run(command, "--help")[1].splitlines()
    for field in (field for kind in kinds for field in msgspec.structs.fields(kind)):
        flag = f"--{field.name.replace('_', '-')} "
        (line,) = (line for line in lines if line.startswith(("│ " + flag, "│ *  " + flag)))
        assert len(line.split("  ", 1)[1].strip("│ ")) > 10


def test_the_help_of_fit_lists_every_kind_of_column_with_its_options(run):
    items = " ".join(line.strip("│ ") for line in run("fit", "--help")[1].splitlines()).split("• ")
    for name, kind in KINDS.items():
        (item,) = (item for item in items if re.match(rf"(\w+, )*{name}\b", item))
        assert [field.name for field in msgspec.structs.fields(kind)[1:] if f"{field.name}=" not in item] == []


def test_the_version_is_printed_by_python_m_unspool_too(run):
    assert run("--version") == (0, f"{us.__version__}\n", "")
    done = subprocess.run([*UNSPOOL, "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{us.__version__}\n", "")


def test_fit_shows_what_it_inferred_and_one_line_about_the_result(workshop):
    code, out, err = workshop.printed["names"]
    assert (code, out) == (0, "")
    assert "input  country  Category  2 values: Greek, Irish" in err
    last = err.splitlines()[-1]
    assert last.startswith(f"{workshop.names}: ")
    assert "held-out nats a step" in last


def test_fit_reads_standard_input_and_answers_in_json(run, workshop, standard_input, tmp_path):
    standard_input(workshop.folder.joinpath("names.csv").read_bytes())
    model = tmp_path / "piped.unspool"
    words = ["-i", "country", "-s", "name", "-o", model, "-q", "--json", "--size", 8, "--epochs", 2]
    code, out, err = run("fit", "-", *words)
    assert (code, err) == (0, "")
    result = json.loads(out)
    assert result["bytes"] == model.stat().st_size
    assert result["nats"] > 0
    # The same data and options as the file: the same weights.
    assert model.read_bytes()[-4000:] == workshop.names.read_bytes()[-4000:]


def test_a_field_overrides_what_is_inferred_and_inputs_need_not_be_modelled(run, workshop, tmp_path):
    model = tmp_path / "m.unspool"
    code, _, err = run(
        "fit", workshop.folder / "tracks.csv", "-i", "group", "-s", "level,mood", "--id", "id", "--order", "t",
        "--field", "level=number,transform=difference,distribution=normal,mean=constant,bounds=-5:",
        "--no-draw-inputs", "--size", 8, "--epochs", 1, "-o", model,
    )  # fmt: skip
    assert code == 0
    assert re.search(r"^step   level .*difference.*distribution normal, mean constant", err, re.MULTILINE)
    assert "given, not sampled" in run("inspect", model)[1]
    contents = json.loads(run("inspect", model, "--json")[1])
    assert contents["inputs"] is None
    assert contents["schema"]["steps"][0]["bounds"] == [-5.0, None]


def test_ctrl_c_saves_the_best_model_and_says_130(run, workshop, tmp_path):
    model, folder = tmp_path / "m.unspool", tmp_path / "checkpoint"
    words = ["fit", workshop.folder / "names.csv", "-i", "country", "-s", "name", "-o", model, "--checkpoint", folder]
    with subprocess.Popen(
        [*UNSPOOL, *map(str, words), "--size", "8", "--epochs", "100000"], stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 90
        while not (folder / "checkpoint.unspool").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert json.loads(run("inspect", model, "--json")[1])["training"]["stopped"] == "interrupted"


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("day=category", us.Category("day")),
        ("wind=number,transform=log1p,distribution=mixture,bounds=0:",
         us.Number("wind", transform="log1p", distribution="mixture", bounds=(0.0, None))),
        ("wind=number,bounds=-1e2:5", us.Number("wind", bounds=(-100.0, 5.0))),
        ("wind=number,bounds=none", us.Number("wind", bounds=None)),
        ("wind=number,transform=none", us.Number("wind", transform="none")),
        ("visits=count,bounds=:9", us.Count("visits", bounds=(None, 9.0))),
        ("symptoms=flags,members=fever:cough", us.Flags("symptoms", ["fever", "cough"])),
        ("abstract=text,unit=word,vocabulary=5000", us.Text("abstract", "word", 5000)),
        ("seen=when,since=born", us.When("seen", since="born")),
        ('"wind, knots"=count', us.Count("wind, knots")),
    ],
)  # fmt: skip
def test_a_field_is_a_kind_with_options(text, field):
    assert parse_field(text) == field


def test_a_new_kind_and_option_need_no_change_of_the_command_line(monkeypatch):
    class Angle(Field, frozen=True):
        full: float = 360.0
        sense: Literal["left", "right"] = "left"

    monkeypatch.setitem(KINDS, "angle", Angle)
    assert parse_field("wind=angle,full=6.28,sense=right") == Angle("wind", 6.28, "right")
    with pytest.raises(OptionError, match="expected left or right, found 'up'"):
        parse_field("wind=angle,sense=up")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("wind", ["NAME=KIND,OPTION=VALUE", "found 'wind'"]),
        ("=number", ["NAME=KIND,OPTION=VALUE"]),
        ("wind=numbr", ["category, number, count", "'numbr'", "Did you mean 'number'?"]),
        ("wind=mean=constant", ["one of the kinds", "Write wind=number,mean=constant."]),
        ("wind=,unit=word", ["one of the kinds", "Write wind=text,unit=word."]),
        ("wind=number,transform=sqrt", ["transform", "auto, none, ", "'sqrt'"]),
        ("wind=number,transform=gap", ["Since version 0.2.0 it is 'increment'."]),
        ("wind=number,head=normal", ["Since version 0.2.0 it is 'distribution'."]),
        ("wind=number,mean=constnt", ["auto, learned or constant", "Did you mean 'constant'?"]),
        ("wind=number,men=constant", ["transform, distribution, bounds, mean", "Did you mean 'mean'?"]),
        ("wind=number,unit=word", ["'unit=word'", "'unit' is an option of text."]),
        ("wind=number,mean", ["OPTION=VALUE", "'mean'"]),
        ("wind=number,mean=auto,mean=auto", ["the option 'mean' once"]),
        ("wind=number,bounds=5:1", ["LOW:HIGH or none", "LOW is below HIGH", "'5:1'"]),
        ("wind=number,bounds=low:", ["LOW:HIGH", "'low:'"]),
        ("wind=number,mean=constant,distribution=histogram", ["a distribution that can be moved"]),
        ("day=category,unit=word", ["no options of the kind category"]),
        ("name=text,vocabulary=5", ["all characters are kept", "found 5"]),
        ("name=text,unit=word,vocabulary=many", ["NUMBER or none", "'many'"]),
        ("symptoms=flags", ["NAME:NAME:...", "two names or more"]),
        ("symptoms=flags,members=fever:fever", ["NAME:NAME:...", "none twice", "'fever:fever'"]),
        ("wind=num\nber", ["between commas", "quotes"]),
    ],
)
def test_a_wrong_field_is_refused_in_the_syntax_of_the_command_line(text, words):
    with pytest.raises(OptionError) as refused:
        parse_field(text)
    message = str(refused.value)
    assert all(word in message for word in [text, *words])
    assert not PYTHON.search(message)


@pytest.mark.parametrize(
    ("flags", "spelling"),
    [
        (["--category", "state,city"], "--field state=category --field city=category"),
        (["--number=wind", "--transform", "wind=log1p", "--head=wind=mixture"],
         "--field wind=number,transform=log1p,distribution=mixture"),
        (["--transform", "day=gap", "--mean", "r=constant"],
         "--field day=number,transform=increment --field r=number,mean=constant"),
        (["--unit", "abstract=word"], "--field abstract=text,unit=word"),
        (["--when", "a b"], "--field 'a b=when'"),
        (["--count"], "--field NAME=count"),
    ],
)  # fmt: skip
def test_a_removed_flag_is_refused_with_its_new_spelling(run, flags, spelling):
    code, out, err = run("fit", "x.csv", *flags, "-o", "x.unspool")
    assert (code, out) == (2, "")
    assert f"expected {spelling}, found" in err
    assert "0.2.0" in err


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (("Network(size=0)", "a whole number >= 1", "0", ""), "--size 0: expected a whole number >= 1, found 0."),
        (("generate(n=0)", "a", "b", "Or Beam(best=3)."), "-n 0: expected a, found b. Or --best 3."),
        (("n=3", "a", "n=3", ""), "-n 3: expected a, found n=3."),
        (("seed=-1", "a", "-1", ""), "--seed -1: expected a, found -1."),
        (("x", "a", "b", "Pass Number('the wind', transform=..., bounds=(0, None))."),
         "x: expected a, found b. Pass --field 'the wind=number,transform=TRANSFORM,bounds=0:'."),
        (("x", "a", "b", 'Pass sequence="r" or First("q") or First(); use draw_inputs=False, or rule="greedy".'),
         "x: expected a, found b. Pass --sequence r or --first q or --first '*'; use --no-draw-inputs, or --greedy."),
        (("x", "a", "First(", "Number(lambda: 1)"), "x: expected a, found First(."),
        (("x", "a", "None", "Drop it; or pass pandas.read_excel(...). Write None or NaN where it is unknown."),
         "x: expected a, found none. Drop it. Leave the cell empty where it is unknown."),
    ],
)  # fmt: skip
def test_python_in_an_error_becomes_flags(error, message):
    assert in_cli_syntax(UnspoolError(*error)) == message


def test_generate_writes_csv_into_a_pipe(run, workshop):
    code, out, err = run("generate", workshop.names, "-i", "country=Irish", "-n", 3, "--seed", 1)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "country,sample,name"
    assert [line.split(",")[:2] for line in lines[1:]] == [["Irish", str(k)] for k in range(3)]


def test_without_a_seed_a_new_one_is_printed_that_gives_the_same_sequences_again(run, workshop):
    _, first, err = run("generate", workshop.names, "-i", "country=Irish", "-n", 4)
    seed = err.removeprefix("seed ").partition(";")[0]
    assert f"--seed {seed} " in err
    assert run("generate", workshop.names, "-i", "country=Irish", "-n", 4, "--seed", seed)[1] == first


def test_a_greedy_rule_needs_no_seed(run, workshop):
    code, out, err = run("generate", workshop.names, "-i", "country=Irish", "-n", 2, "--greedy")
    assert (code, err) == (0, "")
    first, second = out.splitlines()[1:]
    assert first.split(",")[2] == second.split(",")[2]


def test_a_beam_is_a_flag(run, workshop):
    """The best of each row, best first, with their nats and without a seed."""
    words = "generate", workshop.names, "-i", "country=Irish", "-i", "country=Greek"
    code, out, err = run(*words, "--beam", 4, "--best", 2, "--length-penalty", 0.5, "--limit", 6, "-f", "jsonl")
    assert (code, err) == (0, "")
    rows = [json.loads(line) for line in out.splitlines()]
    assert [(row["country"], row["sample"]) for row in rows] == [(c, k) for c in ("Irish", "Greek") for k in (0, 1)]
    assert all(row["nats"] < 0 and len(row["name"]) <= 6 for row in rows)


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "json", "parquet"])
def test_every_format_holds_the_same_sequences(run, workshop, tmp_path, ending):
    file = tmp_path / f"names.{ending}"
    words = ["generate", workshop.names, "-i", "country=Greek", "-n", 3, "--seed", 5]
    assert run(*words, "-o", file) == (0, "", "")
    names = [json.loads(line)["name"] for line in run(*words, "-f", "jsonl")[1].splitlines()]
    assert read_table(file).columns["name"].tolist() == names


def test_a_repeated_input_makes_rows_and_a_single_one_holds_for_all(run, workshop):
    words = ["-i", "group=a", "-i", "group=b", "-i", "level=2", "--seed", 1, "-f", "jsonl", "--wide"]
    code, out, _ = run("generate", workshop.tracks, *words)
    assert code == 0
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["group"] for row in rows] == ["a", "b"]
    assert all(isinstance(record["mood"], str) for row in rows for record in row["sequence"])


def test_a_model_of_a_long_table_writes_a_row_per_step(run, workshop):
    words = ["-i", "group=a", "-i", "level=2", "--seed", 1, "--length", 3]
    _, out, _ = run("generate", workshop.tracks, *words)
    lines = out.splitlines()
    assert lines[0] == "row,sample,step,group,first_level,level,mood"
    assert [line.split(",")[2] for line in lines[1:]] == ["0", "1", "2"]


def test_lines_hold_the_inputs_only_if_there_are_several(run, workshop):
    words = ["-i", "country=Irish", "--seed", 1, "-f", "lines"]
    _, one, _ = run("generate", workshop.names, *words)
    _, two, _ = run("generate", workshop.names, *words, "-i", "country=Greek")
    assert len(one.splitlines()) == 1
    assert [line.split()[0] for line in two.splitlines()] == ["Irish", "Greek"]
    assert two.splitlines()[0].split()[1:] == one.split()


def test_a_stream_gives_what_generate_gives(run, workshop):
    words = ["generate", workshop.names, "-i", "country=Irish", "--seed", 3]
    _, lines, _ = run(*words, "-f", "lines")
    assert run(*words, "--stream")[1] == lines
    _, out, _ = run(*words, "-n", 3, "--stream")
    texts = ["", "", ""]
    for event in map(json.loads, out.splitlines()):
        assert event["step"] == len(texts[event["sample"]])
        texts[event["sample"]] += event["value"]
    assert "".join(f"{text}\n" for text in texts) == run(*words, "-n", 3, "-f", "lines")[1]


def test_a_prefix_is_what_every_sequence_starts_with(run, workshop):
    words = ["-i", "country=Irish", "-n", 3, "--seed", 1, "-f", "lines", "--prefix", "Ao"]
    _, out, _ = run("generate", workshop.names, *words)
    assert all(line.startswith("Ao") for line in out.splitlines())


def test_a_pin_is_in_every_sequence(run, workshop):
    """A pin is typed as its value is printed; a streamed sequence has it too."""
    words = ["generate", workshop.tracks, "-i", "group=a", "-i", "level=2", "-n", 3, "--seed", 1]
    pins = ["--pin", "1.mood=high", "--pin", "2.level=3.5"]
    _, out, _ = run(*words, *pins, "-f", "jsonl", "--wide")
    for line in map(json.loads, out.splitlines()):
        steps = next(value for value in line.values() if isinstance(value, list))
        assert (steps[1]["mood"], steps[2]["level"]) == ("high", 3.5)
    _, out, _ = run(*words, *pins, "--stream")
    pinned = [event["value"]["level"] for event in map(json.loads, out.splitlines()) if event["step"] == 2]
    assert pinned == [3.5] * 3


def test_only_allowed_values_are_sampled(run, workshop):
    words = ["generate", workshop.tracks, "-i", "group=a", "-i", "level=2", "-n", 20, "--seed", 1, "--stream"]
    _, out, _ = run(*words, "--allow", "mood=high", "--allow", "level=..3.5")
    values = [event["value"] for event in map(json.loads, out.splitlines())]
    assert {value["mood"] for value in values} == {"high"}
    assert max(value["level"] for value in values) <= 3.5


@pytest.mark.parametrize("data", [b"country\nGreek\nIrish\n", b'{"country": "Greek"}\n{"country": "Irish"}\n'])
def test_inputs_come_from_standard_input(run, workshop, standard_input, data):
    standard_input(data)
    code, out, _ = run("generate", workshop.names, "--inputs-from", "-", "--seed", 1)
    assert code == 0
    assert [line.split(",")[0] for line in out.splitlines()[1:]] == ["Greek", "Irish"]


def test_a_reader_that_goes_away_is_no_error(workshop):
    words = ["generate", str(workshop.names), "-i", "country=Irish", "-n", "20000", "--seed", "1"]
    with subprocess.Popen([*UNSPOOL, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
        process.wait(60)
    assert all(line.startswith(b"generating") for line in err.splitlines())  # how far it is, if it takes long
    assert process.returncode == 141


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk_behind_standard_output_is_reported(workshop):
    words = ["generate", str(workshop.names), "-i", "country=Irish", "--seed", "1"]
    with open("/dev/full", "wb") as full:
        done = subprocess.run([*UNSPOOL, *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "unspool: standard output: No space left on device\n"


def test_generating_imports_nothing_that_only_training_or_tables_need(workshop):
    program = (
        "import sys; from unspool.cli.app import main;"
        f"code = main(['generate', {str(workshop.names)!r}, '-i', 'country=Irish', '--seed', '1']);"
        "print(sorted({'optax', 'pandas', 'polars', 'pyarrow', 'matplotlib', 'narwhals'} & set(sys.modules)), code)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[] 0"


def test_inspect_shows_fields_sizes_and_training(run, workshop):
    code, out, err = run("inspect", workshop.names)
    assert (code, err) == (0, "")
    for word in ("country  Category", "1 layer of 8 hidden units", "held-out nats a step", "jax", "fingerprint", "█"):
        assert word in out
    assert re.search(r"inputs +sampled by 32 hidden units, [\d,]+ weights, \d\.\d{4} nats a row", out)


def test_inspect_answers_in_json_and_imports_no_jax(workshop):
    program = (
        "import sys; from unspool.cli.app import main;"
        f"main(['inspect', {str(workshop.names)!r}, '--json']); assert 'jax' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    contents = json.loads(done.stdout)
    assert contents["bytes"] == workshop.names.stat().st_size
    assert contents["hidden"] == 8
    assert contents["schema"]["sequence"] == "name"
    shapes = [shape for name, shape in contents["arrays"].items() if name.startswith("row.")]
    assert contents["inputs"]["weights"] == sum(map(math.prod, shapes)) > 0
    assert [field["name"] for field in contents["inputs"]["schema"]["steps"]] == ["country"]


def test_explain_writes_a_page_that_begins_with_the_inputs(run, workshop, tmp_path):
    page = tmp_path / "page.html"
    assert run("explain", workshop.names, "-i", "country=Greek", "-o", page) == (0, "", "")
    assert '{"inputs": {"country": "Greek"}}' in page.read_text("utf-8")
    code, _, err = run("explain", workshop.names, "-i", "country=Greek", "-i", "country=Irish", "-o", page)
    assert (code, "2 rows" in err) == (2, True)


@pytest.mark.parametrize("words", [["-i", "group=a", "-i", "level=1", "-n", "20"], ["--training"]])
def test_plot_writes_a_picture(run, workshop, tmp_path, words):
    picture = tmp_path / "new.png"
    assert run("plot", workshop.tracks, *words, "-o", picture) == (0, "", "")
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_demo_without_a_name_lists_them(run):
    code, out, _ = run("demo")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["names", "colours", "returns"]


FIT = ["fit", "{f}/names.csv", "-i", "country", "-s", "name", "-o", "{t}/new.unspool"]
NAMES = ["generate", "{f}/names.unspool"]
IRISH = [*NAMES, "-i", "country=Irish"]
EVALUATE = ["evaluate", "{f}/names.unspool", "{f}/names.csv"]
TRACKS = ["generate", "{f}/tracks.unspool", "-i", "group=a", "-i", "level=1"]
MISTAKES = {
    "an unknown file": ([*FIT[:1], "{t}/no.csv", *FIT[2:]], ["no.csv", "no such file", "Check the spelling"]),
    "an unknown column": ([*FIT[:2], "-i", "contry", *FIT[4:]], ["names.csv", "'contry'", "the data: 'country'"]),
    "a file that is not UTF-8": ([*FIT[:1], "{t}/latin.csv", *FIT[2:]],
                                 ["latin.csv: line 2", "UTF-8", "Save the file"]),
    "an empty table": ([*FIT[:1], "{t}/empty.csv", *FIT[2:]], ["empty.csv", "found"]),
    "a folder that is not there": ([*FIT[:6], "-o", "{t}/no/new.unspool"], ["no/new.unspool", "folder", "Create it"]),
    "a folder as output": ([*FIT[:6], "-o", "{t}"], ["expected a file, found a folder"]),
    "a device as output": ([*FIT[:6], "-o", "/dev/null"], ["/dev/null", "a device"]),
    "an option out of bounds": ([*FIT, "--size", "0"], ["--size 0", "expected a whole number >= 1"]),
    "an option of another type": ([*FIT, "--size", "many"], ["--size", "many"]),
    "an unknown choice": ([*FIT, "--feeding", "spoon"], ["--feeding", "spoon"]),
    "an unknown flag": ([*FIT, "--group", "red"], ["found --group.\nSee `unspool fit --help`."]),
    "a flag with a mistake": ([*FIT, "--epoch", "3"], ["found --epoch. Did you mean --epochs?"]),
    "an input as a flag": ([*NAMES, "--land", "Irish"], ["found --land. Give the value of an input as -i land=VALUE."]),
    "an input without its flag": ([*NAMES, "land=a"], ["found 'land=a'. Give the value of an input as -i land=a."]),
    "no output": (FIT[:6], ["--output: expected a value, found none"]),
    "steps without an id": (["fit", "{t}/negative.csv", "-i", "k", "-s", "x", *FIT[6:]],
                            ["found a number, 2. If each row is one step, pass --id column", "--field x=text."]),
    "a field that is not used": ([*FIT, "--id", "country", "--field", "age=number"], ["--field age", "neither"]),
    "two fields of a column": ([*FIT, "--field", "name=text", "--field", "name=count"], ["'name'", "two"]),
    "an unknown kind": ([*FIT, "--field", "name=txt"], ["--field name=txt", "Did you mean 'text'"]),
    "a number that its transform can't take": (
        ["fit", "{t}/negative.csv", "-i", "k", "-s", "x", "--id", "k", "--field", "x=number,transform=log1p", *FIT[6:]],
        ["'x'", "a number above -1", "--field x=number,transform=TRANSFORM with another transform"]),
    "a model that is none": (["generate", "{f}/names.csv", "-i", "country=Irish"], ["names.csv", "an Unspool model"]),
    "a model cut short": (["generate", "{t}/cut.unspool", "-i", "country=Irish"], ["cut.unspool", "fetch"]),
    "a model that is not there": (["inspect", "{t}/no.unspool"], ["no.unspool", "no such file"]),
    "inspecting what is none": (["inspect", "{f}/names.csv"], ["an Unspool model"]),
    "an unknown category": ([*NAMES, "-i", "country=irish"], ["'country'", "'irish'", "Did you mean 'Irish'"]),
    "inputs twice over": ([*IRISH, "--inputs-from", "x.csv"], ["both"]),
    "an input that is none": ([*NAMES, "-i", "age=3"], ["country=VALUE", "'age=3'"]),
    "an input without a value": ([*NAMES, "-i", "Irish"], ["country=VALUE", "'Irish'"]),
    "a stream of the typical one": ([*IRISH, "--typical", "4", "--stream", "-f", "jsonl"], ["Use generate"]),
    "the typical one of one": ([*IRISH, "--typical", "1"], ["--typical 1: expected a whole number >= 2, found 1"]),
    "a file without an input": ([*NAMES, "--inputs-from", "{t}/negative.csv"], ["'country'", "use unspool sample"]),
    "inputs that don't fit": ([*TRACKS, "-i", "group=b", "-i", "level=2", "-i", "level=3"], ["2 of 'group'"]),
    "a number that is none": ([*TRACKS[:4], "-i", "level=high"], ["'level'", "a number", "'high'"]),
    "no sequences": ([*IRISH, "-n", "0"], ["-n 0", "at least 1"]),
    "a negative seed": ([*IRISH, "--seed", "-1"], ["--seed -1", "at least 0"]),
    "a temperature of zero": ([*IRISH, "--temperature", "0"], ["--temperature 0", "> 0"]),
    "an unknown ending": ([*IRISH, "-o", "{t}/new.doc"], ["new.doc", ".parquet"]),
    "a stream into a file": ([*IRISH, "--stream", "-o", "{t}/new.csv"], ["--stream"]),
    "a stream of two texts as lines": ([*IRISH, "-n", "2", "--stream", "-f", "lines"], ["several sequences", "jsonl"]),
    "a prefix that is no JSON": ([*TRACKS, "--prefix", "[1,"], ["--prefix", "JSON"]),
    "a pin without a step": ([*TRACKS, "--pin", "mood=high"], ["--pin", "STEP.NAME=VALUE", "'mood=high'"]),
    "a pin of a number that is none": ([*TRACKS, "--pin", "1.level=up"], ["step 1", "'level'", "a number", "'up'"]),
    "a pin that training never saw": ([*TRACKS, "--pin", "1.mood=hgih"], ["step 1", "'mood'", "Did you mean 'high'"]),
    "allowing a column that is none": ([*TRACKS, "--allow", "mod=high"], ["--allow", "level, mood", "'mod'"]),
    "allowing no range": ([*TRACKS, "--allow", "level=3"], ["--allow", "LOW..HIGH", "'3'"]),
    "a picture of an unknown kind": (["plot", *TRACKS[1:], "-o", "{t}/new.bmp"], ["new.bmp", ".svg", "'.bmp'"]),
    "a training curve of an input": (["plot", *TRACKS[1:], "--training", "-o", "{t}/new.png"], ["--training"]),
    "the best of no beam": ([*IRISH, "--best", "2"], ["--best: expected a beam search, found none. Add --beam WIDTH"]),
    "a beam that samples": ([*IRISH, "--beam", "4", "--top-k", "3"], ["--top-k: expected no beam search"]),
    "more hypotheses than the beam has": ([*IRISH, "--beam", "2", "--best", "3"], ["at most the width, 2, found 3"]),
    "a beam without width": ([*IRISH, "--beam", "0"], ["--beam 0"]),
    "several samples of a beam": ([*IRISH, "--beam", "4", "-n", "3"], ["--best 3"]),
    "a stream of a beam": ([*IRISH, "--beam", "4", "--stream", "-f", "jsonl"], ["Use generate"]),
    "a page with another ending": ([*EVALUATE, "--html", "{t}/report.json"], ["a name that ends in .html"]),
    "a report in no folder": ([*EVALUATE, "--html", "{t}/none/report.html"], ["no folder"]),
    "steps without inputs": ([*EVALUATE, "--train-steps", "{f}/names.csv"],
                             ["--train, the inputs that its steps belong to"]),
    "an evaluation without samples": ([*EVALUATE, "-n", "0"], ["at least 1"]),
    "an evaluation on other columns": ([*EVALUATE[:2], "{f}/tracks.csv"], ["country"]),
    "an unknown demonstration": (["demo", "horses"], ["names, colours, returns", "'horses'"]),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_a_sentence_and_exit_code_2_and_leaves_nothing(run, workshop, tmp_path, mistake):
    words, wanted = MISTAKES[mistake]
    data = tmp_path / "given"
    data.mkdir()
    data.joinpath("latin.csv").write_bytes("country,name\nIrish,Níamh\n".encode("latin-1"))
    data.joinpath("empty.csv").write_text("country,name\n")
    data.joinpath("negative.csv").write_text("k,x\na,2\na,-1\nb,3\nb,4\n")
    data.joinpath("cut.unspool").write_bytes(workshop.names.read_bytes()[:-10])
    before = sorted(os.listdir(data))
    code, out, err = run(*(word.format(f=workshop.folder, t=data) for word in words))
    assert (code, out) == (2, "")
    assert err.startswith("unspool: ")
    assert "Traceback" not in err
    assert not PYTHON.search(err)
    assert [part for part in wanted if part not in err] == []
    assert sorted(os.listdir(data)) == before


def test_a_failure_leaves_an_older_file_as_it_was(run, workshop, tmp_path):
    older = tmp_path / "new.csv"
    older.write_text("older")
    assert run("generate", workshop.names, "-i", "country=Martian", "-o", older)[0] == 2
    assert older.read_text() == "older"


def test_a_missing_extra_is_named(run, workshop, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    code, _, err = run("plot", workshop.names, "--training", "-o", tmp_path / "x.png")
    assert code == 2
    assert "pip install 'unspool[plot]'" in err


def test_ctrl_c_before_training_is_quiet(run, monkeypatch):
    def interrupted(path, kind):
        raise KeyboardInterrupt

    monkeypatch.setattr("unspool.modelfile.read_config", interrupted)
    assert run("inspect", "x.unspool") == (130, "", "unspool: interrupted\n")


def test_evaluate_prints_the_report_as_text_or_as_json_and_writes_the_page(run, workshop, tmp_path):
    page, origins = tmp_path / "report.html", workshop.folder / "tracks.csv"
    words = ["evaluate", workshop.tracks, origins, "--train", origins, "-n", 2, "--html", page]
    code, out, err = run(*words)
    assert code == 0
    assert all(line.startswith("evaluation: ") for line in err.splitlines())  # how far it is, if it takes long
    assert out.startswith("How good is the model of level, mood?")
    assert "flatter" in out
    assert page.read_text("utf-8").startswith("<!doctype html>")
    kept = page.read_bytes()
    code, out, err = run(*words, "--json")
    assert (code, err, json.loads(out)["seed"]) == (0, "", 0)
    assert run(*words, "-q") == (0, "", "")
    assert page.read_bytes() == kept


def test_fit_goes_on_from_a_model_file(run, workshop, tmp_path):
    newer = tmp_path / "newer.unspool"
    words = [
        "fit",
        workshop.folder / "names.csv",
        "--start",
        workshop.names,
        "-o",
        newer,
        "--epochs",
        1,
        "-q",
        "--json",
    ]
    code, _, err = run(*words)
    assert (code, err) == (0, "")
    hidden = [json.loads(run("inspect", path, "--json")[1])["hidden"] for path in (workshop.names, newer)]
    assert hidden == [8, 8]
    code, _, err = run(*words, "--field", "name=text")
    assert (code, "Leave out --field" in err) == (2, True)


def _hints():
    """Every text of the library that an error or a hint is made of, with 'X' in place of its values."""
    for path in sorted(Path(us.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            named = isinstance(node, ast.Assign) and any("hint" in ast.unparse(target) for target in node.targets)
            raised = isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Error") and node.args
            for part in [node.value] if named else node.args[3:] if raised else []:
                for text in ast.walk(part):
                    if isinstance(text, ast.JoinedStr):
                        yield "".join(map(_example, text.values))
                    elif isinstance(text, ast.Constant) and isinstance(text.value, str):
                        yield text.value


def _example(part):
    """A part of an f-string as a text."""
    return part.value if isinstance(part, ast.Constant) else "'X'" if part.conversion == ord("r") else "X"


def test_no_hint_of_the_library_shows_python_on_the_command_line():
    hints = {hint for hint in _hints() if " " in hint}
    assert len(hints) > 80
    shown = {hint: in_cli_syntax(UnspoolError("x", "a", "b", hint)) for hint in hints}
    assert [text for text in shown.values() if PYTHON.search(text)] == []
    # A cure in Python has one on the command line, except where only Python has the mistake.
    calls = re.compile(r"\b(Category|Number|First|Sampling|Beam)\('")
    fields = {hint: text for hint, text in shown.items() if calls.search(hint)}
    assert len(fields) > 5
    assert [hint for hint, text in fields.items() if "--" not in text] == []
