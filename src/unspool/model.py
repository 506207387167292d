"""The model: one input in, a whole sequence out. Users call it; it calls the layers below."""

import html
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from unspool.config import Config, Summary, versions
from unspool.dataset.gather import gather_fitted
from unspool.encoding.codec import Codec
from unspool.errors import NotFittedError, OptionError, check_kind, path_text
from unspool.generator import Generator
from unspool.jobs import MAX_SEED, check_whole
from unspool.network.serialization import Nets, read_model, write_model
from unspool.options import Network, Options, Training, known_options, unknown_option
from unspool.report.report import Report
from unspool.runtime.process import enter, start_jax
from unspool.runtime.progress import show
from unspool.schema.fields import Joint, Schema
from unspool.schema.relations import AUTO

if TYPE_CHECKING:  # slow to import, and generation doesn't need them
    from unspool.inspection import InputEncoding, NextStep
    from unspool.web.explain import Explanation

PARAMS = ("inputs", "sequence", "network", "training", "combinations", "relations", "seed", "verbose")
"""Arguments of `OneToMany`."""
MAX_TITLE_FIELDS = 5
"""Fields that the title of a report names, at the most."""


class OneToMany(Generator):
    """A one-to-many LSTM: learns p(sequence | input) from a table, and generates sequences for any input.

    One step of an encoder LSTM turns the input into the initial state of the decoder; the decoder reads a start vector,
    then its own output step by step (Vinyals et al. 2015, arXiv:1411.4555; Graves 2013, arXiv:1308.0850).
    `docs/architecture.md` has the mathematics.

    Args:
        inputs: columns that are known beforehand: names, fields such as `Category("country")`, or `First(...)`; `None`
            learns sequences alone.
        sequence: the column that holds the sequences, or the columns of a step; names or fields. `None`: the columns
            that are left.
        network: the shape of the network. Unspool chooses open options of both from the data.
        training: options of the training.
        combinations: tuples of categories of a step, such as `("city", "state")`: only combinations that training saw
            are generated, and have a likelihood as a whole.
        relations: between columns of a step that hold in every generated record: a list of texts such as
            `"low <= high"`, `"total = net + tax"`, `"balance += amount"`, `"copy = column"` or
            `"end missing with start"`. `"auto"`, alone or in the list, finds those that hold in all of the data; `None`
            keeps none.
        seed: of the initial weights, the held-out split, the order of the data and dropout.
        verbose: `None` shows the schema, and of all that takes more than two seconds a bar in terminals and notebooks,
            or a line every five seconds elsewhere; `True` shows it from the start; `False` says nothing, not even a
            warning. All that is said goes through Python's `logging`, by the logger "unspool": its level silences all
            models of a process.
        unknown: refused; the hint says which class of options has it.

    Attributes:
        config_: the model file without the weights; `schema_`, `codec_` and `summary_` are parts of it.
        net_: the network with its weights; `row_net_` is the network that samples inputs, or `None`.

    Examples:
        >>> import unspool as us
        >>> tables = {"k": [1, 2, 3], "multiples": [[k * j for j in range(1, 6)] for k in (1, 2, 3)]}
        >>> model = us.OneToMany(
        ...     inputs=us.Category("k"), sequence=us.Category("multiples"), verbose=False,
        ...     network=us.Network(size=16), training=us.Training(holdout=0),
        ... ).fit(tables)
        >>> list(model.generate({"k": [2, 3]}, rule="greedy"))
        [[2, 4, 6, 8, 10], [3, 6, 9, 12, 15]]
    """

    @known_options
    def __init__(
        self,
        inputs: Any = None,
        sequence: Any = None,
        *,
        network: Network | None = None,
        training: Training | None = None,
        combinations: Any = None,
        relations: Any = "auto",
        seed: int = 0,
        verbose: bool | None = None,
    ) -> None:
        self.inputs = inputs
        self.sequence = sequence
        self.network = network
        self.training = training
        self.combinations = combinations
        self.relations = relations
        self.seed = seed
        self.verbose = verbose

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments by name."""
        return {name: getattr(self, name) for name in PARAMS}

    def set_params(self, **params: Any) -> "OneToMany":
        """Change arguments of the constructor, `network__size` one of its options.

        Raises:
            OptionError: an unknown name.

        Examples:
            >>> import unspool as us
            >>> us.OneToMany("k", "x").set_params(network__size=8, seed=1).network.size
            8
        """
        defaults = {"network": Network(), "training": Training()}
        for name, value in params.items():
            argument, _, option = name.partition("__")
            if argument not in (defaults if option else PARAMS):
                raise unknown_option("OneToMany", name, PARAMS)
            whole = (getattr(self, argument) or defaults[argument]).but(**{option: value}) if option else value
            setattr(self, argument, whole)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        """Whether the model has been fitted."""
        return hasattr(self, "net_")

    def __sklearn_tags__(self) -> Any:
        """The tags of an estimator; only scikit-learn calls this."""
        from sklearn.utils import Tags, TargetTags

        return Tags(estimator_type=None, target_tags=TargetTags(required=False))

    def _repr_html_(self) -> str:
        """What a notebook shows: of a fitted model its fields, size, nats and an example; else the arguments."""
        from unspool.cards import model_card

        if not self.__sklearn_is_fitted__():
            return f"<pre>{html.escape(repr(self))}</pre>"
        if not hasattr(self, "_card"):  # the example takes seconds to compile
            self._card = model_card(self._generator(), self.config_)
        return self._card

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.get_params().items() if value not in (None, AUTO))
        return f"OneToMany({given})"

    @known_options
    def fit(
        self,
        data: Any,
        steps: Any = None,
        *,
        id: str | None = None,  # noqa: A002
        order: str | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        start: "OneToMany | str | os.PathLike[str] | None" = None,
        callback: Callable[[Any], object] | None = None,
        cache: str | os.PathLike[str] | None = None,
    ) -> "OneToMany":
        """Learn from a table: pandas, Polars or PyArrow, a dict of lists, a list of dicts, `windows`, or a path.

        A folder, glob or URL of Parquet files, or a `pyarrow.dataset`, may be larger than memory: see `docs/scale.md`.

        Args:
            data: one row an example; or with `id` one row a step; or with `steps` one row of inputs per id.
            steps: the table of steps, where the inputs have a table of their own.
            id: the column that names the sequence of a step.
            order: the column that orders the steps.
            checkpoint: a folder to save the training to after every round. The same call continues from there, and ends
                with the same weights to the bit.
            start: a fitted model, or the path of one, whose training goes on with this data. Schema, fitted columns and
                network are those of the start.
            callback: called after every round with a `TrainingRound`: update, nats of training and validation, seconds.
            cache: a folder of its own that keeps the encoded data of Parquet, for later fits to the same data.
                Processes that train together share it, and each reads its own part of the data.

        Raises:
            OptionError: an unknown argument.
            SchemaError: columns or values that contradict their fields.
            DataError: data that can't be read or learned from.
            TrainingError: too little data to hold any out, or weights that diverge.
            CheckpointMismatch: the folder holds the checkpoint of another fit.
        """
        from unspool.pipeline import FitRequest, run_fit  # slow to import, and generation doesn't need it

        check_whole(f"OneToMany(seed={self.seed!r})", self.seed, 0, MAX_SEED)
        check_kind("OneToMany: verbose", self.verbose, (bool, type(None)), "True, False or None")
        for name, column in (("id", id), ("order", order)):
            check_kind(f"fit: {name}", column, (str, type(None)), "the name of a column")
        for name, folder in (("checkpoint", checkpoint), ("cache", cache)):
            if folder is not None:
                path_text(name, folder)
        network, training = _given(Network, self.network), _given(Training, self.training)
        params, before = self.get_params(), None
        if start is not None:
            known: Any = load(start) if isinstance(start, (str, os.PathLike)) else start
            known._fitted()  # noqa: SLF001
            own = {name: getattr(known, name) for name in ("inputs", "sequence", "combinations")}
            params |= {name: value for name, value in own.items() if params[name] is None}
            before = known.config_, known.net_
        request = FitRequest(data, steps, id, order, checkpoint, params, network, training, before, callback, cache)
        self.config_, (self.net_, self.row_net_) = run_fit(request)
        self.__dict__.pop("_card", None)
        return self

    @property
    def codec_(self) -> Codec:
        """The fitted columns."""
        self._fitted()
        return self.config_.codec

    @property
    def schema_(self) -> Schema:
        """The fields as inferred or given."""
        return self.codec_.schema

    @property
    def summary_(self) -> Summary:
        """What happened in training."""
        self._fitted()
        return self.config_.summary

    @known_options
    def log_prob(
        self, data: Any, steps: Any = None, *, errors: Literal["raise", "nan"] = "raise"
    ) -> NDArray[np.float64]:
        """(N,) log-probability of every sequence given its input, in nats, in original units.

        The density of a transformed number counts the transform's Jacobian. Where lengths vary, the decisions to stop
        or to continue count too. So models with other transforms and distributions compare.

        A category that training never saw is no error: as an input it is read as missing, which a warning says; in a
        step it has the probability of all that training never saw.

        Args:
            data: in the layout of the training data, with all inputs; or generated sequences.
            steps: the table of steps, as for `fit`.
            errors: `"nan"` gives NaN to sequences with a value that the model can't take: one that a transform is not
                defined for, that falls where no value of training fell, or off the grid of training; or a missing one
                where training had none.

        Raises:
            SchemaError: columns or values that contradict the fitted schema, all of them listed.
            OptionError: another value of `errors`.

        Examples:
            >>> import numpy as np, unspool as us
            >>> model = us.OneToMany("k", us.Number("x", transform="log1p"), network=us.Network(size=8), verbose=False,
            ...     training=us.Training(holdout=0, epochs=3)).fit({"k": ["a", "b"], "x": [[1.5, 2], [2, 0.5, 3]]})
            >>> np.isnan(model.log_prob({"k": ["a", "b"], "x": [[1, 2], [-9, 2]]}, errors="nan")).tolist()
            [False, True]
        """
        return self.log_prob_by_field(data, steps, errors=errors).sum(1)

    @known_options
    def log_prob_by_field(
        self, data: Any, steps: Any = None, *, errors: Literal["raise", "nan"] = "raise"
    ) -> NDArray[np.float64]:
        """As `log_prob`, (N, F) or (N, F + 1): a column per step field, then the stops where lengths vary."""
        if errors not in ("raise", "nan"):
            raise OptionError("log_prob(errors=...)", "'raise' or 'nan'", repr(errors))
        return self._score(data, steps, errors)[0]

    @known_options
    def score(self, data: Any, steps: Any = None) -> float:
        """Mean log-probability of a step, in nats: greater is better, as scikit-learn's searches expect."""
        nats, total = self._score(data, steps)
        return float(nats.sum() / max(1, total))

    def _score(self, data: Any, steps: Any, errors: str = "raise") -> tuple[NDArray[np.float64], int]:
        """(N, F) or (N, F + 1) nats by field, and the number of steps."""
        from unspool.evaluation.samples.scoring import score_table

        enter()
        self._fitted()
        return score_table(self.net_, self.codec_, data, steps, refuse=errors == "raise")

    @known_options
    def next_step(self, inputs: Any, prefix: Any = None, *, samples: int = 256, seed: int = 0) -> "list[NextStep]":
        """The distribution of the step after a prefix, for every row of inputs.

        Args:
            inputs: as for `generate`.
            prefix: the steps before: one sequence for all rows, or a list with one for each.
            samples: draws of the earlier fields of the step that later ones are averaged over, and of numbers.
            seed: of these draws.

        Raises:
            SchemaError: inputs or a prefix that contradict the fitted schema.

        Examples:
            >>> import unspool as us
            >>> table = {"k": ["a", "b"] * 8, "x": [["u", "v"], ["v", "u"]] * 8}
            >>> options = {"network": us.Network(size=4), "training": us.Training(epochs=1), "verbose": False}
            >>> model = us.OneToMany("k", us.Category("x"), **options).fit(table)
            >>> (step,) = model.next_step({"k": "a"}, prefix=["u"])
            >>> sorted(step.probabilities["x"]), round(sum(step.probabilities["x"].values()), 6), step.end
            (['u', 'v'], 1.0, 0.0)
        """
        from unspool.inspection import next_steps

        return next_steps(self._generator(), inputs, prefix, samples, seed)

    @known_options
    def hidden_states(self, data: Any, steps: Any = None) -> list[NDArray[np.float32]]:
        """By sequence of (T,) steps, (T + 1, H) hidden states of the top layer: row t is the state after t steps.

        Row 0 holds what the input alone says, and row t is what step t + 1 is predicted from. The arguments are those
        of `log_prob`.
        """
        from unspool.inspection import hidden_states

        return hidden_states(self._generator(), self.codec_.encode(gather_fitted(self.codec_, data, steps)))

    @known_options
    def encode(self, inputs: Any) -> "InputEncoding":
        """The encoding of N rows of inputs: the (N, C) context, and the (N, L, H) initial states h and c of L layers.

        Args:
            inputs: as for `generate`.

        Raises:
            SchemaError: inputs that contradict the fitted schema.
        """
        from unspool.inspection import encode_inputs

        return encode_inputs(self._generator(), inputs)

    @known_options
    def explain(
        self, path: str | os.PathLike[str] | None = None, inputs: Any = None, half: bool = False
    ) -> "Explanation":
        """A page that shows how the model turns an input into a sequence, step by step, in any browser.

        It is one HTML file with the weights in it, which computes in JavaScript what Unspool computes in Python, and
        asks nothing of any server.

        Args:
            path: the file to write, .html; `None` writes none. A notebook shows the result.
            inputs: the inputs to begin with, `{name: value}`; a reader of the page can change them.
            half: weights as float16, half as large, if the symbols of 32 sequences stay the same; else as they are.

        Raises:
            OptionError: inputs that the model doesn't have, or, with `half`, neither given nor drawn; not .html.
            FileError: the file can't be written.

        Examples:
            >>> import unspool as us
            >>> options = {"network": us.Network(size=4), "training": us.Training(epochs=1), "verbose": False}
            >>> table = {"k": ["a", "b"] * 8, "x": [["u", "v"], ["v", "u"]] * 8}
            >>> model = us.OneToMany("k", us.Category("x"), **options).fit(table)
            >>> page = model.explain(inputs={"k": "b"})
            >>> page.text.startswith("<!doctype html>")
            True
        """
        from unspool.web.explain import explain_model
        from unspool.web.halving import halved

        self._fitted()
        net = halved(self, inputs) if half else None
        return explain_model(self.config_, net or self.net_, inputs, path, half=net is not None)

    @known_options
    def evaluate(
        self, data: Any, steps: Any = None, *, train: Any = None, seed: int = 0, samples: int = 50, feedings: Any = None
    ) -> Report:
        """A report about the model beside simple baselines; `docs/report.md` explains every line.

        Args:
            data: held-out sequences, in the layout of the training data.
            steps: the table of steps, as for `fit`.
            train: the training data, from which baselines learn; where steps have a table of their own, the pair of
                both. Without it baselines learn from a part of `data`, and the other part is evaluated.
            seed: of all random numbers.
            samples: sequences generated for each held-out input.
            feedings: removed in 0.2: `python -m benchmarks.feeding` compares the feedings.

        Raises:
            SchemaError: columns or values that contradict the fitted schema, all of them listed.
            DataError: too little data to evaluate the model, or to learn baselines from.
            OptionError: a seed or number of samples out of its bounds.
        """
        from unspool.config import fingerprint
        from unspool.evaluation.evaluate import evaluate_model
        from unspool.evaluation.split import facts_of, read_split

        enter()
        self._fitted()
        check_whole(f"evaluate(seed={seed!r})", seed, 0, MAX_SEED)
        check_whole(f"evaluate(samples={samples!r})", samples, 1)
        if feedings is not None:
            expected = "no such option: a report is about one model"
            hint = "Run `python -m benchmarks.feeding`, which fits a network under each feeding."
            raise OptionError("evaluate(feedings=...)", expected, repr(feedings), hint)
        tables = None if train is None else train if isinstance(train, tuple) else (train, None)
        split = read_split(self, (data, steps), tables, int(seed))
        with show(self.verbose):
            sections = evaluate_model(self, split, int(seed), int(samples))
        digest = fingerprint(split.test_encoded)["data"]
        names = [field.name for field in self.schema_.steps]
        more = f" and {len(names) - MAX_TITLE_FIELDS} more" if len(names) > MAX_TITLE_FIELDS else ""
        title = f"How good is the model of {', '.join(names[:MAX_TITLE_FIELDS])}{more}?"
        return Report(title, split.notes, sections, facts_of(self, split), int(seed), digest, versions())

    @known_options
    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to one file (`docs/format.md`), whole or not at all; a `FileError` if it can't be written."""
        self._fitted()
        write_model(path_text("path", path), self.config_, Nets(self.net_, self.row_net_))

    def _fitted(self) -> None:
        if not hasattr(self, "net_"):
            found = "one that has not been fitted"
            raise NotFittedError("OneToMany", "a fitted model", found, "Call fit first, or load.")


def load(path: str | os.PathLike[str]) -> OneToMany:
    """Read a model from a file that `OneToMany.save` wrote; a kind of `FileError` names a defect of the file."""
    location = path_text("path", path)
    start_jax()
    config, nets = read_model(location)
    params = _resolved(config) if config.arguments is None else config.arguments.params()
    model = OneToMany(**params, seed=config.seed)
    model.config_, (model.net_, model.row_net_) = config, nets
    return model


def _resolved(config: Config) -> dict[str, Any]:
    """The arguments of a model whose file is too old to hold them: every field as it was inferred."""
    schema = config.codec.schema
    return {
        "inputs": list(schema.inputs),
        "sequence": schema.sequence,
        "network": config.network,
        "training": config.training,
        "combinations": [field.members for field in schema.steps if isinstance(field, Joint)] or None,
    }


def _given(kind: type[Any], value: Options | None) -> Any:
    """The options, or the default ones."""
    if value is None:
        return kind()
    if not isinstance(value, kind):
        raise OptionError(kind.__name__.lower(), f"{kind.__name__}(...)", repr(value))
    return value
