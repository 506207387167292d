"""The model: one input in, a whole sequence out. Users call it; it calls the layers below."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from unspool.config import Config, Summary, versions
from unspool.dataset.gather import gather_fitted
from unspool.encoding.codec import Codec
from unspool.errors import NotFittedError, OptionError
from unspool.jobs import Event, Fitted, GenerationJob, GenerationOptions, check_whole, generation_job, sampling_job
from unspool.network.serialization import Nets, read_model, write_model
from unspool.options import Beam, Network, Options, Sampling, Training, unknown_option
from unspool.report.report import Report
from unspool.runtime.compilation_cache import keep_compiled
from unspool.runtime.devices import claim_cores
from unspool.schema.fields import Joint, Schema
from unspool.sequences import Sequences

PARAMS = ("inputs", "sequence", "network", "training", "combinations", "seed", "verbose")
"""Arguments of `OneToMany`."""
MAX_TITLE_FIELDS = 5
"""Fields that the title of a report names, at the most."""


class OneToMany:
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
        seed: of the initial weights, the held-out split, the order of the data and dropout.
        verbose: `None` shows the schema, and a progress bar in a terminal; `True` plain lines elsewhere too; `False`
            nothing.
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
        **unknown: Any,
    ) -> None:
        if unknown:
            raise unknown_option("OneToMany", min(unknown), PARAMS)
        self.inputs = inputs
        self.sequence = sequence
        self.network = network
        self.training = training
        self.combinations = combinations
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

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.get_params().items() if value is not None)
        return f"OneToMany({given})"

    def fit(
        self,
        data: Any,
        steps: Any = None,
        *,
        id: str | None = None,  # noqa: A002
        order: str | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        **unknown: Any,
    ) -> "OneToMany":
        """Learn from a table: pandas, Polars or PyArrow, a dict of lists, a list of dicts, `windows`, or a path.

        Args:
            data: one row an example; or with `id` one row a step; or with `steps` one row of inputs per id.
            steps: the table of steps, where the inputs have a table of their own.
            id: the column that names the sequence of a step.
            order: the column that orders the steps.
            checkpoint: a folder to save the training to after every round. The same call continues from there, and ends
                with the same weights to the bit.
            unknown: refused; `inputs` and `sequence` are arguments of the constructor.

        Raises:
            OptionError: an unknown argument.
            SchemaError: columns or values that contradict their fields.
            DataError: data that can't be read or learned from.
            TrainingError: too little data to hold any out, or weights that diverge.
            CheckpointMismatch: the folder holds the checkpoint of another fit.
        """
        from unspool.pipeline import FitRequest, run_fit  # slow to import, and generation doesn't need it

        if unknown:
            name = min(unknown)
            hint = f"Pass it to the constructor: OneToMany({name}=...)." if name in self.get_params() else ""
            raise OptionError(f"fit({name}=...)", "one of data, steps, id, order, checkpoint", name, hint)
        check_whole(f"OneToMany(seed={self.seed!r})", self.seed, 0)
        network, training = _given(Network, self.network), _given(Training, self.training)
        request = FitRequest(data, steps, id, order, checkpoint, self.get_params(), network, training)
        self.config_, (self.net_, self.row_net_) = run_fit(request)
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

    def log_prob(self, data: Any, steps: Any = None) -> NDArray[np.float64]:
        """(N,) log-probability of every sequence given its input, in nats, in original units.

        The density of a transformed number counts the transform's Jacobian. Where lengths vary, the decisions to stop
        or to continue count too. So models with other transforms and distributions compare.

        Args:
            data: in the layout of the training data.
            steps: the table of steps, as for `fit`.

        Raises:
            SchemaError: columns or values that contradict the fitted schema, all of them listed.
        """
        return self.log_prob_by_field(data, steps).sum(1)

    def log_prob_by_field(self, data: Any, steps: Any = None) -> NDArray[np.float64]:
        """As `log_prob`, (N, F) or (N, F + 1): a column per step field, then the stops where lengths vary."""
        return self._score(data, steps)[0]

    def score(self, data: Any, steps: Any = None) -> float:
        """Mean log-probability of a step, in nats: greater is better, as scikit-learn's searches expect."""
        nats, total = self._score(data, steps)
        return float(nats.sum() / max(1, total))

    def _score(self, data: Any, steps: Any) -> tuple[NDArray[np.float64], int]:
        """(N, F) or (N, F + 1) nats by field, and the number of steps."""
        from unspool.evaluation.samples.scoring import log_probs

        encoded = self.codec_.encode(gather_fitted(self.codec_, data, steps))
        return log_probs(self.net_, encoded), int(encoded.offsets[-1])

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
        from unspool.evaluation.split import facts_of, split_of

        self._fitted()
        check_whole(f"evaluate(seed={seed!r})", seed, 0)
        check_whole(f"evaluate(samples={samples!r})", samples, 1)
        if feedings is not None:
            expected = "no such option: a report is about one model"
            hint = "Run `python -m benchmarks.feeding`, which fits a network under each feeding."
            raise OptionError("evaluate(feedings=...)", expected, repr(feedings), hint)
        test = gather_fitted(self.codec_, data, steps)
        tables = train if isinstance(train, tuple) else (train,)
        training = None if train is None else gather_fitted(self.codec_, *tables)
        split = split_of(self, test, training, int(seed))
        sections = evaluate_model(self, split, int(seed), int(samples))
        digest = fingerprint(split.test_encoded)["data"]
        names = [field.name for field in self.schema_.steps]
        more = f" and {len(names) - MAX_TITLE_FIELDS} more" if len(names) > MAX_TITLE_FIELDS else ""
        title = f"How good is the model of {', '.join(names[:MAX_TITLE_FIELDS])}{more}?"
        return Report(title, split.notes, sections, facts_of(self, split), int(seed), digest, versions())

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
        **unknown: Any,
    ) -> Sequences:
        """Generate `n` sequences for every input row.

        The same (seed, row, sample) gives the same sequence, whichever others are generated with it.

        Args:
            inputs: any kind of table with the input columns, or a dict of single values or lists; of a model without
                inputs nothing.
            n: sequences per row. With `Beam(best=...)`, leave it out.
            length: exact number of steps; `None` lets the network decide when to stop.
            seed: `None` takes a new seed, which the result keeps.
            rule: `"sample"`, `"greedy"` or `Sampling(...)` sample, `"beam"` or `Beam(...)` search for the likeliest.
            prefix: given first steps: one sequence for all rows, or a list with one for each. If words or pieces are
                the steps of a text, the text is cut as if it ended there: end it at the end of a word.
            pin: given values, `{step: {column: value}}` with steps counted from 0, for all rows, or a list with one for
                each; `None` is a missing value. Later samples depend on them. Earlier samples don't, except that a
                column that never falls stays below, and one that never rises above. No sequence stops before its last
                pin.
            allow: allowed samples, `{column: [values]}` of categories and flags, `{column: (low, high)}` of numbers and
                dates, where either may be `None`. A sample is one of the learned distribution given that it is allowed;
                the probability of a missing number does not change.
            unknown: refused; the hint says which class of options has it.

        Raises:
            UnknownCategory: a category that training never saw.
            SchemaError: inputs that are missing, or of another kind than in training.
            OptionError: a rule that no field can take, or numbers out of their bounds; a pin that contradicts a bound,
                `allow`, the prefix, the length, or that a column never falls or never rises; a prefix after which such
                a column has no allowed value.

        Examples:
            >>> import unspool as us
            >>> model = us.OneToMany("k", us.Category("x"), network=us.Network(size=8), verbose=False,
            ...     training=us.Training(holdout=0, epochs=3)).fit({"k": ["a", "b"], "x": [[1, 2], [2, 1, 2]]})
            >>> sequences = model.generate({"k": "a"}, n=3, length=4, seed=1)
            >>> len(sequences), sequences.lengths.tolist()
            (3, [4, 4, 4])
            >>> [steps[1] for steps in model.generate({"k": "a"}, n=3, length=4, pin={1: {"x": 2}})]
            [2, 2, 2]
        """
        given = {"length": length, "seed": seed, "rule": rule, "prefix": prefix, "pin": pin, "allow": allow}
        options = GenerationOptions.of(given | unknown)
        return self._job(inputs, n, options).run()

    def sample(
        self,
        n: int,
        *,
        length: int | None = None,
        seed: int | None = None,
        rule: Sampling | Beam | str = "sample",
        prefix: Any = None,
        pin: Any = None,
        allow: Any = None,
        **unknown: Any,
    ) -> Sequences:
        """Sample `n` rows of inputs like those of training, and a sequence for each: a whole synthetic data set.

        The options are those of `generate`; inputs are always sampled, whatever the rule.

        Raises:
            OptionError: as for `generate`; or the model did not learn to sample inputs.
            SchemaError: another number of prefixes than rows.
        """
        given = {"length": length, "seed": seed, "rule": rule, "prefix": prefix, "pin": pin, "allow": allow}
        options = GenerationOptions.of(given | unknown)
        return sampling_job(self._generator(), n, options).run()

    def generate_to(
        self,
        target: str | os.PathLike[str] | IO[Any],
        inputs: Any = None,
        n: int = 1,
        *,
        long: bool | None = None,
        format: str | None = None,  # noqa: A002
        **options: Any,
    ) -> int:
        """Write the sequences of `generate` to a file part by part: memory does not grow with their number.

        The file is that of `generate(...).save(target)`, and appears whole or not at all. Returns the seed, which
        generates the same sequences again.

        Args:
            target: a path that ends in .csv, .tsv, .jsonl, .json or .parquet, or a stream.
            inputs: as for `generate`.
            n: as for `generate`.
            long: one row a step rather than a sequence; `None` follows the training data.
            format: of the file, if its name has no known ending; CSV for a stream.
            **options: the others of `generate`.

        Raises:
            FileError: the target can't be written to.
            DataError: an unknown format.
            OptionError: as for `generate`.
        """
        return self._save(self._job(inputs, n, GenerationOptions.of(options)), target, long, format)

    def sample_to(
        self,
        target: str | os.PathLike[str] | IO[Any],
        n: int,
        *,
        long: bool | None = None,
        format: str | None = None,  # noqa: A002
        **options: Any,
    ) -> int:
        """Write the rows and sequences of `sample` to a file part by part; returns the seed. See `generate_to`."""
        return self._save(sampling_job(self._generator(), n, GenerationOptions.of(options)), target, long, format)

    def stream(self, inputs: Any = None, n: int = 1, **options: Any) -> Iterator[Event]:
        """As `generate`, but yields `(row, sample, step, value)` step by step, all sequences side by side.

        The arguments and the values of every sequence are those of `generate`; the rule must sample.
        """
        job = self._job(inputs, n, GenerationOptions.of(options))
        if job.beam is not None:
            hint = "Use generate: a search knows the first step when it knows the last."
            raise OptionError("stream(rule=...)", "a rule that samples", repr(options["rule"]), hint)
        return job.stream()

    def _generator(self) -> Fitted:
        """The parts of the model that generate."""
        return Fitted(self.codec_, self.net_, self.config_.row, self.row_net_)

    def _job(self, inputs: Any, n: int, options: GenerationOptions) -> GenerationJob:
        """A checked generation for given inputs."""
        if inputs is None and not self.codec_.schema.is_unconditional:
            hint = "To sample the inputs too, use sample(n) or sample_to(target, n)."
            raise OptionError("generate(inputs=...)", "a table of inputs", "None", hint)
        return generation_job(self._generator(), inputs, n, options)

    @staticmethod
    def _save(job: GenerationJob, target: Any, long: bool | None, file_format: str | None) -> int:
        job.save(Path(target) if isinstance(target, os.PathLike) else target, long=long, format=file_format)
        return job.request.seed

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to one file (`docs/format.md`), whole or not at all; a `FileError` if it can't be written."""
        self._fitted()
        write_model(path, self.config_, Nets(self.net_, self.row_net_))

    def _fitted(self) -> None:
        if not hasattr(self, "net_"):
            found = "one that has not been fitted"
            raise NotFittedError("OneToMany", "a fitted model", found, "Call fit first, or load.")


def load(path: str | os.PathLike[str]) -> OneToMany:
    """Read a model from a file that `OneToMany.save` wrote; a kind of `FileError` names a defect of the file."""
    claim_cores()
    keep_compiled()
    config, nets = read_model(path)
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
