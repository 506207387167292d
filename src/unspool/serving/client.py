"""A client of a server: an object that generates as a local model does."""

import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self, overload

import msgspec
import numpy as np
from numpy.typing import NDArray

from unspool.errors import FileError, MissingExtra, OptionError
from unspool.serving.messages import (
    GeneratedAnswer,
    GenerateRequest,
    ModelList,
    NextStepAnswer,
    NextStepRequest,
    NextSteps,
    ScoreRequest,
    Scores,
    Step,
    rule_message,
)
from unspool.serving.problems import Problem

if TYPE_CHECKING:
    import httpx

TRIES, FIRST_WAIT, MAX_WAIT = 6, 0.1, 10.0
"""Times that a request is sent, and seconds between two of them: twice as many after each."""
AGAIN = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE)
"""Statuses after which the same request may succeed."""


@dataclass(frozen=True, eq=False)
class RemoteSequences(Sequence[Any]):
    """Sequences that a server has generated, as `Sequences` without the model: one value for each, row after row.

    Attributes:
        answer: what the server said: its seed and hash give the same sequences again.
    """

    answer: GeneratedAnswer

    def __len__(self) -> int:
        return len(self.answer.sequences)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        return self.answer.sequences[index]

    @property
    def seed(self) -> int:
        """Generates the same sequences again."""
        return self.answer.seed

    @property
    def rows(self) -> NDArray[np.int64]:
        """(N,) the input row of each sequence."""
        return np.array(self.answer.rows, np.int64)

    @property
    def ended(self) -> NDArray[np.bool_]:
        """(N,) whether each ended by itself, rather than at the limit."""
        return np.array(self.answer.ended, bool)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(N,) steps of each sequence; of a text, its characters."""
        return np.array([len(sequence) for sequence in self], np.int64)


class RemoteModel:
    """A model of a server; `connect` makes one.

    Args:
        client: the connection.
        name: of the model.
    """

    def __init__(self, client: "httpx.Client", name: str) -> None:
        self.client, self.name = client, name

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self.client.close()

    def generate(self, inputs: Any = None, n: int = 1, *, rule: Any = "sample", **options: Any) -> RemoteSequences:
        """Generate `n` sequences for every input row; the arguments are those of `OneToMany.generate`.

        A lost connection, or a server that is too busy, is tried again, with the same seed.

        Raises:
            UnspoolError: as of `OneToMany.generate`.
            FileError: the server can't be reached.
        """
        request = self._request(inputs, n, rule, options)
        return RemoteSequences(self._post("generate", request, GeneratedAnswer))

    def sample(self, n: int, *, rule: Any = "sample", **options: Any) -> RemoteSequences:
        """Sample `n` rows of inputs (`answer.inputs`), and a sequence for each; see `OneToMany.sample`."""
        return RemoteSequences(self._post("generate", self._request(None, n, rule, options), GeneratedAnswer))

    def stream(self, inputs: Any = None, n: int = 1, *, rule: Any = "sample", **options: Any) -> Iterator[Any]:
        """As `generate`, but yields the events `(row, sample, step, value)` of `OneToMany.stream` as they come.

        A stream that breaks goes on where it was.
        """
        import httpx

        from unspool.jobs import Event

        request = self._request(inputs, n, rule, options)
        headers, failures = {"Accept": "text/event-stream"}, 0
        while True:
            try:
                with self.client.stream("POST", self._path("generate"), content=_body(request), headers=headers) as got:
                    if got.status_code != HTTPStatus.OK:
                        got.read()
                        _check(got)
                    for last, step in _events(got.iter_lines()):
                        if step is None:
                            return
                        headers["Last-Event-ID"], failures = last, 0
                        yield Event(step.row, step.sample, step.step, step.value)
                found: Exception = httpx.RemoteProtocolError("the stream ended early")
            except (httpx.TransportError, _TryAgain) as error:
                found = error
            failures += 1
            if failures == TRIES:
                raise self._unreachable(found)
            time.sleep(_wait(failures, found))

    def log_prob(self, data: Any, *, errors: Any = "raise") -> NDArray[np.float64]:
        """(N,) log-probability of every sequence given its input, in nats; see `OneToMany.log_prob`."""
        scores = self._post("log_prob", ScoreRequest(data=_columns(data), errors=errors), Scores)
        return np.array(scores.log_prob, np.float64)

    def next_step(self, inputs: Any, prefix: Any = None, *, samples: int = 256, seed: int = 0) -> list[NextStepAnswer]:
        """The distribution of the step after a prefix, for every row of inputs; see `OneToMany.next_step`."""
        request = NextStepRequest(inputs=_columns(inputs), prefix=prefix, samples=samples, seed=seed)
        return self._post("next_step", request, NextSteps).steps

    def _request(self, inputs: Any, n: int, rule: Any, options: dict[str, Any]) -> GenerateRequest:
        known = GenerateRequest.__struct_fields__
        for name in options:
            if name not in known:
                raise OptionError(f"generate({name}=...)", f"one of {', '.join(known)}", repr(name))
        if options.get("seed") is None:
            options["seed"] = secrets.randbits(32)
        return GenerateRequest(inputs=_columns(inputs), n=n, rule=rule_message(rule), **options)

    def _path(self, route: str) -> str:
        return f"v1/models/{self.name}/{route}"

    def _post(self, route: str, request: Any, kind: type[Any]) -> Any:
        import httpx

        failures = 0
        while True:
            try:
                got = self.client.post(self._path(route), content=_body(request))
                _check(got)
                return msgspec.json.decode(got.content, type=kind)
            except (httpx.TransportError, _TryAgain) as error:
                failures += 1
                if failures == TRIES:
                    raise self._unreachable(error) from error
                time.sleep(_wait(failures, error))

    def _unreachable(self, error: Exception) -> FileError:
        hint = "Check the address, and whether the server runs."
        return FileError(str(self.client.base_url), "a server that answers", str(error) or type(error).__name__, hint)


class _TryAgain(Exception):
    """The server can't answer now; it says how many seconds to wait."""

    def __init__(self, found: str, seconds: float) -> None:
        super().__init__(found)
        self.seconds = seconds


