"""The typical sequence is nearest to the other samples, and the caller's key ranks candidates."""

import io
from itertools import combinations

import numpy as np
import pytest

import unspool as us
from unspool.dataset.gather import gather
from unspool.encoding.fit import fit_codec
from unspool.errors import OptionError
from unspool.reranking import sample_distances
from unspool.sequences import Sequences


@pytest.fixture(scope="module")
def names(workshop):
    return us.load(workshop.names)


@pytest.fixture(scope="module")
def tracks(workshop):
    return us.load(workshop.tracks)


def levenshtein(a, b):
    """The textbook recursion, row by row."""
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, right in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (left != right))
    return row[-1]


def test_distances_of_texts_are_edit_distances(names):
    made = names.generate({"country": "Irish"}, n=12, seed=1)
    found = sample_distances(made, np.arange(12))
    assert found.shape == (12, 12)
    assert (found == found.T).all()
    for i, j in combinations(range(12), 2):
        assert found[i, j] == levenshtein(made[i], made[j])


def test_distances_of_records_are_scaled_and_count_lengths():
    """Level in standard deviations of the samples at a step, mood and flag as 0 or 1; each column weighs a third."""
    steps = [{"level": 0.5, "mood": "low", "flag": True}, {"level": 2.5, "mood": "high", "flag": False}]
    schema, examples = gather({"k": ["a", "b"], "path": [steps, steps[:1]]}, inputs="k", sequence="path")
    codec, rng = fit_codec(schema, examples), np.random.default_rng(0)
    lengths = np.array([3, 2, 0, 3, 1])
    level, offsets = rng.normal(size=9) * 7, np.concatenate([[0], lengths.cumsum()])
    level[4] = np.nan  # the last step of the second
    mood, flag = rng.choice(np.array(["low", "high"], object), 9), rng.random(9) < 0.5
    columns = {"level": level, "mood": mood, "flag": flag}
    made = Sequences(codec, codec.read_inputs({"k": "a"}), columns, offsets, np.ones(5, bool), 5, 7)
    table = np.full((5, 3), np.nan)
    for k in range(5):
        table[k, : lengths[k]] = level[offsets[k] : offsets[k + 1]]
    squares = sum(np.nansum((column - np.nanmean(column)) ** 2) for column in table.T)
    scale = np.sqrt(squares / np.isfinite(table).sum())
    found = sample_distances(made, np.arange(5))
    for i, j in combinations(range(5), 2):
        apart = float(abs(lengths[i] - lengths[j]))
        for t in range(min(lengths[i], lengths[j])):
            a, b = offsets[i] + t, offsets[j] + t
            numbers = np.nan_to_num(abs(level[a] - level[b]) / scale, nan=1.0)
            apart += (numbers + (mood[a] != mood[b]) + (flag[a] != flag[b])) / 3
        np.testing.assert_allclose(found[i, j], apart, rtol=1e-12)


def test_a_level_that_does_not_vary_has_no_distance(tracks):
    made = tracks.generate({"group": "a", "level": 1.0}, rule=us.Typical(samples=5), seed=1)
    assert len(made) == 1


@pytest.mark.parametrize("given", [{"country": ["Irish", "Greek"]}, {"country": "Greek"}])
def test_the_typical_sequence_is_nearest_to_the_others(names, given):
    rule = us.Typical(samples=20)
    typical = names.generate(given, rule=rule, seed=3)
    samples = names.generate(given, n=20, seed=3)
    rows = len(typical)
    assert typical.lengths.tolist() == [len(text) for text in typical]
    for row in range(rows):
        texts = samples[20 * row : 20 * (row + 1)]
        sums = [sum(levenshtein(text, other) for other in texts) for text in texts]
        assert typical[row] == texts[int(np.argmin(sums))]
    assert list(typical.rows) == list(range(rows))
    assert list(names.generate(given, rule="typical", seed=3)) == list(
        names.generate(given, rule=us.Typical(samples=50), seed=3)
    )


