"""Pictures: what is drawn where, without touching matplotlib's global state."""

import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest

import unspool as us
from unspool.config import Summary, ValidationRound
from unspool.dataset.examples import gather
from unspool.encoding.codec import Codec
from unspool.errors import FileError, MissingExtra, OptionError
from unspool.plots import plot, training_curve
from unspool.plots.panels import BANDS, layout
from unspool.sequences import Sequences

RNG = np.random.default_rng(0)


def made(data, given, columns, lengths, **roles):
    schema, examples = gather(data, **roles)
    codec = Codec.fit(schema, examples)
    table = codec.read_inputs(given)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    samples = len(lengths) // len(table)
    return Sequences(codec, table, columns, offsets, np.ones(len(lengths), bool), samples, 7)


def words(texts, rows=1):
    data = {"country": ["Irish", "Greek"], "name": ["".join(sorted(set("".join(texts)))), "xy"]}
    letters = np.array(list("".join(texts)), dtype=object)
    given = {"country": ["Irish", "Greek"][:rows]}
    return made(data, given, {"name": letters}, [len(t) for t in texts], inputs="country", sequence="name")


def walks(lengths, rows=1):
    data = {"k": ["a", "b"], "x": [[0.5, 1.5, 2.5], [3.0, 4.0, 5.0]]}
    values = np.concatenate([100 + RNG.normal(size=n).cumsum() for n in lengths])
    return made(data, {"k": (["a", "b"] * rows)[:rows]}, {"x": values}, lengths, inputs="k", sequence="x")


def origins(rows, n=20):
    data = {"id": [1, 1, 1, 2, 2], "level": [0.5, 1.5, 2.0, 4.0, 4.5], "mood": ["a", "b", "c", "b", "b"]}
    lengths = RNG.integers(3, 9, rows * n)
    total = lengths.sum()
    columns = {"level": RNG.normal(size=total), "mood": RNG.choice(["a", "b", "c"], total).astype(object)}
    given = {"level": [9.0] * rows}
    return made(data, given, columns, lengths, inputs=us.First("level"), sequence=["level", "mood"], id="id")


SUMMARY = Summary(
    1.5, 90, 10, 900, 100, 300, 200, 1000, 3.0, "decayed",
    [ValidationRound(100, 2.5, 2.4), ValidationRound(200, 1.4, 1.5), ValidationRound(300, 1.2, 1.6)],
)  # fmt: skip


def said(figure):
    """Every text in a figure."""
    return [text.get_text() for text in figure.findobj(mpl.text.Text) if text.get_text()]


