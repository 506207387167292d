"""The options, one frozen and checked class per concern, for Python, the command line and model files."""

import functools
import inspect
from collections.abc import Callable, Collection
from typing import Annotated, Any, Literal, ParamSpec, Self, TypeVar, get_args, get_origin

import msgspec
from msgspec import Meta

from unspool.errors import OptionError, did_you_mean

RENAMED = {
    "head": "distribution", "discretised": "discretized", "standardise": "standardize", "gap": "increment",
    "drop": "decrement",
}  # fmt: skip
"""Words of version 0.1, with those of today."""


ELSEWHERE = {
    "hidden_size": "size", "hidden_dim": "size", "hidden_units": "size", "units": "size", "num_layers": "layers",
    "n_layers": "layers", "embedding_dim": "embedding", "embedding_size": "embedding", "learning_rate": "rate",
    "lr": "rate", "batch_size": "batch", "n_epochs": "epochs", "max_epochs": "epochs", "num_epochs": "epochs",
    "validation_split": "holdout", "early_stopping": "patience", "temp": "temperature", "num_beams": "width",
    "n_samples": "n", "num_samples": "n", "random_state": "seed", "random_seed": "seed", "max_length": "limit",
    "max_new_tokens": "limit", "group": "id", "groups": "id", "group_by": "id", "sequence_id": "id", "time": "order",
    "sort_by": "order", "callbacks": "callback",
}  # fmt: skip
"""Options by the names that other packages give them, with ours."""
CONSTRUCTOR = ("inputs", "sequence", "network", "training", "combinations", "relations", "seed", "verbose")
FIT, FIT_COLUMNS = ("id", "order", "checkpoint", "start", "callback", "cache"), ("id", "order")
"""Arguments of `OneToMany` and of its `fit`, and those of them that name columns."""


def hint_for(name: str, known: Collection[str]) -> str:
    """A hint about an option that is none of the known ones, or nothing.

    Examples:
        >>> hint_for("hidden_size", ["size", "layers"]), hint_for("layer", ["size", "layers"])
        ("Here it is called 'size'.", "Did you mean 'layers'?")
    """
    here = ELSEWHERE.get(name)
    called = f"Here it is called {here!r}." if here is not None and here in known else ""
    return renamed(name) or called or did_you_mean(name, known)


def renamed(word: Any) -> str:
    """A hint about a word or an option of version 0.1, or nothing."""
    if not isinstance(word, str):
        return ""
    if word == "curve":
        return "Since version 0.2.0 scheduled feeding always rises linearly; leave it out."
    return f"Since version 0.2.0 it is {RENAMED[word]!r}." if word in RENAMED else ""


class OptionMeta(msgspec.StructMeta):
    """The metaclass of public structs: an unknown keyword is an `OptionError` that names the closest one."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Check the keywords, then construct."""
        known = self.__struct_fields__
        unnamed = len(self.__match_args__)
        if len(args) > unnamed:
            hint = "".join(f"Pass {self.__name__}({name}=...), say." for name in known[unnamed : unnamed + 1])
            raise OptionError(self.__name__, "options by name", repr(args[unnamed]), hint)
        for name in kwargs:
            if name not in known:
                raise OptionError(self.__name__, "one of " + ", ".join(known), repr(name), hint_for(name, known))
        return super().__call__(*args, **kwargs)


class Options(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, metaclass=OptionMeta
):
    """Base of the option classes, which check their fields against the bounds in the annotations."""

    def __post_init__(self) -> None:
        for field in msgspec.structs.fields(self):
            value = getattr(self, field.name)
            try:
                msgspec.structs.force_setattr(self, field.name, msgspec.convert(value, field.type))
            except msgspec.ValidationError as error:
                location = f"{type(self).__name__}({field.name}={value!r})"
                expected = _in_words(str(error).removeprefix("Expected ").partition(", got ")[0])
                if choices := [repr(choice) for choice in _choices(field.type)]:
                    expected = " or ".join(choices)
                raise OptionError(location, expected, repr(value)) from None

    def but(self, **changes: Any) -> Self:
        """A copy with some options changed, checked again."""
        return type(self)(**(msgspec.structs.asdict(self) | changes))


def _in_words(expected: str) -> str:
    """The types of a message of msgspec in a reader's words.

    Examples:
        >>> _in_words("`int | null` >= 1"), _in_words("`float`")
        ('a whole number >= 1, or None', 'a number')
    """
    types, _, bounds = expected.removeprefix("`").partition("`")
    names = types.split(" | ")
    words = " or ".join(TYPE_WORDS.get(name, name) for name in names if name != "null")
    return words + bounds + (", or None" if "null" in names else "")


TYPE_WORDS = {"int": "a whole number", "float": "a number", "str": "a text", "bool": "True or False"}
"""Types in messages of msgspec."""


def _choices(kind: Any) -> list[Any]:
    """The values of an option that has a few, `None` aside."""
    parts = (kind, *get_args(kind)) if get_origin(kind) is not Literal else (kind,)
    return [choice for part in parts if get_origin(part) is Literal for choice in get_args(part)]


