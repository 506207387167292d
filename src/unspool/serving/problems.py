"""What the server refuses, as problem details (RFC 9457) that hold the four parts of an error of Unspool."""

import re
from http import HTTPStatus
from typing import Any

import msgspec

from unspool import errors
from unspool.errors import UnspoolError

PROBLEM_TYPE = "application/problem+json"
"""Media type of an error."""


class Refusal(UnspoolError):
    """A request that the server refuses, with the status of its answer.

    Args:
        status: of the answer.
        location: see `UnspoolError`, as for the others.
        expected: what the server expected there.
        found: what it found.
        hint: one sentence that says what to do.
        headers: of the answer.
    """

    def __init__(
        self,
        status: HTTPStatus,
        location: str,
        expected: str,
        found: str,
        hint: str = "",
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(location, expected, found, hint)
        self.status, self.headers = status, headers or {}


class Problem(msgspec.Struct, frozen=True):
    """Problem details: what was expected where, what was found, and what to do about it."""

    type: str
    title: str
    status: int
    detail: str
    place: str
    expected: str
    found: str
    cure: str

    @classmethod
    def of(cls, error: UnspoolError) -> "Problem":
        """The problem that an error is: a mistake in the request, unless the error has a status of its own."""
        status = error.status if isinstance(error, Refusal) else HTTPStatus.UNPROCESSABLE_ENTITY
        kind = status.phrase.title().replace(" ", "") if isinstance(error, Refusal) else type(error).__name__
        parts = (error.location, error.expected, error.found, error.hint)
        return cls(f"urn:unspool:problem:{kind}", status.phrase, int(status), str(error), *parts)

    def error(self) -> UnspoolError:
        """The error that the problem describes, as Python raises it where the model is."""
        kind: Any = getattr(errors, self.type.rpartition(":")[2], None)
        kind = kind if isinstance(kind, type) and issubclass(kind, UnspoolError) else UnspoolError
        raised: UnspoolError = kind(self.place, self.expected, self.found, self.cure)
        return raised


def unreadable(error: Exception) -> UnspoolError:
    """The error about a body that is no such request.

    Examples:
        >>> unreadable(msgspec.ValidationError("Expected `int` >= 1 - at `$.n`")).args[0]
        'body.n: expected `int` >= 1, found another value.'
    """
    if isinstance(error.__cause__, UnspoolError):
        return error.__cause__
    text, _, place = str(error).partition(" - at `")
    location = "body" + place.removesuffix("`").removeprefix("$")
    if not isinstance(error, msgspec.ValidationError):
        return Refusal(HTTPStatus.BAD_REQUEST, location, "JSON in UTF-8", text or type(error).__name__)
    wanted, _, got = re.sub("^Expected ", "", text).partition(", got ")
    if wanted.startswith("Object "):  # "Object contains unknown field `x`", "Object missing required field `x`"
        return Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, location, "the fields of this request", wanted[7:])
    return Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, location, wanted, got or "another value")