def connect(url: str, model: str | None = None, *, token: str | None = None, timeout: float = 60.0) -> RemoteModel:
    """A model of a server (`unspool serve`), with `generate`, `stream` and `log_prob` as a local one has.

    Args:
        url: of the server, such as `"http://127.0.0.1:8000"`.
        model: the name of the model; needed where the server has several.
        token: of the server, if it asks for one.
        timeout: seconds without a word of the server after which it counts as gone.

    Raises:
        MissingExtra: httpx is not installed.
        FileError: the server can't be reached.
        OptionError: it has no such model, or several and none is named.
    """
    try:
        import httpx
    except ImportError:
        raise MissingExtra("connect", "the package httpx", "none", "pip install 'unspool[serve]'") from None
    headers = {"Content-Type": "application/json"} | ({} if token is None else {"Authorization": f"Bearer {token}"})
    client = httpx.Client(base_url=url, headers=headers, timeout=timeout)
    return remote_model(client, model)


def remote_model(client: "httpx.Client", model: str | None) -> RemoteModel:
    """The model of a connection; errors as of `connect`."""
    import httpx

    found = RemoteModel(client, model or "")
    try:
        got = client.get("v1/models")
        _check(got)
    except (httpx.TransportError, _TryAgain) as error:
        raise found._unreachable(error) from error  # noqa: SLF001
    names = msgspec.json.decode(got.content, type=ModelList).models
    if model is None and len(names) == 1:
        return RemoteModel(client, names[0])
    if model not in names:
        raise OptionError(f"connect(model={model!r})", f"one of {', '.join(names)}", repr(model))
    return found


def _body(request: Any) -> bytes:
    return msgspec.json.encode(
        request, enc_hook=lambda value: value.tolist() if hasattr(value, "tolist") else str(value)
    )


def _check(got: "httpx.Response") -> None:
    """Raise the error that an answer describes."""
    if got.status_code == HTTPStatus.OK:
        return
    try:
        problem = msgspec.json.decode(got.content, type=Problem)
    except msgspec.DecodeError:
        found = f"{got.status_code} {got.reason_phrase}"
        raise FileError(str(got.url), "an answer of an Unspool server", found) from None
    if got.status_code in AGAIN:
        raise _TryAgain(problem.detail, float(got.headers.get("retry-after", 0)))
    raise problem.error()


def _wait(failures: int, error: Exception) -> float:
    return min(max(FIRST_WAIT * 2**failures, getattr(error, "seconds", 0.0)), MAX_WAIT)


def _events(lines: Iterator[str]) -> Iterator[tuple[str, Step | None]]:
    """The id and the step of every event; `None` at the end of the stream."""
    last, name = "", ""
    for line in lines:
        field, _, value = line.partition(": ")
        if field == "id":
            last = value
        elif field == "event":
            name = value
        elif field == "data":
            yield last, None if name == "end" else msgspec.json.decode(value, type=Step)


def _columns(data: Any) -> Any:
    """A table of any kind as a request holds it."""
    if data is None or isinstance(data, (dict, list)):
        return data
    import narwhals as nw

    return nw.from_native(data, eager_only=True).to_dict(as_series=False)
