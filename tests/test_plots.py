"""Pictures: what is drawn where, without touching matplotlib's global state."""

import subprocess
import sys

import matplotlib as mpl
import matplotlib.colors
import numpy as np
import pytest

import unspool as us
from unspool.config import Summary, ValidationRound
from unspool.dataset.gather import gather
from unspool.encoding.fit import fit_codec
from unspool.errors import FileError, MissingExtra, OptionError
from unspool.labels import colours
from unspool.plots.panels import BANDS, layout
from unspool.plots.sequences import plot_sequences
from unspool.plots.training import plot_training
from unspool.sequences import Sequences

RNG = np.random.default_rng(0)


def sequences(data, given, columns, lengths, **roles):
    """Sequences as a model fitted to `data` might generate them."""
    codec = fit_codec(*gather(data, **roles))
    table = codec.read_inputs(given)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    samples = len(lengths) // len(table)
    return Sequences(codec, table, columns, offsets, np.ones(len(lengths), bool), samples, 7)


def texts(names, rows=1):
    data = {"country": ["Irish", "Greek"], "name": ["".join(sorted(set("".join(names)))), "xy"]}
    letters = {"name": np.array(list("".join(names)), dtype=object)}
    given = {"country": ["Irish", "Greek"][:rows]}
    return sequences(data, given, letters, [len(name) for name in names], inputs="country", sequence="name")


def walks(lengths, rows=1):
    data = {"k": ["a", "b"], "x": [[0.5, 1.5, 2.5], [3.0, 4.0, 5.0]]}
    values = np.concatenate([100 + RNG.normal(size=n).cumsum() for n in lengths])
    return sequences(data, {"k": (["a", "b"] * rows)[:rows]}, {"x": values}, lengths, inputs="k", sequence="x")


def tracks(rows, n=20):
    data = {"id": [1, 1, 1, 2, 2], "level": [0.5, 1.5, 2.0, 4.0, 4.5], "mood": ["a", "b", "c", "b", "b"]}
    lengths = RNG.integers(3, 9, rows * n)
    total = lengths.sum()
    columns = {"level": RNG.normal(size=total), "mood": RNG.choice(["a", "b", "c"], total).astype(object)}
    first = us.First("level")
    return sequences(data, {"level": [9.0] * rows}, columns, lengths, inputs=first, sequence=["level", "mood"], id="id")


SUMMARY = Summary(
    1.5, 90, 10, 900, 100, 300, 200, 1000, 3.0, "decayed",
    [ValidationRound(100, 2.5, 2.4), ValidationRound(200, 1.4, 1.5), ValidationRound(300, 1.2, 1.6)],
)  # fmt: skip


def words_in(picture):
    """Every text in a figure."""
    return [text.get_text() for text in picture.findobj(mpl.text.Text) if text.get_text()]


# ---- files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ending", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_the_name_of_the_file_says_the_kind_of_picture(ending, start, tmp_path):
    path = tmp_path / f"fan.{ending}"
    walks([5] * 20).plot(path)
    assert path.read_bytes().startswith(start)
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


def test_a_notebook_shows_the_picture():
    assert walks([5] * 20).plot()._repr_png_().startswith(b"\x89PNG")


def test_an_unknown_kind_of_picture_is_refused_and_nothing_written(tmp_path):
    with pytest.raises(OptionError, match=r"\.png, \.svg, \.pdf"):
        walks([5]).plot(tmp_path / "fan.gif")
    with pytest.raises(FileError, match="no folder"):
        walks([5]).plot(tmp_path / "no" / "fan.png")
    assert not list(tmp_path.iterdir())


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtra, match=r"pip install 'unspool\[plot\]'"):
        plot_sequences(walks([4]))


def test_nothing_global_of_matplotlib_is_touched(tmp_path):
    before = dict(mpl.rcParams)
    walks([5] * 20).plot(tmp_path / "a.png")
    texts(["Aoife"]).plot(tmp_path / "b.png")
    assert dict(mpl.rcParams) == before
    program = "import sys, unspool.plots.canvas as c; c.figure(1, 1); print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


# ---- texts --------------------------------------------------------------------------------------------------------


def test_text_is_written_out_under_its_input():
    shown = words_in(plot_sequences(texts(["Aoife", "Niall", "Zeus", "Hera"], rows=2)))
    assert {"name given country", "Irish", "Greek"} <= set(shown)
    assert any(text.split() == ["Aoife", "Niall"] for text in shown)
    assert any(text.split() == ["Zeus", "Hera"] for text in shown)


