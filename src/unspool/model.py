"""The model: one input in, a whole sequence out. The public face of all layers below."""

import importlib.metadata
import os
import platform
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import jax
import msgspec
import numpy as np
from numpy.typing import NDArray

from unspool.config import Summary
from unspool.constraints.allowed import Allowed, read_allow
from unspool.constraints.pins import Observed, encode_observed
from unspool.constraints.prefix import is_prefix_per_row
from unspool.dataset.examples import gather, left_open
from unspool.encoding.codec import Codec
from unspool.encoding.combinations import fit_combinations
from unspool.encoding.input_rows import MAX_ROW_FIELDS, fit_rows
from unspool.errors import NotFittedError, OptionError, SchemaError
from unspool.generation import beam, calibration, sampler
from unspool.generation.sampler import SampleRequest
from unspool.generation.support import prune_combinations, with_support
from unspool.jobs import Event, GenerationJob, InputRowsJob, row_template, run_parts, run_stream, run_whole
from unspool.network.decoder import Net
from unspool.network.distributions.rules import PLAIN, Rule
from unspool.network.serialization import Nets, read_model, write_model
from unspool.options import RULES, Beam, Network, Options, Sampling, Training
from unspool.report.report import Report
from unspool.schema.fields import Schema
from unspool.sequences import Sequences, save_all
from unspool.tables.table import frame_kind, installed

MAX_TITLE_FIELDS = 5
"""Fields that the title of a report names, at the most."""


