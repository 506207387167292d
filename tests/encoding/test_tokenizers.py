"""Words and pieces of words: cut, written and learned from without loss."""

import itertools
import sys

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import unspool as us
from unspool.dataset.gather import gather, gather_fitted
from unspool.encoding.codec import Codec
from unspool.encoding.columns import Continuation
from unspool.encoding.fit import fit_codec
from unspool.encoding.tokenizers import split_words
from unspool.errors import MissingExtra, OptionError, SchemaError, UnknownCategory

FIRST, SECOND = ["né", "œuf", "Jack's", "日本"], ["ran", "sat", "çà", "😀"]
ENTROPY = 2 * np.log(4)
"""Nats of a sentence: each of its two words is one of four, equally often, and the input decides on the rest."""
UNITS = ["char", "word", "bpe"]
LONGER = ["word", "bpe"]
TEXTS = st.lists(st.text(), min_size=1).filter(lambda texts: len(set("".join(texts))) > 1)


def sentences(repeated: int) -> dict[str, list[str]]:
    rows = [*itertools.product(["calm", "loud"], FIRST, SECOND)] * repeated
    return {
        "mood": [mood for mood, _, _ in rows],
        "said": [f"The {a} {b}{'?!' if m == 'loud' else '.'}" for m, a, b in rows],
    }


def fit(texts: list[str], unit: str, vocabulary: int | None = None) -> Codec:
    data = {"k": [str(k % 2) for k in range(max(len(texts), 2))], "x": [*texts, *([""] if len(texts) < 2 else [])]}
    return fit_codec(*gather(data, inputs="k", sequence=us.Text("x", unit, vocabulary)))


def cut(codec: Codec, texts: list[str]):
    return codec.encode(gather_fitted(codec, {"k": ["0"] * len(texts), "x": texts}))


def written(codec: Codec, texts: list[str], *, apart: bool = False) -> list:
    encoded = cut(codec, texts)
    return codec.show(codec.decode(encoded.steps, encoded.offsets), encoded.offsets, apart=apart)


@pytest.fixture(scope="module")
def talkers():
    """A model of the sentences by unit, with what it was fitted to."""
    data = sentences(8)
    options = {"network": us.Network(size=16), "training": us.Training(epochs=60, holdout=0), "verbose": False}
    return {unit: us.OneToMany("mood", us.Text("said", unit=unit), **options).fit(data) for unit in LONGER}


@pytest.fixture(scope="module")
def stammerer():
    """A model that writes bytes, after so little training mostly bytes that are no character."""
    data = sentences(2)
    options = {"network": us.Network(size=8), "training": us.Training(epochs=1, holdout=0), "verbose": False}
    return us.OneToMany("mood", us.Text("said", "bpe", 256), **options).fit(data)


@given(st.text())
def test_words_put_together_are_the_text(text):
    assert "".join(split_words(text)) == text


def test_words_keep_the_space_before_them_and_their_apostrophes():
    assert "|".join(split_words("Don't  go, l’été\n\n(now)!")) == "Don't| | go|,| l’été|\n|\n|(|now|)!"


@pytest.mark.parametrize("unit", UNITS)
@given(TEXTS)
def test_any_texts_come_back_as_they_were_and_the_vocabulary_survives_json(unit, texts):
    codec = fit(texts, unit)
    encoded = cut(codec, texts)
    assert written(codec, texts) == texts
    assert encoded.steps[0].max(initial=0) < len(codec.steps[0].values)
    assert msgspec.json.decode(msgspec.json.encode(codec), type=Codec) == codec


@given(st.lists(st.text(), min_size=1).filter(any))
def test_pieces_write_any_text_even_one_of_other_characters(texts):
    codec = fit(sentences(2)["said"], "bpe")
    assert written(codec, texts) == texts
    assert codec.steps[0].unseen == 0.0


@given(st.lists(st.text("aeThJck 's日?!"), min_size=1).filter(any))
def test_words_that_training_never_saw_are_spelled(texts):
    codec = fit(sentences(2)["said"], "word")
    assert written(codec, texts) == texts


def test_a_character_that_training_never_saw_is_one_unseen_symbol_of_words():
    codec = fit(sentences(2)["said"], "word")
    assert written(codec, ["The zoo sat"], apart=True) == [["The", " ", "\ufffd", "\ufffd", "\ufffd", " sat"]]
    assert 0 < codec.steps[0].unseen < 0.1


