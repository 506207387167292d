"""Option classes as flags: their fields, defaults and descriptions are written once, in `unspool.options`."""

import dataclasses
import re
from typing import Annotated, Any, TypeVar, cast

import msgspec
from cyclopts import Group, Parameter

from unspool.errors import OptionError
from unspool.options import Beam, Network, Options, Sampling, Training

Kind = TypeVar("Kind", bound=Options)


def flags(kind: type[Options]) -> type[Any]:
    """A dataclass with the fields of an option class, which Cyclopts turns into flags. Bounds stay where they are."""
    told = descriptions(kind)
    fields = [
        (
            field.name,
            Annotated[field.type, Parameter(help=told[field.name])],
            dataclasses.field(default=field.default),
        )
        for field in msgspec.structs.fields(kind)
    ]
    home = {"__module__": __name__}  # Cyclopts looks into no class of the standard library, where it would be else
    return dataclasses.make_dataclass(f"{kind.__name__}Flags", fields, frozen=True, kw_only=True, namespace=home)


def descriptions(kind: type[Options]) -> dict[str, str]:
    """What the docstring of an option class says of every field, in one line each."""
    _, _, arguments = (kind.__doc__ or "").partition("Args:\n")
    found = re.findall(r"^ {8}(\w+): (.*?)(?=^ {8}\w+: |\Z)", arguments, re.MULTILINE | re.DOTALL)
    return {name: " ".join(text.replace("`", "").split()) for name, text in found}


def options(kind: type[Kind], given: Any) -> Kind:
    """The flags as options, checked.

    Raises:
        OptionError: one is out of its bounds.
    """
    return kind(**{field.name: getattr(given, field.name) for field in dataclasses.fields(cast(Any, given))})


NetworkFlags: Any = flags(Network)
TrainingFlags: Any = flags(Training)
SamplingFlags: Any = flags(Sampling)

_BEAM = descriptions(Beam)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BeamFlags:
    """`Beam` as flags, all open: it is asked for by its width. Its limit is that of `SamplingFlags`."""

    beam: Annotated[int | None, Parameter(help=f"search instead of drawing; {_BEAM['width']}")] = None
    length_penalty: Annotated[float | None, Parameter(help=_BEAM["length_penalty"])] = None
    best: Annotated[int | None, Parameter(help=_BEAM["best"])] = None


NETWORK = Parameter(name="*", group=Group("The network (open: chosen from the data)", sort_key=2))
TRAINING = Parameter(name="*", group=Group("Training (open: chosen from the data)", sort_key=3))
SAMPLING = Parameter(name="*", group=Group("How steps are drawn", sort_key=3))
BEAM = Parameter(name="*", group=Group("Beam search, instead of drawing", sort_key=4))


def rule(sampling: Any, beam: BeamFlags) -> Sampling | Beam:
    """The flags of both as the one rule that they ask for.

    Raises:
        OptionError: flags of the one together with flags of the other, or one out of its bounds.
    """
    drawn = options(Sampling, sampling)
    given = {name: value for name, value in dataclasses.asdict(beam).items() if value is not None}
    width = given.pop("beam", None)
    if width is None:
        for name in given:
            raise OptionError(_flag(name), "a beam search", "none", f"Add --beam WIDTH, or leave out {_flag(name)}.")
        return drawn
    for name, value in msgspec.structs.asdict(drawn).items():
        if name != "limit" and value != getattr(Sampling(), name):
            raise OptionError(_flag(name), "no beam search", "--beam", "One draws, the other searches: leave out one.")
    return Beam(width=width, limit=drawn.limit, **given)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