class OneToMany:
    """A one-to-many LSTM: learns p(sequence | input) from a table, and makes sequences for any input.

    The input passes one step of an encoder LSTM and becomes the initial state of the decoder; the decoder reads a
    start vector, then its own output step by step (Vinyals et al. 2015, arXiv:1411.4555; Graves 2013,
    arXiv:1308.0850). `docs/architecture.md` has the mathematics.

    Args:
        inputs: columns that are known beforehand: names, fields such as `Category("country")`, or `First(...)`.
        sequence: the column that holds the sequences, or the columns of a step; names or fields.
        network: the shape of the network; what is left open is chosen from the data.
        training: how it is trained; what is left open is chosen from the data.
        combinations: tuples of categories of a step, such as `("city", "state")`, of which only the combinations that
            training saw are generated; they share the likelihood too.
        seed: of the initial weights, the held-out split, the order of the data and dropout.
        verbose: `None` shows the schema, and a progress bar in a terminal; `True` plain lines elsewhere too; `False`
            nothing.

    Attributes:
        config_: all that the model file holds besides the weights; `schema_`, `codec_` and `summary_` are parts of it.
        net_: the network with its weights; `row_net_` the one that draws inputs, or `None`.

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

    def __init__(
        self,
        inputs: Any = None,
        sequence: Any = None,
        *,
        network: Network | None = None,
        training: Training | None = None,
        combinations: Any = None,
        seed: int = 0,
        verbose: bool | None = None,
    ) -> None:
        self.inputs = inputs
        self.sequence = sequence
        self.network = network
        self.training = training
        self.combinations = combinations
        self.seed = seed
        self.verbose = verbose

    # ---- the manners of scikit-learn ----------------------------------------------------------------------------

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments by name, as scikit-learn asks for them."""
        return {
            name: getattr(self, name)
            for name in ("inputs", "sequence", "network", "training", "combinations", "seed", "verbose")
        }

    def set_params(self, **params: Any) -> "OneToMany":
        """Change arguments of the constructor.

        Raises:
            OptionError: an argument that there isn't.
        """
        for name, value in params.items():
            if name not in self.get_params():
                raise OptionError("OneToMany", "one of " + ", ".join(self.get_params()), repr(name))
            setattr(self, name, value)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        """Whether it has been fitted."""
        return hasattr(self, "net_")

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn, the only caller, asks of every estimator."""
        from sklearn.utils import Tags, TargetTags

        return Tags(estimator_type=None, target_tags=TargetTags(required=False))

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.get_params().items() if value is not None)
        return f"OneToMany({given})"

    # ---- learn --------------------------------------------------------------------------------------------------

    def fit(
        self,
        data: Any,
        steps: Any = None,
        *,
        id: str | None = None,  # noqa: A002
        order: str | None = None,
        inputs: Any = None,
        sequence: Any = None,
        checkpoint: str | os.PathLike[str] | None = None,
    ) -> "OneToMany":
        """Learn from a table: pandas, Polars or PyArrow, a dict of lists, a list of dicts, `windows`, or a path.

        Args:
            data: one row an example; or with `id` one row a step; or with `steps` one row of inputs per id.
            steps: the table of steps, where the inputs have a table of their own.
            id: the column that says which steps belong together.
            order: the column that orders them.
            inputs: in place of the constructor's.
            sequence: in place of the constructor's.
            checkpoint: a folder to save the training to after every round. The same call goes on from there, and ends
                with the same weights to the bit.

        Raises:
            SchemaError: columns or values that can't be what they should be.
            DataError: data that can't be read or learned from.
            TrainingError: too little data to hold any out, or weights that diverge.
            CheckpointMismatch: the folder holds the checkpoint of another fit.
        """
        # Here, so that a program that only generates doesn't wait for what trains.
        from unspool.pipeline import FitRequest, run_fit
        from unspool.training.input_model import InputRows
        from unspool.training.selection import select_distributions

        network, training = _given(Network, self.network), _given(Training, self.training)
        _check_whole(f"OneToMany(seed={self.seed!r})", self.seed, 0)
        inputs = self.inputs if inputs is None else inputs
        sequence = self.sequence if sequence is None else sequence
        schema, examples = gather(data, steps, inputs=inputs, sequence=sequence, id=id, order=order)
        codec = Codec.fit(schema, examples)
        open_ = left_open(schema, data, inputs, sequence)
        schema, found = select_distributions(codec, examples, open_, network, training, self.seed)
        codec = Codec.fit(schema, examples) if found else codec
        encoded = codec.encode(examples)
        together = fit_combinations(schema, codec.steps, encoded.steps, self.combinations)
        codec = msgspec.structs.replace(codec, combinations=together)
        if self.verbose is not False:
            print("\n".join([codec.describe(), *found]), file=sys.stderr)
        asked = FitRequest(network, training, self.seed, self.verbose, checkpoint, versions())
        rows = fit_rows(schema, examples) if training.draw_inputs else None
        drawing = None if rows is None else InputRows(rows[0], rows[0].encode(rows[1]), frame_kind(data))

        def match(codec: Codec, net: Net) -> Net:
            chosen, samples = calibration.calibration_rows(encoded.lengths, len(net.outputs.b))
            inputs = tuple(column[chosen] for column in encoded.inputs)
            length = codec.longest if codec.shortest == codec.longest else None
            request = SampleRequest(inputs, samples, self.seed, PLAIN, length, 2 * codec.longest)
            bases = {name: values[chosen] for name, values in examples.first.items()}
            request = with_support(request, codec, bases, len(chosen))
            return calibration.match_marginals(net, request, encoded.lengths, encoded.steps)

        self.config_, (self.net_, self.row_net_) = run_fit(codec, encoded, asked, drawing, match)
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

    # ---- judge --------------------------------------------------------------------------------------------------

    def log_prob(self, data: Any, steps: Any = None) -> NDArray[np.float64]:
        """Log-probability of every sequence given its input, in nats, in original units.

        The density of a transformed number counts the transform's Jacobian, and the decision to stop or to go on is
        counted where lengths vary. So figures of models with other transforms and distributions compare.

        Args:
            data: in the layout of the training data.
            steps: the table of steps, as for `fit`.

        Returns:
            (N,) nats, one per sequence.

        Raises:
            SchemaError: columns or values that the fitted schema can't take; every difference is listed.
        """
        return self.log_prob_by_field(data, steps).sum(1)

    def log_prob_by_field(self, data: Any, steps: Any = None) -> NDArray[np.float64]:
        """As `log_prob`, (N, F) or (N, F + 1): a column per step field, then the stops where lengths vary."""
        from unspool.evaluation.samples.scoring import log_probs

        self._fitted()
        return log_probs(self.net_, self.codec_.encode(self.codec_.gather(data, steps)))

    def evaluate(
        self,
        data: Any,
        steps: Any = None,
        *,
        train: Any = None,
        seed: int = 0,
        samples: int = 50,
        feedings: Any = None,
    ) -> Report:
        """How good the model is, beside the simplest things that could work; `docs/report.md` explains every line.

        Args:
            data: sequences to judge it on, which it should not have seen, in the layout of the training data.
            steps: the table of steps, as for `fit`.
            train: what baselines learn from: the training data; where steps have a table of their own, the pair of
                both. Without it they learn from a part of `data`, and the other part is judged.
            seed: of all that is random.
            samples: sequences generated for each held-out input, to compare with real ones.
            feedings: removed in 0.2: `python -m benchmarks.feeding` compares the feedings.

        Raises:
            SchemaError: columns or values that the fitted schema can't take; every difference is listed.
            DataError: too little data to judge, or to learn baselines from.
            OptionError: a seed or number of samples out of its bounds.

        Examples:
            >>> import unspool as us
            >>> data = {"k": ["a", "b"] * 20, "x": [[1, 2, 1], [2, 2, 1]] * 20}
            >>> model = us.OneToMany("k", us.Category("x"), network=us.Network(size=8), verbose=False,
            ...     training=us.Training(epochs=3)).fit(data)
            >>> model.evaluate(data, samples=2).section("input_use").title
            'Is the input used?'
        """
        from unspool.evaluation.evaluate import evaluate_model
        from unspool.evaluation.split import facts_of, split_of
        from unspool.training.checkpoint import fingerprint

        self._fitted()
        _check_whole(f"evaluate(seed={seed!r})", seed, 0)
        _check_whole(f"evaluate(samples={samples!r})", samples, 1)
        if feedings is not None:
            where = "Run `python -m benchmarks.feeding`, which fits a network under each feeding."
            raise OptionError(
                "evaluate(feedings=...)", "no such option: a report judges one model", repr(feedings), where
            )
        judged = self.codec_.gather(data, steps)
        known = None if train is None else self.codec_.gather(*(train if isinstance(train, tuple) else (train,)))
        split = split_of(self, judged, known, int(seed))
        sections = evaluate_model(self, split, int(seed), int(samples))
        digest = fingerprint(split.test_encoded)["data"]
        names = [field.name for field in self.schema_.steps]
        more = f" and {len(names) - MAX_TITLE_FIELDS} more" if len(names) > MAX_TITLE_FIELDS else ""
        title = f"How good is the model of {', '.join(names[:MAX_TITLE_FIELDS])}{more}?"
        return Report(title, split.notes, sections, facts_of(self, split), int(seed), digest, versions())

    # ---- generate -----------------------------------------------------------------------------------------------

    def generate(
        self,
        inputs: Any = None,
        n: int = 1,
        *,
        length: int | None = None,
        seed: int | None = None,
        rule: Sampling | Beam | str = "sample",
        prefix: Any = None,
        pin: Any = None,
        allow: Any = None,
    ) -> Sequences:
        """Make `n` sequences for every input row, or `n` rows with a sequence each: a whole synthetic data set.

        The same (seed, row, sample) gives the same sequence, whatever else is made along with it.

        Args:
            inputs: any kind of table with the input columns, or a dict of single values or lists. Without any, inputs
                are drawn as training had them, whatever the rule says of the steps; see `Sequences.inputs`.
            n: sequences per row, or rows to draw. A beam says itself how many sequences: with `Beam(best=...)`, leave
                it out where there are inputs.
            length: exact number of steps; `None` lets the network stop where it has learned to.
            seed: `None` takes a new one; it is kept in the result.
            rule: `"sample"`, `"greedy"` or `Sampling(...)` draw, `"beam"` or `Beam(...)` search for the likeliest.
            prefix: first steps that are given: one sequence for all rows, or a list with one for each. A text is cut
                into words or pieces, where they are its steps, as if it ended there: end it where a word does.
            pin: values that are facts, `{step: {column: value}}` with steps counted from 0, for all rows, or a list
                with one for each; `None` is a missing value. What a pinned step draws after them, and all that follows,
                depends on them; what comes before doesn't, except that what never falls stays below, and what never
                rises above. No sequence stops before its last pin.
            allow: what may be drawn, `{column: [values]}` of categories and flags, `{column: (low, high)}` of numbers
                and dates, where either may be `None`. A draw is one of the learned distribution given that it is
                allowed; whether a number is missing stays as learned.

        Raises:
            UnknownCategory: a category that training never saw.
            SchemaError: inputs that are missing, or of another kind than in training.
            OptionError: a rule that no field can take, or numbers out of their bounds; no inputs, and no model of them;
                a pin that contradicts a bound, what is allowed, the prefix, the length, or that a column never falls
                or never rises; a prefix that such a column can't go on from within what is allowed.

        Examples:
            >>> import unspool as us
            >>> model = us.OneToMany("k", us.Category("x"), network=us.Network(size=8), verbose=False,
            ...     training=us.Training(holdout=0, epochs=3)).fit({"k": ["a", "b"], "x": [[1, 2], [2, 1, 2]]})
            >>> made = model.generate({"k": "a"}, n=3, length=4, seed=1)
            >>> len(made), made.lengths.tolist()
            (3, [4, 4, 4])
            >>> list(model.generate(n=100, seed=1).to_frame())
            ['k', 'sample', 'x']
            >>> best = model.generate({"k": "a"}, length=4, rule=us.Beam(width=8, best=3))
            >>> len(best), bool((np.diff(best.nats) <= 0).all())
            (3, True)
            >>> [text[1] for text in model.generate({"k": "a"}, n=3, length=4, pin={1: {"x": 2}})]
            [2, 2, 2]
        """
        return run_whole(self._order(inputs, n, length, seed, rule, prefix, pin, allow))

    def generate_to(
        self,
        target: str | os.PathLike[str] | IO[Any],
        inputs: Any = None,
        n: int = 1,
        *,
        length: int | None = None,
        seed: int | None = None,
        rule: Sampling | Beam | str = "sample",
        prefix: Any = None,
        pin: Any = None,
        allow: Any = None,
        long: bool | None = None,
        format: str | None = None,  # noqa: A002
    ) -> int:
        """Write the sequences of `generate` to a file as they are made: memory does not grow with their number.

        The file is that of `generate(...).save(target)`, and appears whole or not at all.

        Args:
            target: a path that ends in .csv, .tsv, .jsonl, .json or .parquet, or a stream.
            inputs: as for `generate`.
            n: as for `generate`.
            length: as for `generate`.
            seed: as for `generate`.
            rule: as for `generate`.
            prefix: as for `generate`.
            pin: as for `generate`.
            allow: as for `generate`.
            long: one row a step rather than a sequence; `None` follows the training data.
            format: of the file, where its name does not say; CSV for a stream.

        Returns:
            The seed that makes them again.

        Raises:
            FileError: the place can't be written to.
            DataError: a format that isn't known.

        Examples:
            >>> import io
            >>> import unspool as us
            >>> model = us.OneToMany("k", us.Category("x"), network=us.Network(size=8), verbose=False,
            ...     training=us.Training(holdout=0, epochs=3)).fit({"k": ["a", "b"], "x": [[1, 2], [2, 1, 2]]})
            >>> model.generate_to(file := io.BytesIO(), {"k": "a"}, n=1000, seed=1)
            1
            >>> lines = file.getvalue().splitlines()
            >>> lines[0], len(lines)
            (b'k,sample,x', 1001)
        """
        order = self._order(inputs, n, length, seed, rule, prefix, pin, allow)
        location = Path(target) if isinstance(target, os.PathLike) else target
        searched = order.beam is not None
        save_all(run_parts(order), order.codec, order.table, location, long=long, format=format, searched=searched)
        return order.request.seed

    def stream(
        self,
        inputs: Any = None,
        n: int = 1,
        *,
        length: int | None = None,
        seed: int | None = None,
        rule: Sampling | str = "sample",
        prefix: Any = None,
        pin: Any = None,
        allow: Any = None,
    ) -> Iterator[Event]:
        """As `generate`, but yields every step as it comes, all sequences side by side.

        Yields:
            `(row, sample, step, value)`; the values of a sequence are those that `generate` gives.

        Examples:
            >>> import unspool as us
            >>> model = us.OneToMany("k", us.Category("x"), network=us.Network(size=8), verbose=False,
            ...     training=us.Training(holdout=0, epochs=3)).fit({"k": ["a", "b"], "x": [[1, 2], [2, 1, 2]]})
            >>> [event.step for event in model.stream({"k": "a"}, length=3, seed=1)]
            [0, 1, 2]
        """
        order = self._order(inputs, n, length, seed, rule, prefix, pin, allow)
        if order.beam is not None:
            hint = "Use generate: a search knows the first step when it knows the last."
            raise OptionError("stream(rule=...)", "a rule that draws", repr(rule), hint)
        return run_stream(order)

    def _order(
        self,
        inputs: Any,
        n: int,
        length: int | None,
        seed: int | None,
        rule: Sampling | Beam | str,
        prefix: Any,
        pin: Any,
        allow: Any,
    ) -> GenerationJob:
        """Everything of a generation checked, before any of it is made."""
        self._fitted()
        chosen = RULES.get(rule) if isinstance(rule, str) else rule
        if not isinstance(chosen, (Sampling, Beam)):
            raise OptionError("rule", f"Sampling(...), Beam(...), or one of {', '.join(RULES)}", repr(rule))
        for name, value, least in (("n", n, 1), ("length", length, 0), ("seed", seed, 0)):
            if value is not None:
                _check_whole(f"generate({name}={value!r})", value, least)
        drawing, allowed = inputs is None, read_allow(self.codec_, allow)
        net = prune_combinations(self.net_, self.codec_, allowed)
        if isinstance(chosen, Beam):
            beam.check_beam(chosen, self.net_, [field.name for field in self.schema_.steps], 1 if drawing else n)
        else:
            sampler.check_sampling(chosen, self.net_)
        if length is None and self.codec_.shortest == self.codec_.longest:
            length = self.codec_.longest
        request = SampleRequest(
            inputs=(),
            samples=chosen.best if isinstance(chosen, Beam) else 1 if drawing else int(n),
            seed=secrets.randbits(32) if seed is None else int(seed),
            rule=Rule.of(chosen) if isinstance(chosen, Sampling) else PLAIN,
            length=length,
            limit=chosen.limit or max(2 * self.codec_.longest, 1),
        )
        searching = chosen if isinstance(chosen, Beam) else None
        if drawing:
            rows = self._rows(int(n), prefix, pin, allowed)
            _check_last(encode_observed(self.codec_, None, pin, int(n), None, allowed), request)
            return GenerationJob(net, self.codec_, request, row_template(rows, self.codec_), {}, searching, rows)
        table = self.codec_.read_inputs(inputs)
        bases = self.codec_.bases(table)
        observed = encode_observed(self.codec_, prefix, pin, len(table), bases, allowed)
        _check_last(observed, request)
        request = request._replace(inputs=self.codec_.encode_inputs(table))
        request = with_support(request, self.codec_, bases, len(table), observed, allowed)
        return GenerationJob(net, self.codec_, request, table, bases, searching)

    def _rows(self, count: int, prefix: Any, pin: Any, allowed: tuple[Allowed | None, ...]) -> InputRowsJob:
        """What draws the inputs."""
        row = self.config_.row
        if row is None or self.row_net_ is None:
            hint = f"Pass inputs; or fit again, with at most {MAX_ROW_FIELDS} inputs and without draw_inputs=False."
            raise OptionError("generate, without inputs", "a model that learned to draw them", "one that did not", hint)
        if prefix is not None and is_prefix_per_row(prefix, self.schema_.form) and len(prefix) != count:
            raise SchemaError("prefix", f"one for all, or one for each of the {count} rows", str(len(prefix)))
        return InputRowsJob(self.row_net_, row.codec, count, installed(row.table), prefix, pin, allowed)

    # ---- keep ---------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to one file (`docs/format.md`), whole or not at all.

        Raises:
            FileError: the place can't be written to.
        """
        self._fitted()
        write_model(path, self.config_, Nets(self.net_, self.row_net_))

    def _fitted(self) -> None:
        if not hasattr(self, "net_"):
            raise NotFittedError(
                "OneToMany", "a fitted model", "one that has not been fitted", "Call fit first, or load."
            )