def test_words_seen_once_are_spelled_so_that_spelling_is_learned():
    codec = fit(["one two two", "two one three"], "word")
    assert written(codec, ["one two two", "three"], apart=True) == [[*"one", " two", " two"], [*"three"]]


def test_a_smaller_vocabulary_keeps_the_most_frequent_words_and_pieces():
    texts = ["a bee a bee a bee", "a cow a cow", "bee"]
    longer = [value for value in fit(texts, "word", 2).steps[0].values if len(value) > 1]
    assert longer == [" a", " bee"]
    assert len(fit(texts, "bpe", 258).steps[0].values) == 258
    assert fit(texts, "bpe", 256).steps[0].merges == ()


@pytest.mark.parametrize("unit", LONGER)
def test_the_vocabulary_is_that_of_the_texts_whatever_the_order_of_rows(unit):
    texts = sentences(2)["said"]
    assert fit(texts, unit).steps == fit(texts[::-1], unit).steps


@given(st.text("Thenéœuf日本ransatçà😀 .?!x", min_size=1))
def test_words_are_cut_into_pieces_as_the_package_tokenizers_cuts_them(text):
    from tokenizers import Tokenizer, models

    codec = fit(sentences(2)["said"], "bpe", 290)
    column = codec.steps[0]
    oracle = Tokenizer(models.BPE({value: k for k, value in enumerate(column.values)}, list(column.merges)))
    wanted = [code for word in split_words(text) for code in oracle.encode(word.encode().decode("latin-1")).ids]
    assert cut(codec, [text]).steps[0].tolist() == wanted


def test_a_character_shows_with_the_piece_that_completes_it_and_broken_bytes_show_as_such():
    column = fit(["ab", "ba"], "bpe", 256).steps[0]
    codes = np.array([column.values.index(chr(byte)) for byte in b"a\xc3\xa9\xc3b\xe6\x97"])
    (shown,), left = column.decode(codes, Continuation(np.array([0, 7])))
    assert shown.tolist() == ["a", "", "é", "", "\ufffdb", "", ""]
    assert left.tolist() == [b"\xe6\x97"]
    (shown,), left = column.decode(np.array([column.values.index("\xa5")]), Continuation(np.array([0, 1]), left))
    assert (shown.tolist(), left.tolist()) == (["日"], [b""])


def test_texts_laid_out_in_steps_have_no_words():
    table = {"id": [1, 1, 2, 2], "k": ["a", "a", "b", "b"], "x": list("abca")}
    with pytest.raises(SchemaError, match="whole texts, to be cut into words or pieces"):
        gather(table, id="id", inputs="k", sequence=us.Text("x", unit="word"))


@pytest.mark.parametrize(
    ("unit", "vocabulary"), [("char", 100), ("word", 0), ("word", 1.5), ("bpe", 255), ("bpe", True)]
)
def test_a_vocabulary_that_no_unit_can_have_is_refused(unit, vocabulary):
    with pytest.raises(OptionError, match="vocabulary"):
        us.Text("x", unit, vocabulary)


def replaced(codec: Codec, **changes) -> Codec:
    return msgspec.structs.replace(codec, steps=(msgspec.structs.replace(codec.steps[0], **changes),))


@pytest.mark.parametrize(
    ("unit", "changes", "words"),
    [
        ("char", {"values": ("ab", "c")}, "single characters"),
        ("char", {"text": False}, "text exactly if"),
        ("word", {"values": ("a b", "c")}, "characters and words"),
        ("word", {"merges": (("a", "b"),)}, "pieces of bytes exactly if the unit is bpe"),
        ("char", {"bytes": True}, "pieces of bytes exactly if the unit is bpe"),
        ("bpe", {"bytes": False}, "pieces of bytes exactly if the unit is bpe"),
        ("bpe", {"values": ("a", "b")}, "all bytes and the pieces of the merges"),
        ("bpe", {"merges": (("ab", "zz"),)}, "all bytes and the pieces of the merges"),
    ],
)
def test_a_vocabulary_from_a_file_that_is_not_of_its_unit_is_refused(unit, changes, words):
    with pytest.raises(SchemaError, match=words):
        replaced(fit(["ab ab", "ba ab"], unit), **changes)


def test_without_the_package_learning_pieces_names_the_extra_and_all_else_works(monkeypatch):
    texts = sentences(2)["said"]
    codec = fit(texts, "bpe")
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    assert written(codec, texts) == texts
    assert written(fit(texts, "word"), texts) == texts
    with pytest.raises(MissingExtra, match=r"tokenizers.*pip install 'unspool\[text\]'"):
        fit(texts, "bpe")