@pytest.mark.parametrize(("ending", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_the_name_of_the_file_says_the_kind_of_picture(ending, start, tmp_path):
    path = tmp_path / f"made.{ending}"
    walks([5] * 20).plot(path)
    assert path.read_bytes().startswith(start)
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


def test_an_unknown_kind_of_picture_is_refused_and_nothing_written(tmp_path):
    with pytest.raises(OptionError, match=r"\.png, \.svg, \.pdf"):
        walks([5]).plot(tmp_path / "made.gif")
    with pytest.raises(FileError, match="no folder"):
        walks([5]).plot(tmp_path / "no" / "made.png")
    assert not list(tmp_path.iterdir())


def test_text_is_written_out_under_its_input():
    texts = said(plot(words(["Aoife", "Niall", "Zeus", "Hera"], rows=2)))
    assert {"name given country", "Irish", "Greek"} <= set(texts)
    assert any(text.split() == ["Aoife", "Niall"] for text in texts)
    assert any(text.split() == ["Zeus", "Hera"] for text in texts)


def test_text_with_markup_control_characters_and_any_script_is_drawn_as_it_is(tmp_path):
    path = tmp_path / "made.png"
    wild = ["$x^$ \n\ttab", "漢字😀", "\u202ecba", "\\frac{"]
    texts = said(words(wild).plot(path))
    assert any("$x^$ ↵→tab" in text for text in texts)
    assert path.exists()


def test_long_texts_are_wrapped_and_many_are_counted():
    texts = said(plot(words(["word " * 100] * 40)))
    assert any(text.endswith("…") for text in texts)
    assert any(text.startswith("and ") and text.endswith(" more") for text in texts)


def test_no_line_of_text_leaves_the_figure():
    figure = plot(words(["W" * 500, "W" * 12, "Mm " * 90]))
    figure.canvas.draw()
    edge = figure.bbox.x1
    assert all(text.get_window_extent().x1 <= edge for text in figure.texts)


def test_a_fan_shows_the_quantiles_and_single_sequences():
    sequences = walks([6] * 400)
    (axes,) = plot(sequences).axes
    values = sequences.columns["x"].reshape(400, 6)
    median, *paths = axes.get_lines()
    np.testing.assert_allclose(median.get_ydata(), np.median(values, axis=0))
    np.testing.assert_allclose([path.get_ydata() for path in paths], values[:4])
    assert len(axes.collections) == len(BANDS)
    for (share, _), band in zip(BANDS, axes.collections, strict=True):
        points = band.get_paths()[0].vertices
        last = points[points[:, 0] == 6][:, 1]
        np.testing.assert_allclose(
            [last.min(), last.max()], np.quantile(values[:, 5], [(1 - share) / 2, (1 + share) / 2])
        )


def test_few_sequences_are_drawn_themselves():
    (axes,) = plot(walks([4, 4, 2])).axes
    assert not axes.collections
    assert len(axes.get_lines()) == 3


def test_where_lengths_vary_the_bands_end_with_the_last_eight_and_it_is_said():
    figure = plot(walks([4] * 20 + [10] * 7))
    (axes,) = figure.axes
    assert axes.collections[0].get_paths()[0].vertices[:, 0].max() == 4
    assert any("lengths vary" in text for text in said(figure))


def test_missing_values_and_empty_sequences_are_left_out():
    sequences = walks([5] * 20 + [0] * 5)
    sequences.columns["x"][::3] = np.nan
    (axes,) = plot(sequences).axes
    assert np.isfinite(axes.get_lines()[0].get_ydata()).all()


def test_sequences_that_all_ended_at_once_give_an_empty_panel(tmp_path):
    walks([0, 0]).plot(tmp_path / "made.png")
    words(["", ""]).plot(tmp_path / "made.svg")


def test_every_input_and_field_has_a_panel_that_names_them():
    figure = plot(origins(3))
    assert len(figure.axes) == 6
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["level 9"] * 6
    assert [axes.get_ylabel() for axes in figure.axes] == ["level", "mood"] * 3


def test_a_given_first_value_is_step_zero():
    level, mood = plot(origins(1)).axes
    assert all(line.get_ydata()[0] == 9 for line in level.get_lines())
    assert level.get_lines()[0].get_xdata()[0] == 0
    assert mood.get_ylim() == (0, 1)


def test_shares_of_categories_add_up_to_one():
    _, mood = plot(origins(1, n=40)).axes
    tops = {}
    for bar in mood.patches:
        tops[bar.get_x()] = tops.get(bar.get_x(), 0.0) + bar.get_height()
    np.testing.assert_allclose(list(tops.values()), 1.0)


def test_more_panels_than_fit_are_counted():
    figure = plot(walks([3] * 40, rows=20))
    assert len(figure.axes) == 12
    assert any("and 8 more panels" in text for text in said(figure))


@pytest.mark.parametrize(
    ("rows", "fields", "panels", "columns"), [(1, 1, 1, 1), (1, 12, 12, 4), (5, 3, 12, 3), (2, 2, 4, 2), (9, 5, 12, 4)]
)
def test_the_grid_keeps_the_fields_of_an_input_together(rows, fields, panels, columns):
    wanted, found = layout(rows, fields)
    assert (len(wanted), found) == (panels, columns)


def test_the_training_curve_marks_the_best(tmp_path):
    path = tmp_path / "curve.png"
    (axes,) = training_curve(SUMMARY, path).axes
    train, held, best = axes.get_lines()
    assert train.get_ydata().tolist() == [2.5, 1.4, 1.2]
    assert held.get_ydata().tolist() == [2.4, 1.5, 1.6]
    assert (best.get_xdata()[0], best.get_ydata()[0]) == (200, 1.5)
    assert path.exists()


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtra, match=r"pip install 'unspool\[plot\]'"):
        plot(walks([4]))


def test_nothing_global_of_matplotlib_is_touched(tmp_path):
    before = dict(mpl.rcParams)
    walks([5] * 20).plot(tmp_path / "a.png")
    words(["Aoife"]).plot(tmp_path / "b.png")
    assert dict(mpl.rcParams) == before
    program = "import sys, unspool.plots.canvas as c; c.figure(1, 1); print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.slow
def test_moments_and_blocks_of_flags_are_drawn_as_fans(tmp_path):
    """Of a block, how many members are yes."""
    rng = np.random.default_rng(0)
    ids, flags = np.repeat(np.arange(12), 4), rng.random((48, 2)) < 0.5
    when = np.datetime64("2020-01-01", "us") + np.cumsum(rng.integers(1, 5, 48)) * np.timedelta64(1, "D")
    table = {"id": ids, "k": ids % 2, "when": when, "a": flags[:, 0], "b": flags[:, 1]}
    sequence = ["when", us.Flags("both", ["a", "b"])]
    model = us.OneToMany("k", sequence, network=us.Network(size=8), training=us.Training(epochs=1), verbose=False)
    drawn = model.fit(table, id="id").generate({"k": 0}, n=20, seed=0).plot(tmp_path / "events.png")
    titles = [axes.get_title(loc="left") for axes in drawn.axes]
    assert {"when", "both"} <= set(titles)
    counts = drawn.axes[titles.index("both")].get_lines()[0].get_ydata()
    assert set(np.unique(counts)) <= {0.0, 0.5, 1.0, 1.5, 2.0}
