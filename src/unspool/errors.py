"""Every error Unspool raises on purpose: one small tree, each with place, expected, found and cure."""


class UnspoolError(ValueError):
    """A mistake that the caller can mend.

    Args:
        location: where it is, as exactly as known: a file, row, column, option.
        expected: what should have been there.
        found: what was there instead.
        hint: one sentence that says what to do.
    """

    def __init__(self, location: str, expected: str, found: str, hint: str = "") -> None:
        self.location, self.expected, self.found, self.hint = location, expected, found, hint
        super().__init__(f"{location}: expected {expected}, found {found}." + (f" {hint}" if hint else ""))

    def __reduce__(self) -> tuple[type, tuple[str, str, str, str]]:
        """Four arguments, not the one joined message, so that the error survives a process boundary."""
        return type(self), (self.location, self.expected, self.found, self.hint)


class OptionError(UnspoolError):
    """An option that is out of its bounds, of the wrong type, or contradicts another."""


class DataError(UnspoolError):
    """Data that can't be read, or that doesn't have the form it must have."""


class SchemaError(DataError):
    """Data whose columns or values differ from what the schema (or the fitted model) says."""


class UnknownCategory(SchemaError):
    """A category, given as input, that training never saw."""


def together(errors: list[SchemaError], location: str) -> SchemaError:
    """One error that lists several, or the only one.

    Args:
        errors: at least one.
        location: of all of them.

    Examples:
        >>> wrong = [SchemaError(f"x.csv: column {name!r}", "a number", "text") for name in "ab"]
        >>> print(together(wrong, "x.csv"))
        x.csv: expected what the model was fitted to, found 2 differences:
          column 'a': expected a number, found text
          column 'b': expected a number, found text.
    """
    if len(errors) == 1:
        return errors[0]
    kind = UnknownCategory if all(isinstance(error, UnknownCategory) for error in errors) else SchemaError
    lines = [str(error).removesuffix(".") for error in errors]
    if all(line.startswith(f"{location}: ") for line in lines):
        lines = [line.removeprefix(f"{location}: ") for line in lines]
    return kind(location, "what the model was fitted to", f"{len(lines)} differences:\n  " + "\n  ".join(lines))


class NotFittedError(UnspoolError, AttributeError):
    """A question to a model that has not been fitted."""


class MissingExtra(UnspoolError, ImportError):
    """A feature whose optional dependency is not installed."""


class TrainingError(UnspoolError):
    """Training that can't start, or can't go on."""


class CheckpointMismatch(TrainingError):
    """A checkpoint folder that belongs to another fit: other data, options or version."""


class FileError(UnspoolError):
    """A model file that can't be read or written."""


class ForeignFile(FileError):
    """A file that is not an Unspool model at all."""


class TruncatedFile(FileError):
    """A model file that ends before its header says it does."""


class OversizedFile(FileError):
    """A model file that asks for more memory than it has bytes, or than the limit allows."""


class NewerFormat(FileError):
    """A model file that a newer Unspool wrote."""


class CorruptFile(FileError):
    """A model file whose contents contradict each other, or hold unknown keys."""


class NonFiniteWeights(FileError):
    """A model file with a NaN or an infinity among its weights."""
