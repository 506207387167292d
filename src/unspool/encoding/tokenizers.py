"""The units of text that are longer than a character: words, and pieces of words learned by byte-pair encoding.

The regular expression `WORD` cuts a text into words. Every character lies in exactly one match: the words, joined, are
the text.

| unit | a word that the vocabulary lacks | an unseen symbol |
|---|---|---|
| word | is spelled, character by character | a character that training never saw |
| bpe | is cut into pieces, at worst bytes | none: every text has its pieces |

Words that occur once in training are spelled, too: they stand for unseen words, so that the network learns when and how
to spell. Characters and words are symbols of one vocabulary: a spelled *a* is the word *a*.

Pieces are those of byte-pair encoding (Sennrich et al. 2016, arXiv:1508.07909) over the bytes of UTF-8. In the file a
byte is the character of the same number (Latin-1), so a piece may be a part of a character. `tokenizers` learns them;
cutting and joining takes nothing but the list of merges.
"""

import itertools
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from unspool.dataset.examples import Examples
from unspool.encoding.vocabulary import Vocabulary, good_turing
from unspool.errors import MissingExtra, SchemaError
from unspool.schema.fields import BYTE_SYMBOLS, Field, Schema, Text, TextUnit
from unspool.tables.columns import offsets_from_lengths

WORD = re.compile(r" ?\w+(?:['’]\w+)*| ?[^\w\s]+|\s+(?!\S)|\s")
"""A word or a run of other signs, with one space before it. The last character of longer white space is a match of
its own."""

MAX_WORDS = 20_000
"""Words of a vocabulary at the most, by default."""
MIN_WORD_COUNT = 2
"""Times that a word, or the two parts of a piece, must occur in training to be one symbol."""
PIECES_RANGE, CHARACTERS_PER_PIECE = (1_000, 8_000), 200
"""Default size of a vocabulary of pieces: one piece per so many characters of training, within this range."""


def split_words(text: str) -> list[str]:
    """The words of a text; joined, they are the text.

    Examples:
        >>> split_words("Don't panic,  Arthur!")
        ["Don't", ' panic', ',', ' ', ' Arthur', '!']
    """
    return WORD.findall(text)