def test_text_with_markup_control_characters_and_any_script_is_drawn_as_it_is(tmp_path):
    path = tmp_path / "names.png"
    shown = words_in(texts(["$x^$ \n\ttab", "漢字😀", "\u202ecba", "\\frac{"]).plot(path))
    assert any("$x^$ ↵→tab" in text for text in shown)
    assert path.exists()


def test_long_texts_are_wrapped_and_many_are_counted():
    shown = words_in(plot_sequences(texts(["word " * 100] * 40)))
    assert any(text.endswith("…") for text in shown)
    assert any(text.startswith("and ") and text.endswith(" more") for text in shown)


def test_no_line_of_text_leaves_the_figure():
    picture = plot_sequences(texts(["W" * 500, "W" * 12, "Mm " * 90]))
    picture.canvas.draw()
    assert all(text.get_window_extent().x1 <= picture.bbox.x1 for text in picture.texts)


# ---- panels -------------------------------------------------------------------------------------------------------


def test_a_fan_shows_the_quantiles_and_single_sequences():
    walk = walks([6] * 400)
    (axes,) = plot_sequences(walk).axes
    values = walk.columns["x"].reshape(400, 6)
    median, *paths = axes.get_lines()
    np.testing.assert_allclose(median.get_ydata(), np.median(values, axis=0))
    np.testing.assert_allclose([path.get_ydata() for path in paths], values[:4])
    assert len(axes.collections) == len(BANDS)
    for (share, _), band in zip(BANDS, axes.collections, strict=True):
        points = band.get_paths()[0].vertices
        last = points[points[:, 0] == 6][:, 1]
        expected = np.quantile(values[:, 5], [(1 - share) / 2, (1 + share) / 2])
        np.testing.assert_allclose([last.min(), last.max()], expected)


def test_few_sequences_are_drawn_themselves():
    (axes,) = plot_sequences(walks([4, 4, 2])).axes
    assert not axes.collections
    assert len(axes.get_lines()) == 3


def test_where_lengths_vary_the_bands_end_with_the_last_eight_and_the_note_says_so():
    picture = plot_sequences(walks([4] * 20 + [10] * 7))
    (axes,) = picture.axes
    assert axes.collections[0].get_paths()[0].vertices[:, 0].max() == 4
    assert any("lengths vary" in text for text in words_in(picture))


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_the_note_and_the_legend_do_not_overlap(rows):
    picture = plot_sequences(tracks(rows))
    picture.canvas.draw()
    note, legend = picture._supxlabel.get_window_extent(), picture.legends[0].get_window_extent()
    assert note.x1 < legend.x0


def test_missing_values_and_empty_sequences_are_left_out():
    walk = walks([5] * 20 + [0] * 5)
    walk.columns["x"][::3] = np.nan
    (axes,) = plot_sequences(walk).axes
    assert np.isfinite(axes.get_lines()[0].get_ydata()).all()


def test_sequences_that_all_ended_at_once_give_an_empty_panel(tmp_path):
    (axes,) = walks([0, 0]).plot(tmp_path / "fan.png").axes
    assert not axes.get_lines() or all(len(line.get_ydata()) == 0 for line in axes.get_lines())
    assert "Irish" in words_in(texts(["", ""]).plot(tmp_path / "names.svg"))


def test_every_input_and_field_has_a_panel_that_names_them():
    picture = plot_sequences(tracks(3))
    assert len(picture.axes) == 6
    assert [axes.get_title(loc="left") for axes in picture.axes] == ["level 9"] * 6
    assert [axes.get_ylabel() for axes in picture.axes] == ["level", "mood"] * 3


@pytest.mark.parametrize("spread", [2.0, 100.0])
def test_inputs_share_a_scale_so_that_they_compare(spread):
    walk = walks([6] * 40, rows=2)
    walk.columns["x"][120:] *= spread / walk.columns["x"][120:].std()
    walk.columns["x"][:] -= walk.columns["x"].mean()
    first, second = plot_sequences(walk).axes
    assert first.get_ylim() == second.get_ylim()


def test_a_given_first_value_is_step_zero():
    level, mood = plot_sequences(tracks(1)).axes
    assert all(line.get_ydata()[0] == 9 for line in level.get_lines())
    assert level.get_lines()[0].get_xdata()[0] == 0
    assert mood.get_ylim() == (0, 1)