@pytest.mark.slow
@pytest.mark.parametrize("unit", LONGER)
def test_a_model_learns_the_sentences_whatever_they_are_made_of(talkers, unit):
    nats = -talkers[unit].log_prob(sentences(1)).mean()
    assert ENTROPY - 0.02 < nats < ENTROPY + 0.15  # training has each equally often, so that less is impossible
    made = talkers[unit].generate({"mood": ["calm", "loud"]}, n=50, seed=1)
    known = dict(zip(sentences(1)["said"], sentences(1)["mood"], strict=True))
    right = [known.get(text) == ("calm", "loud")[k // 50] for k, text in enumerate(made)]
    assert np.mean(right) > 0.8


@pytest.mark.parametrize("unit", LONGER)
def test_a_model_of_longer_units_comes_back_from_its_file(talkers, unit, tmp_path):
    talkers[unit].save(tmp_path / "talker.unspool")
    again = us.load(tmp_path / "talker.unspool")
    one, other = (list(model.generate({"mood": "loud"}, n=5, seed=2)) for model in (again, talkers[unit]))
    assert one == other
    np.testing.assert_array_equal(again.log_prob(sentences(1)), talkers[unit].log_prob(sentences(1)))


@pytest.mark.parametrize("unit", LONGER)
def test_a_given_beginning_is_gone_on_from(talkers, unit):
    made = talkers[unit].generate({"mood": "calm"}, n=20, seed=3, prefix="The œuf")
    assert all(text.startswith("The œuf") for text in made)
    assert len(set(made)) > 1


def test_a_beginning_with_a_character_that_training_never_saw_is_refused(talkers):
    with pytest.raises(UnknownCategory, match="'z'"):
        talkers["word"].generate({"mood": "calm"}, prefix="The zoo")


@pytest.mark.parametrize("unit", LONGER)
def test_a_beam_finds_whole_texts_with_their_nats(talkers, unit):
    best = talkers[unit].generate({"mood": "calm"}, rule=us.Beam(width=20, best=4))
    data = {"mood": ["calm"] * 4, "said": list(best)}
    assert set(best) <= set(sentences(1)["said"])
    np.testing.assert_allclose(best.nats, talkers[unit].log_prob(data), atol=1e-3)


def test_a_stream_of_bytes_is_the_text_that_generate_gives_even_where_a_part_ends_amid_a_character(stammerer):
    whole = list(stammerer.generate({"mood": ["calm", "loud"]}, n=10, seed=4, length=40))
    streamed = [""] * 20
    for event in stammerer.stream({"mood": ["calm", "loud"]}, n=10, seed=4, length=40):
        streamed[event.row * 10 + event.sample] += event.value
    assert streamed == whole
    assert any("\ufffd" in text for text in whole)


@pytest.mark.parametrize("long", [False, True])
def test_made_texts_are_saved_whole_or_step_by_step(talkers, long, tmp_path):
    made = talkers["bpe"].generate({"mood": "calm"}, n=3, seed=5)
    made.save(tmp_path / "made.parquet", long=long)
    import pyarrow.parquet as pq

    said = pq.read_table(tmp_path / "made.parquet").column("said").to_pylist()
    assert (said == list(made)) if not long else ("".join(said) == "".join(made))


@pytest.mark.parametrize("unit", LONGER)
def test_a_report_gives_bits_per_character_whatever_the_unit(talkers, unit):
    data = sentences(1)
    report = talkers[unit].evaluate(data, train=sentences(2), samples=2)
    tables = {part.title: part for part in report.section("likelihood").parts}
    bits = tables["Bits per character, ends included"].rows[0][1].value
    wanted = -talkers[unit].log_prob(data).sum() / np.log(2) / sum(map(len, data["said"]))
    assert bits == pytest.approx(wanted, rel=1e-6)
    (symbols,) = (part for part in report.section("marginals").parts if part.title == "Symbols")
    assert symbols.rows[0][-1] == 0.0  # what was made is compared by its characters, which are those of training


def test_a_picture_writes_the_texts(talkers, tmp_path):
    talkers["word"].generate({"mood": "calm"}, n=3, seed=5).plot(tmp_path / "made.png")
    assert (tmp_path / "made.png").stat().st_size > 1000