def fit_tokenizer(field: Text, examples: Examples) -> Vocabulary:
    """The vocabulary of a text field whose unit is longer than a character, from examples that hold code points.

    Raises:
        MissingExtra: pieces are asked for, and the package `tokenizers` is not installed.
    """
    points = examples.steps[field.name]
    merges: tuple[tuple[str, str], ...] = ()
    counts = Counter(word for text in texts_of(points, examples.offsets) for word in split_words(text))
    if field.unit == "bpe":
        size = field.vocabulary or int(np.clip(len(points) // CHARACTERS_PER_PIECE, *PIECES_RANGE))
        merges = learn_merges(counts, size)
        pieces, alphabet = _byte_pairs(merges), {*map(chr, range(BYTE_SYMBOLS)), *map("".join, merges)}
    else:
        frequent = (word for word, n in counts.items() if n >= MIN_WORD_COUNT)
        ranked = sorted(frequent, key=lambda word: (-counts[word], word))
        known = set(ranked[: field.vocabulary or MAX_WORDS])
        pieces, alphabet = _spelled(known), {sign for word in counts for sign in word}
    seen: Counter[str] = Counter(dict.fromkeys(alphabet, 0))
    for word, n in counts.items():
        for piece in pieces(word):
            seen[piece] += n
    is_bytes = field.unit == "bpe"
    unseen = 0.0 if is_bytes else good_turing(list(seen.values()), seen.total())
    values = sorted(seen, key=lambda piece: (-seen[piece], piece))
    return Vocabulary(tuple(values), unseen, text=True, bytes=is_bytes, merges=merges)


def learn_merges(counts: Counter[str], vocabulary: int) -> tuple[tuple[str, str], ...]:
    """The merges of byte-pair encoding of counted words, most frequent first; at most `vocabulary` with the bytes.

    Raises:
        MissingExtra: the package `tokenizers` is not installed.
    """
    try:
        from tokenizers import Tokenizer, models, trainers
    except ImportError:
        hint = "pip install 'unspool[text]'"
        raise MissingExtra("Text(unit='bpe')", "the package tokenizers", "none", hint) from None
    alphabet = list(map(chr, range(BYTE_SYMBOLS)))
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, min_frequency=MIN_WORD_COUNT, initial_alphabet=alphabet, show_progress=False
    )
    learned = Tokenizer(models.BPE())
    # Sorted, so that ties don't depend on the order of the rows.
    words = (itertools.repeat(_bytes(word), n) for word, n in sorted(counts.items()))
    learned.train_from_iterator(itertools.chain.from_iterable(words), trainer)
    return tuple((left, right) for left, right in json.loads(learned.to_str())["model"]["merges"])


def check_vocabulary(field: Field, column: Vocabulary) -> None:
    """Refuse a vocabulary that is not of its field's unit with a `SchemaError`."""
    unit: TextUnit | None = field.unit if isinstance(field, Text) else None
    location = f"symbols of {field.name!r}"
    if column.text != (unit is not None):
        raise SchemaError(location, "text exactly if the field is Text", field.kind)
    values = [str(value) for value in column.values]
    if column.bytes != (unit == "bpe") or (column.merges and not column.bytes):
        raise SchemaError(location, "pieces of bytes exactly if the unit is bpe", f"{len(column.merges)} merges")
    if unit == "char" and any(len(value) > 1 for value in values):
        raise SchemaError(location, "single characters", repr(max(values, key=len)))
    if unit == "word" and any(len(value) > 1 and split_words(value) != [value] for value in values):
        raise SchemaError(location, "characters and words", repr(next(v for v in values if split_words(v) != [v])))
    if unit == "bpe":
        pieces = {*map(chr, range(BYTE_SYMBOLS)), *map("".join, column.merges)}
        if pieces != set(values) or not {part for pair in column.merges for part in pair} <= pieces:
            raise SchemaError(location, "all bytes and the pieces of the merges", f"{len(values)} other pieces")


def tokenize(schema: Schema, columns: Iterable[Any], examples: Examples) -> Examples:
    """Examples whose steps are the units of a text instead of its code points; other examples without a change.

    `columns` are the fitted ones of the steps; that of a text is a `Vocabulary`.
    """
    for field, column in zip(schema.steps, columns, strict=True):
        if isinstance(field, Text) and field.unit != "char":
            pieces = _byte_pairs(column.merges) if column.bytes else _spelled(set(map(str, column.values)))
            texts = texts_of(examples.steps[field.name], examples.offsets)
            rows = [[piece for word in split_words(text) for piece in pieces(word)] for text in texts]
            flat = np.array(list(itertools.chain.from_iterable(rows)), dtype=object)
            offsets = offsets_from_lengths(np.array(list(map(len, rows)), np.int64))
            return replace(examples, steps={field.name: flat}, offsets=offsets)
    return examples


def texts_of(points: np.ndarray, offsets: np.ndarray) -> list[str]:
    """The texts whose code points lie end to end.

    Examples:
        >>> texts_of(np.array([97, 98, 128512], np.uint32), np.array([0, 2, 2, 3]))
        ['ab', '', '😀']
    """
    whole = points.astype("<u4").tobytes().decode("utf-32-le")
    return [whole[start:end] for start, end in itertools.pairwise(offsets.tolist())]


def _bytes(text: str) -> str:
    return text.encode("utf-8").decode("latin-1")


def _spelled(known: set[str]) -> Callable[[str], list[str]]:
    """The function that spells a word which is not known."""
    return lambda word: [word] if word in known else list(word)


def _byte_pairs(merges: Iterable[tuple[str, str]]) -> Callable[[str], list[str]]:
    """The function that cuts a word into pieces: it applies the merge that was learned first until none applies."""
    rank = {pair: position for position, pair in enumerate(merges)}
    never = len(rank)
    cache: dict[str, list[str]] = {}

    def pieces(word: str) -> list[str]:
        if word in cache:
            return cache[word]
        parts = list(_bytes(word))
        while len(parts) > 1:
            ranks = [rank.get(pair, never) for pair in itertools.pairwise(parts)]
            first = min(ranks)
            if first == never:
                break
            merged: list[str] = []
            start = -2  # of the last merge; the part after it is taken, so the pair that begins there can't merge
            for at, part in enumerate(parts):
                if at == start + 1:
                    merged[-1] += part
                    continue
                merged.append(part)
                if at < len(ranks) and ranks[at] == first:
                    start = at
            parts = merged
        return cache.setdefault(word, parts)

    return pieces