def test_shares_of_categories_add_up_to_one():
    _, mood = plot_sequences(tracks(1, n=40)).axes
    tops = {}
    for bar in mood.patches:
        tops[bar.get_x()] = tops.get(bar.get_x(), 0.0) + bar.get_height()
    np.testing.assert_allclose(list(tops.values()), 1.0)


def test_dates_are_a_fan_and_a_block_of_flags_is_a_line_of_shares_for_each_member():
    start, ids = np.datetime64("2020-01-01", "us"), np.repeat(np.arange(12), 4)
    when = start + np.cumsum(RNG.integers(1, 5, 48)) * np.timedelta64(1, "D")
    fever, cough = RNG.random((2, 48)) < [[0.6], [0.1]]
    data = {"id": ids, "k": ids % 2, "when": when, "fever": fever, "cough": cough}
    columns = {name: data[name] for name in ("when", "fever", "cough")}
    steps = ["when", us.Flags("symptoms", ["fever", "cough"])]
    picture = plot_sequences(sequences(data, {"k": 0}, columns, [4] * 12, inputs="k", sequence=steps, id="id"))
    dates, symptoms = picture.axes
    np.testing.assert_allclose(
        dates.get_lines()[1].get_ydata(), (when[:4] - np.datetime64("1970-01-01")) / np.timedelta64(1, "D")
    )
    lines = {line.get_label(): line.get_ydata() for line in symptoms.get_lines()}
    np.testing.assert_allclose(lines["fever"], fever.reshape(12, 4).mean(0))
    np.testing.assert_allclose(lines["cough"], cough.reshape(12, 4).mean(0))
    assert [text.get_text() for text in symptoms.get_legend().get_texts()] == ["fever", "cough"]


def test_more_panels_than_fit_are_counted():
    picture = plot_sequences(walks([3] * 40, rows=20))
    assert len(picture.axes) == 12
    assert any("and 8 more panels" in text.replace("\n", " ") for text in words_in(picture))


@pytest.mark.parametrize(
    ("rows", "fields", "panels", "columns"),
    [(1, 1, 1, 1), (1, 12, 12, 4), (5, 3, 12, 3), (2, 2, 4, 2), (2, 5, 10, 2), (9, 5, 12, 4)],
)
def test_the_grid_keeps_the_fields_of_an_input_together(rows, fields, panels, columns):
    found = layout(rows, fields)
    assert (len(found[0]), found[1]) == (panels, columns)


def test_the_training_curve_marks_the_kept_weights(tmp_path):
    path = tmp_path / "curve.png"
    (axes,) = plot_training(SUMMARY, path).axes
    train, validation, kept = axes.get_lines()
    assert train.get_ydata().tolist() == [2.5, 1.4, 1.2]
    assert validation.get_ydata().tolist() == [2.4, 1.5, 1.6]
    assert (kept.get_xdata()[0], kept.get_ydata()[0]) == (200, 1.5)
    assert path.exists()


@pytest.mark.parametrize("rgb", [[0.0, 0.5, 1.0], [0, 128, 255]])
def test_an_input_that_is_a_colour_is_shown_as_one(rgb):
    data = {"rgb": [rgb, rgb[::-1]], "name": ["sky", "sea"]}
    letters = np.array(list("skysea"), object)
    names = sequences(data, {"rgb": [rgb]}, {"name": letters}, [3, 3], inputs="rgb", sequence="name")
    assert colours(names.codec, names.inputs) == ["#0080ff"]
    (patch,) = [one for one in plot_sequences(names).artists if hasattr(one, "get_facecolor")]
    assert mpl.colors.to_hex(patch.get_facecolor()) == "#0080ff"
    assert "background:#0080ff" in names._repr_html_()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"red": [255, 1], "green": [0, 2], "blue": [51, 3]}, ["#ff0033", "#010203"]),
        ({"shade": ["#AbCdEf", "#000000"]}, ["#abcdef", "#000000"]),
        ({"position": [[0.1, 0.2, 0.3], [0.3, 0.2, 0.1]]}, [None, None]),
        ({"red": [300, 1], "green": [0, 2], "blue": [51, 3]}, [None, None]),
    ],
)
def test_only_inputs_that_say_so_are_colours(given, expected):
    codec = fit_codec(*gather(given | {"name": ["a", "b"]}, inputs=list(given), sequence="name"))
    assert colours(codec, codec.read_inputs(given)) == expected


def test_legends_cover_no_data():
    picture = plot_training(SUMMARY)
    picture.draw_without_rendering()
    (legend,), (axes,) = picture.legends, picture.axes
    assert not legend.get_window_extent().overlaps(axes.get_window_extent())
