"""The units of text that are longer than a character: words, and pieces of words learned by byte-pair encoding.

A text is first cut into words by one regular expression, `WORD`, in which every character of any text falls into
exactly one match: joined again, the words are the text.

| unit | a word that the vocabulary lacks | what no text of training holds |
|---|---|---|
| word | is spelled, character by character | a new character is the unseen symbol |
| bpe | is cut into pieces, at worst bytes | nothing: every text has its pieces |

Words that occur once in training are spelled, too: they stand for those that training never saw, so that the network
learns when to spell, and how. Characters and words are symbols of one vocabulary: a spelled *a* is the word *a*.

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

import numpy as np

from unspool.dataset.examples import Examples
from unspool.encoding.vocabulary import Vocabulary, good_turing
from unspool.errors import MissingExtra, SchemaError
from unspool.schema.fields import BYTE_SYMBOLS, Field, Schema, Text, TextUnit
from unspool.tables.columns import offsets_from_lengths

WORD = re.compile(r" ?\w+(?:['’]\w+)*| ?[^\w\s]+|\s+(?!\S)|\s")
"""A word or a run of other signs, with one space before it. Of longer white space the last character stands apart."""

MAX_WORDS = 20_000
"""Words of a vocabulary at the most, unless told otherwise."""

MIN_WORD_COUNT = 2
"""Times that a word, or the two parts of a piece, must occur in training to be one symbol."""

PIECES_RANGE = (1_000, 8_000)
CHARACTERS_PER_PIECE = 200
"""Pieces of a vocabulary, unless told otherwise: one for so many characters of training, within these bounds."""


def split_words(text: str) -> list[str]:
    """The words of a text; joined, they are the text.

    Examples:
        >>> split_words("Don't panic,  Arthur!")
        ["Don't", ' panic', ',', ' ', ' Arthur', '!']
    """
    return WORD.findall(text)


def is_tokenized(field: Field) -> bool:
    """Whether a step of this field is more than a character of text."""
    return isinstance(field, Text) and field.unit != "char"


def fit_tokenizer(field: Text, examples: Examples) -> Vocabulary:
    """The vocabulary of a text field whose unit is longer than a character.

    Args:
        field: the field.
        examples: with its code points, and offsets that count them.

    Raises:
        MissingExtra: pieces are asked for, and the package `tokenizers` is not installed.
    """
    texts = texts_of(examples.steps[field.name], examples.offsets)
    merges: tuple[tuple[str, str], ...] = ()
    counts = Counter(word for text in texts for word in split_words(text))
    if field.unit == "bpe":
        few, many = PIECES_RANGE
        merges = learn_merges(
            counts, field.vocabulary or min(max(len(examples.steps[field.name]) // CHARACTERS_PER_PIECE, few), many)
        )
        pieces, alphabet = _byte_pairs(merges), {*map(chr, range(BYTE_SYMBOLS)), *map("".join, merges)}
    else:
        frequent = [(word, n) for word, n in counts.most_common() if n >= MIN_WORD_COUNT]
        ranked = sorted(frequent, key=lambda pair: (-pair[1], pair[0]))
        known = {word for word, _ in ranked[: field.vocabulary or MAX_WORDS]}
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
    """The merges of byte-pair encoding, most frequent first.

    Args:
        counts: how often each word occurs.
        vocabulary: bytes and merges in all, at the most.

    Raises:
        MissingExtra: the package `tokenizers` is not installed.
    """
    try:
        from tokenizers import Tokenizer, models, trainers
    except ImportError:
        raise MissingExtra(
            "Text(unit='bpe')", "the package tokenizers", "none", "pip install 'unspool[text]'"
        ) from None
    alphabet = list(map(chr, range(BYTE_SYMBOLS)))
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, min_frequency=MIN_WORD_COUNT, initial_alphabet=alphabet, show_progress=False
    )
    learned = Tokenizer(models.BPE())
    # In one order whatever that of the rows, so that ties fall the same way.
    words = (itertools.repeat(_bytes(word), n) for word, n in sorted(counts.items()))
    learned.train_from_iterator(itertools.chain.from_iterable(words), trainer)
    return tuple((left, right) for left, right in json.loads(learned.to_str())["model"]["merges"])


def check_vocabulary(field: Field, column: Vocabulary) -> None:
    """Refuse a vocabulary that is not of its field's unit.

    Raises:
        SchemaError: what it holds instead.
    """
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
        made = {*map(chr, range(BYTE_SYMBOLS)), *map("".join, column.merges)}
        parts = {part for pair in column.merges for part in pair}
        if made != set(values) or not parts <= made:
            raise SchemaError(location, "all bytes and what the merges make of them", f"{len(values)} other pieces")


def tokenize(schema: Schema, columns: Iterable[object], examples: Examples) -> Examples:
    """Examples with texts cut into their units, so that a step is one of them; other examples as they are.

    Args:
        schema: the fields.
        columns: the fitted column of every step field.
        examples: with code points, and offsets that count them.
    """
    for field, column in zip(schema.steps, columns, strict=True):
        if is_tokenized(field) and isinstance(column, Vocabulary):
            pieces = _cutter(column)
            rows = [
                [piece for word in split_words(text) for piece in pieces(word)]
                for text in texts_of(examples.steps[field.name], examples.offsets)
            ]
            flat = np.array([piece for row in rows for piece in row], dtype=object)
            return replace(
                examples,
                steps={field.name: flat},
                offsets=offsets_from_lengths(np.array(list(map(len, rows)), np.int64)),
            )
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


def _cutter(column: Vocabulary) -> Callable[[str], list[str]]:
    return _byte_pairs(column.merges) if column.bytes else _spelled({str(value) for value in column.values})


def _spelled(known: set[str]) -> Callable[[str], list[str]]:
    return lambda word: [word] if word in known else list(word)


def _byte_pairs(merges: Iterable[tuple[str, str]]) -> Callable[[str], list[str]]:
    """Cuts a word into pieces: those neighbours become one whose merge was learned first, until none have a merge."""
    rank = {pair: location for location, pair in enumerate(merges)}
    never = len(rank)
    cache: dict[str, list[str]] = {}

    def pieces(word: str) -> list[str]:
        if word in cache:
            return cache[word]
        parts = list(_bytes(word))
        while len(parts) > 1:
            ranks = [rank.get(pair, never) for pair in itertools.pairwise(parts)]
            if (first := min(ranks)) == never:
                break
            for at in reversed(_apart(ranks, first)):
                parts[at : at + 2] = [parts[at] + parts[at + 1]]
        return cache.setdefault(word, parts)

    return pieces


def _apart(ranks: list[int], wanted: int) -> list[int]:
    """Where a merge applies, from the left; of places next to each other, which share a part, every second one."""
    locations: list[int] = []
    for at, rank in enumerate(ranks):
        if rank == wanted and (not locations or at > locations[-1] + 1):
            locations.append(at)
    return locations