def test_a_distance_of_the_callers_own(names):
    """By the length alone, the typical sequence has the median length."""
    samples = names.generate({"country": "Irish"}, n=9, seed=3)
    rule = us.Typical(samples=9, distance=lambda a, b: abs(len(a) - len(b)))
    (typical,) = names.generate({"country": "Irish"}, rule=rule, seed=3)
    assert len(typical) == np.median(samples.lengths)
    with pytest.raises(OptionError, match=r"Typical\(distance=.*\): expected a number for every sequence, found 'far'"):
        names.generate({"country": "Irish"}, rule=us.Typical(samples=3, distance=lambda a, b: "far"), seed=3)
    with pytest.raises(OptionError, match="a function of two sequences"):
        us.Typical(distance="edit")


def test_the_best_of_some_samples_by_a_key(names):
    given = {"country": ["Irish", "Greek"]}
    samples = names.generate(given, n=15, seed=3)
    best = names.generate(given, n=3, best_of=15, key=len, seed=3)
    assert len(best) == 6
    for row in range(2):
        wanted = sorted(samples[15 * row : 15 * (row + 1)], key=len, reverse=True)[:3]
        assert best[3 * row : 3 * (row + 1)] == wanted
    assert best.to_dict()["sample"] == [0, 1, 2] * 2
    assert best.rows.tolist() == [0, 0, 0, 1, 1, 1]


def test_hypotheses_of_a_beam_by_a_key_keep_their_nats(names):
    beam = names.generate({"country": "Irish"}, rule=us.Beam(width=8, best=8))
    best = names.generate({"country": "Irish"}, n=2, best_of=8, key=lambda text: -len(text), rule=us.Beam(width=8))
    order = np.argsort(beam.lengths, kind="stable")[:2]
    assert list(best) == [beam[int(k)] for k in order]
    np.testing.assert_allclose(best.nats, beam.nats[order], atol=1e-5)
    with pytest.raises(OptionError, match=r"Beam\(best=9\): expected at most the width, 8"):
        names.generate({"country": "Irish"}, best_of=9, key=len, rule=us.Beam(width=8))


@pytest.mark.parametrize(
    "options", [{"rule": us.Typical(samples=11)}, {"best_of": 11, "key": len}, {"n": 2, "best_of": 11, "key": len}]
)
def test_a_file_written_part_by_part_is_the_file_written_whole(names, monkeypatch, options):
    from unspool import jobs

    given = {"country": ["Irish", "Greek", "Irish"]}
    one, many = io.BytesIO(), io.BytesIO()
    names.generate(given, seed=3, **options).save(one)
    monkeypatch.setattr(jobs, "MAX_PART_STEPS", 8 * 14)
    names.generate_to(many, given, seed=3, **options)
    assert many.getvalue() == one.getvalue()


def test_a_data_set_of_typical_sequences(names):
    assert len(names.sample(3, rule="typical", seed=1)) == 3


def test_options_that_contradict_are_refused(names):
    given = {"country": "Irish"}
    for options, message in [
        ({"key": len}, "key=...): expected best_of too"),
        ({"best_of": 5}, "a function of a sequence"),
        ({"best_of": 5, "key": "len"}, "a function of a sequence"),
        ({"best_of": 2, "n": 3, "key": len}, "at least 3"),
        ({"rule": "typical", "n": 3}, r"1, for Typical"),
        ({"rule": "typical", "best_of": 5, "key": len}, "a rule that samples or searches"),
        ({"best_of": 5, "key": lambda text: None}, "expected a number for every sequence, found None"),
    ]:
        with pytest.raises(
            OptionError, match=message.replace("(", r"\(").replace(")", r"\)").replace("...", r"\.\.\.")
        ):
            names.generate(given, seed=1, **options)
    for options in ({"rule": "typical"}, {"best_of": 5, "key": len}):
        with pytest.raises(OptionError, match="a rule that samples"):
            names.stream(given, **options)


def test_the_command_line_takes_the_typical_sequence(workshop, names, capsys):
    from unspool.cli.app import main

    command = ["generate", str(workshop.names), "-i", "country=Irish", "--seed", "3", "-f", "lines"]
    assert main([*command, "--typical", "20"]) == 0
    assert capsys.readouterr().out.splitlines() == list(
        names.generate({"country": "Irish"}, rule=us.Typical(samples=20), seed=3)
    )
    assert main([*command, "--typical", "20", "--beam", "4"]) == 2
    assert "--typical: expected no beam search, found --beam" in capsys.readouterr().err
    assert main([*command, "--typical", "20", "--top-k", "3"]) == 2
    assert "--top-k: expected no typical sequence, found --typical" in capsys.readouterr().err