Positive = Annotated[int, Meta(ge=1, le=2**31 - 1)]
HiddenUnits = Annotated[int, Meta(ge=1, le=8192)]
EmbeddingWidth = Annotated[int, Meta(ge=1, le=4096)]
Share = Annotated[float, Meta(ge=0.0, lt=1.0)]
Unknown = Literal["refuse", "missing"]
"""What becomes of a category among the inputs that training never saw."""
Feeding = Literal["teacher", "scheduled", "free"]


class Network(Options, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The shape of the network. `None` means: decided by the data.

    Args:
        size: hidden units H of every layer.
        layers: decoder layers L.
        context: `"state+step"` offers the encoded input at every step as well as in the initial state;
            `"state"` is the bare one-to-many architecture.
        residual: add each layer's input to its output, from the second layer on.
        norm: layer norm on the output of each layer (outside of the recurrence).
        dropout: share of the units that variational dropout switches off, one mask for each sequence
            (Gal & Ghahramani 2016, arXiv:1512.05287).
        input_dropout: share of the units of the input's encoding that dropout switches off. Without it the network
            recognises each of a few sequences by its input, and memorises it. Left open, it is 0 if `dropout` is 0.
        embedding: width of the embedding of a category.
    """

    size: HiddenUnits | None = None
    layers: Annotated[int, Meta(ge=1, le=16)] = 1
    context: Literal["state+step", "state"] = "state+step"
    residual: bool = False
    norm: bool = False
    dropout: Share | None = None
    input_dropout: Share | None = None
    embedding: EmbeddingWidth | None = None


class Training(Options, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The training of the weights. `None` means: decided by the data.

    Args:
        epochs: largest number of passes over the training data.
        batch: sequences in one update.
        rate: peak learning rate of Adam.
        weight_decay: decoupled weight decay (AdamW, Loshchilov & Hutter 2019, arXiv:1711.05101).
        holdout: share of the sequences that is held out to decide when to stop; 0 trains on all of them
            until the training nats stop improving (to memorise data).
        patience: rounds of validation that, together, improve by next to nothing before the learning rate decays.
        feeding: the source of the previous step: `"teacher"` the data; `"free"` the network itself, through the
            expected embedding; `"scheduled"` one of both at random, where the share of the network rises linearly over
            the first half of the training, up to a half (Bengio et al. 2015, arXiv:1506.03099).
        segment: steps after which backpropagation is cut (truncated backpropagation through time, Williams & Peng
            1990, Neural Computation 2): the state goes on, the gradient doesn't, and the memory does not grow with
            the length. By default, 512 if a sequence has more than 1,024 steps.
        shards: largest number of parts of the rows of an update; by default one for each core in use.
            A number makes the weights the same to the bit on 1, 2 and 4 cores.
        seconds: time budget. Its clock starts when the first update has come back, so that compilation is not
            counted. The trial of transforms may take a tenth of it, training nine tenths of the rest, and calibration
            what is left. The learning rate decays early enough. If that was too short to learn much, a warning says so.
        draw_inputs: learn a small model of the inputs too, so that `sample` generates whole synthetic data sets, and
            `generate` draws the inputs that are not given.
    """

    epochs: Positive | None = None
    batch: Positive | None = None
    rate: Annotated[float, Meta(gt=0.0, le=1.0)] | None = None
    weight_decay: Annotated[float, Meta(ge=0.0, le=10.0)] = 0.0
    holdout: Share = 0.1
    patience: Positive | None = None
    feeding: Feeding = "teacher"
    segment: Positive | None = None
    shards: Literal[1, 2, 4] | None = None
    seconds: Annotated[float, Meta(gt=0.0)] | None = None
    draw_inputs: bool = True


class Sampling(Options, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The rule by which a step is sampled from its distributions.

    Args:
        greedy: always the mode; consumes no randomness. A sequence of categories ends where the end is likelier than
            the likeliest symbol; one of numbers or records at the median length.
        temperature: divides the logits of a category, multiplies the scale of a number.
        top_k: only the k most probable symbols.
        top_p: only the smallest set of symbols with at least this mass (Holtzman et al. 2020, arXiv:1904.09751);
            of a number, only its central mass.
        min_p: only symbols at least this probable, relative to the most probable one; of a number, only where
            its density is at least this share of the peak (Nguyen et al. 2024, arXiv:2407.01082).
        limit: steps after which a sequence that has not stopped is cut; by default the longest of training, and twice
            as many where a prefix or pins are given.
    """

    greedy: bool = False
    temperature: Annotated[float, Meta(gt=0.0, le=100.0)] = 1.0
    top_k: Positive | None = None
    top_p: Annotated[float, Meta(gt=0.0, le=1.0)] | None = None
    min_p: Annotated[float, Meta(gt=0.0, le=1.0)] | None = None
    limit: Positive | None = None


class Beam(Options, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Search for the likeliest sequences instead of sampling, if all step fields are categories.

    Args:
        width: hypotheses K kept at every step.
        length_penalty: exponent a of the length n in the score log P / ((5 + n) / 6)^a by which sequences are ranked
            (Wu et al. 2016, arXiv:1609.08144); 0 ranks by the probability, more favours longer ones.
        best: sequences to return for each input row, best first.
        limit: steps after which a sequence that has not stopped is cut; by default the longest of training, and twice
            as many where a prefix or pins are given.

    Examples:
        >>> Beam(width=2, best=3)
        Traceback (most recent call last):
        ...
        unspool.errors.OptionError: Beam(best=3): expected at most the width, 2, found 3.
    """

    width: Annotated[int, Meta(ge=1, le=4096)] = 8
    length_penalty: Annotated[float, Meta(ge=0.0, le=10.0)] = 0.0
    best: Positive = 1
    limit: Positive | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.best > self.width:
            raise OptionError(f"Beam(best={self.best})", f"at most the width, {self.width}", str(self.best))


class Typical(Options, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The typical sequence of each input: of some samples, the one that is nearest to the others on average.

    It has minimum Bayes risk among the samples (Kumar & Byrne 2004, "Minimum Bayes-risk decoding for statistical
    machine translation"): no sequence is likelier than others because it is short, as in a beam search.

    Args:
        samples: sequences to sample for each input row.
        distance: a function of two sequences that gives a number. By default the edit distance of categories and text;
            of other steps the sum of their distances, in standard deviations of the samples, and 1 for each step that
            only one of both has.
        limit: steps after which a sequence that has not stopped is cut; by default the longest of training, and twice
            as many where a prefix or pins are given.

    Examples:
        >>> Typical(samples=1)
        Traceback (most recent call last):
        ...
        unspool.errors.OptionError: Typical(samples=1): expected a whole number >= 2, found 1.
    """

    samples: Annotated[int, Meta(ge=2, le=4096)] = 50
    distance: Any = None
    limit: Positive | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.distance is not None and not callable(self.distance):
            location = f"Typical(distance={self.distance!r})"
            raise OptionError(location, "a function of two sequences", repr(self.distance))


Decoding = Sampling | Beam | Typical
"""A rule by which sequences are made."""
RULES: dict[str, Decoding] = {
    "sample": Sampling(), "greedy": Sampling(greedy=True), "beam": Beam(), "typical": Typical(),
}  # fmt: skip


def unknown_option(location: str, name: str, known: Collection[str]) -> OptionError:
    """The error about a keyword that a function does not take; the hint says who takes it.

    Examples:
        >>> unknown_option("generate", "temperature", ["seed", "rule"]).hint
        'Pass rule=Sampling(temperature=...).'
        >>> unknown_option("fit", "lr", ["data", "id"]).hint
        'Pass it to the constructor: OneToMany(training=Training(rate=...)).'
    """
    option = ELSEWHERE.get(name, name)
    hint = "" if option in known else _taken_elsewhere(option, known)
    return OptionError(location, "one of " + ", ".join(known), repr(name), hint or hint_for(name, known))


def _taken_elsewhere(option: str, known: Collection[str]) -> str:
    """A hint about an option that another function or class takes, or nothing."""
    for argument, options in (
        ("network", Network),
        ("training", Training),
        ("rule", Sampling),
        ("rule", Beam),
        ("rule", Typical),
    ):
        if option in options.__struct_fields__:
            passed = f"{argument}={options.__name__}({option}=...)"
            if argument in known:
                return f"Pass {passed}."
            if argument in CONSTRUCTOR:
                return f"Pass it to the constructor: OneToMany({passed})."
    if option in CONSTRUCTOR:
        return f"Pass it to the constructor: OneToMany({option}=...)."
    if option in FIT and "sequence" in known:
        return f"Pass it to fit: fit(data, {option}=...)."
    return "Leave it out: the model knows the column since fit." if option in FIT_COLUMNS else ""


Passed = ParamSpec("Passed")
Returned = TypeVar("Returned")


def known_options(method: Callable[Passed, Returned]) -> Callable[Passed, Returned]:
    """The method with an `OptionError` about an unknown keyword, which names the closest one, not a bare `TypeError`.

    Examples:
        >>> class Model:
        ...     @known_options
        ...     def fit(self, data, id=None): ...
        >>> Model().fit([], group="k")
        Traceback (most recent call last):
        unspool.errors.OptionError: fit(group=...): expected one of data, id, found 'group'. Here it is called 'id'.
    """
    known = list(inspect.signature(method).parameters)[1:]
    owner, name = method.__qualname__.rsplit(".", 2)[-2:]

    @functools.wraps(method)
    def checked(*args: Passed.args, **options: Passed.kwargs) -> Returned:
        for option in options:
            if option not in known:
                location = owner if name == "__init__" else f"{name}({option}=...)"
                raise unknown_option(location, option, known)
        return method(*args, **options)

    return checked