def load(path: str | os.PathLike[str]) -> OneToMany:
    """Read a model from a file that `OneToMany.save` wrote.

    Raises:
        FileError: one of its kinds says what is wrong with the file.
    """
    config, nets = read_model(path)
    fields, sequence = config.codec.schema.inputs, config.codec.schema.sequence
    model = OneToMany(list(fields), sequence, network=config.network, training=config.training, seed=config.seed)
    model.combinations = [one.fields for one in config.codec.combinations] or None
    model.config_, (model.net_, model.row_net_) = config, nets
    return model


def versions() -> dict[str, str]:
    """What the numbers of a fit may depend on besides its data and options."""
    return {
        "unspool": importlib.metadata.version("unspool"),
        "jax": jax.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def _check_whole(location: str, value: Any, least: int) -> None:
    """Refuse what is no whole number, or one that is too small."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise OptionError(location, f"a whole number, at least {least}", repr(value))


def _check_last(observed: Observed | None, request: SampleRequest) -> None:
    """Refuse pins past the end."""
    step, name = (-1, "") if observed is None else observed.pinned
    if request.length is not None and step >= request.length:
        raise OptionError(f"pin: {name}", f"steps before the length, {request.length}", f"step {step}")
    if request.length is None and step >= request.limit:
        hint = "Ask for a length, or for a larger limit: Sampling(limit=...)."
        raise OptionError(f"pin: {name}", f"steps before the limit, {request.limit}", f"step {step}", hint)


def _given(kind: type[Any], value: Options | None) -> Any:
    """The options, or the default ones."""
    if value is None:
        return kind()
    if not isinstance(value, kind):
        raise OptionError(kind.__name__.lower(), f"{kind.__name__}(...)", repr(value))
    return value
