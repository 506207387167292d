"""Option classes as flags, with the fields, defaults and descriptions of `unspool.options`."""

import dataclasses
import re
from typing import Annotated, Any, TypeVar, cast

import msgspec
from cyclopts import Group, Parameter

from unspool.errors import OptionError
from unspool.options import Beam, Decoding, Network, Options, Sampling, Training, Typical

OptionClass = TypeVar("OptionClass", bound=Options)


def flags_of(kind: type[Options]) -> type[Any]:
    """A dataclass with the fields of an option class, for Cyclopts; the class itself checks bounds."""
    descriptions = flag_descriptions(kind)
    fields = []
    for field in msgspec.structs.fields(kind):
        negative = f"--no-{field.name.replace('_', '-')}" if field.default is True else ()
        parameter = Parameter(help=descriptions[field.name], negative=negative)
        fields.append((field.name, Annotated[field.type, parameter], dataclasses.field(default=field.default)))
    home = {"__module__": __name__}  # without it Cyclopts takes the class for one of the standard library
    return dataclasses.make_dataclass(f"{kind.__name__}Flags", fields, frozen=True, kw_only=True, namespace=home)


def flag_descriptions(kind: type[Options]) -> dict[str, str]:
    """The description of each field in the docstring of an option class, in one line and without references."""
    _, _, arguments = (kind.__doc__ or "").partition("Args:\n")
    found = re.findall(r"^ {8}(\w+): (.*?)(?=^ {8}\w+: |\Z)", arguments, re.MULTILINE | re.DOTALL)
    in_lines = {name: " ".join(re.sub(r'[`"]', "", text).split()) for name, text in found}
    return {name: re.sub(r" \([^()]* (19|20)\d\d\b[^()]*\)", "", text) for name, text in in_lines.items()}


def options_from(kind: type[OptionClass], given: Any) -> OptionClass:
    """The flags as checked options."""
    return kind(**{field.name: getattr(given, field.name) for field in dataclasses.fields(cast(Any, given))})


NetworkFlags: Any = flags_of(Network)
TrainingFlags: Any = flags_of(Training)
SamplingFlags: Any = flags_of(Sampling)

_BEAM = flag_descriptions(Beam)
TYPICAL_HELP = "the sequence that is nearest on average to the others of so many samples, for each row of inputs"


@dataclasses.dataclass(frozen=True, kw_only=True)
class BeamFlags:
    """`Beam` and `Typical` as flags, all open. A number turns each of them on; the limit is that of `SamplingFlags`."""

    beam: Annotated[int | None, Parameter(help=f"search instead of sampling; {_BEAM['width']}")] = None
    length_penalty: Annotated[float | None, Parameter(help=_BEAM["length_penalty"])] = None
    best: Annotated[int | None, Parameter(help=_BEAM["best"])] = None
    typical: Annotated[int | None, Parameter(help=TYPICAL_HELP)] = None


NETWORK = Parameter(name="*", group=Group("Network (open options are chosen from the data)", sort_key=4))
TRAINING = Parameter(name="*", group=Group("Training (open options are chosen from the data)", sort_key=5))
SAMPLING = Parameter(name="*", group=Group("How steps are sampled", sort_key=4))
BEAM = Parameter(name="*", group=Group("Beam search or the typical sequence, instead of samples", sort_key=5))


def rule_from(sampling: Any, beam: BeamFlags) -> Decoding:
    """The rule of the flags of sampling, beam search and typical sequences, which exclude each other."""
    sampled = options_from(Sampling, sampling)
    given = {name: value for name, value in dataclasses.asdict(beam).items() if value is not None}
    width, samples = given.pop("beam", None), given.pop("typical", None)
    if width is None and given:
        flag = _flag(next(iter(given)))
        raise OptionError(flag, "a beam search", "none", f"Add --beam WIDTH, or leave out {flag}.")
    if width is None and samples is None:
        return sampled
    name = "--typical" if width is None else "--beam"
    if width is not None and samples is not None:
        raise OptionError("--typical", "no beam search", "--beam", "Leave out one.")
    for option, value in msgspec.structs.asdict(sampled).items():
        if option != "limit" and value != getattr(Sampling(), option):
            kind = "no typical sequence" if width is None else "no beam search"
            raise OptionError(_flag(option), kind, name, "Sample or search: leave out one.")
    if samples is not None:
        try:
            return Typical(samples=samples, limit=sampled.limit)
        except OptionError as error:
            raise OptionError(f"--typical {samples}", error.expected, error.found) from None
    return Beam(width=width, limit=sampled.limit, **given)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
