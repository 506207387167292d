"""The part of the page that sets Unspool beside TabularARGN."""

import textwrap
from typing import Any

WIDTH = 120
"""Characters of a line of prose."""
PROSE = (
    "mostlyai-engine's TabularARGN (Apache-2.0), a network for tables and sequences, has the same split, the same "
    "budget of seconds and one core. It gets the inputs as its context, and otherwise what PARModel gets: the "
    "first record where that is the input, symbols as symbols, days as increments. Its options are the default "
    "ones, but that rare values are not protected, which a detector would see, and that the clock or its own "
    "early stopping ends its training, not a count of epochs. The models take turns, each in a process of its "
    "own; the peak is the memory of that process. Rates are of rows to a table, {paths} sequences for each "
    "held-out input, the median of three calls; that of a call before, which compiles or loads, is in brackets. "
    "The detector belongs to neither: boosted trees on plain summaries of each sequence, without its input, "
    "cross-validated with the real and the generated sequence of an input in one fold; windows stay together by "
    "stretches that share no day. Its figure is the area under the curve, the mean over {draws} generated "
    "sequences an input: 0.5 is perfect. The first fit of a data set compiles our programs, in seconds and in "
    "memory; a later one finds them compiled. In each pair Unspool is first."
)
WHO = ("unspool", "tabularargn")
LEAST_AHEAD = 4
"""Data sets on which the detector must find us nearer to 0.5."""
LEAST_RATE = 5.0
"""Our rows a second over theirs, on each data set."""


def rival(kept: dict[str, dict[str, Any]], leads: dict[str, list[bool]]) -> list[str]:
    """What was asked, and every figure; nothing without figures.

    Args:
        kept: the figures by data set.
        leads: by data set, for each line of the report that both models have, whether ours is no worse.
    """
    if not kept:
        return []
    ahead = [name for name, one in kept.items() if distance(one, "unspool") < distance(one, "tabularargn")]
    rates = {name: min(rate_ratio(fit) for fit in one["rounds"]) for name, one in kept.items()}
    slow = [name for name, rate in rates.items() if rate < LEAST_RATE]
    behind = [name for name in kept if name not in ahead]
    asked = [
        (
            f"detector nearer to 0.5 than of TabularARGN on at least {LEAST_AHEAD} of the data sets, mean over seeds",
            f"{len(ahead)} of {len(kept)}; behind on: {', '.join(behind) or 'none'}",
            len(ahead) >= LEAST_AHEAD,
        ),
        (
            f"at least {LEAST_RATE:g} times its rows a second on every data set, each at its worst seed",
            f"{min(rates.values()):.1f} to {max(rates.values()):.1f} times; below: {', '.join(slow) or 'none'}",
            not slow,
        ),
    ]
    when = "; ".join(sorted({f"{one['date']}, {one['machine']}" for one in kept.values()}))
    prose = f"{PROSE.format(**next(iter(kept.values())))} {when}."
    rows = [f"| {asks} | {found} | {verdict(met)} |" for asks, found, met in asked]
    head = [
        "",
        "## Beside TabularARGN",
        "",
        *textwrap.wrap(prose, WIDTH, break_on_hyphens=False),
        "",
        "| criterion | measured | |",
        "|---|---|---|",
    ]
    scores = "; ".join(f"{name} {sum(lead)} of {len(lead)}" for name, lead in leads.items() if lead)
    after = f"Lines of the report on which Unspool is better or equal, first seed: {scores}."
    return [*head, *rows, "", *rival_table(kept), "", *textwrap.wrap(after, WIDTH)]


def with_rounds(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """The figures of now; of seeds that were not run, and of what was not asked, those of before."""
    rounds = {fit["seed"]: fit for one in (before, now) for fit in one.get("rounds", [])}
    return {**before, **now, "rounds": [rounds[seed] for seed in sorted(rounds)]}


def rival_table(kept: dict[str, dict[str, Any]]) -> list[str]:
    """A line for each data set and seed."""
    names = (
        "data",
        "seed",
        "detector",
        "nearer",
        "rows a second",
        "times",
        "peak, MB",
        "seconds to fit, and the budget",
    )
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    for name, one in kept.items():
        for fit in one["rounds"]:
            both = [fit[who] for who in WHO]
            off = [abs(each["AUC"] - 0.5) for each in both]
            row = (
                name,
                str(fit["seed"]),
                ", ".join(f"{each['AUC']:.3f}" for each in both),
                "Unspool" if off[0] < off[1] else "TabularARGN" if off[1] < off[0] else "equal",
                ", ".join(f"{each['later']:,.0f} ({each['first']:,.0f})" for each in both),
                f"{rate_ratio(fit):.1f}",
                ", ".join(f"{each['peak'] / 1e6:,.0f}" for each in both),
                ", ".join(f"{each['seconds']:.0f}" for each in both) + f" of {fit['budget']:.0f}",
            )
            lines.append(f"| {' | '.join(row)} |")
    return lines


def distance(one: dict[str, Any], who: str) -> float:
    """How far the detector is from 0.5, the mean over seeds."""
    return sum(abs(fit[who]["AUC"] - 0.5) for fit in one["rounds"]) / len(one["rounds"])


def rate_ratio(fit: dict[str, Any]) -> float:
    """Our rows a second over theirs."""
    return fit["unspool"]["later"] / fit["tabularargn"]["later"]


def verdict(met: bool) -> str:
    """A criterion's outcome in a word.

    >>> verdict(True), verdict(False)
    ('met', '**not met**')
    """
    return "met" if met else "**not met**"
