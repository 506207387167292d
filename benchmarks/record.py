"""From the figures of the benchmarks to `docs/benchmarks.md` and its pictures: python -m benchmarks.record."""

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1] / "docs"
TITLES = {
    "fit": "Time to quality",
    "train": "Training",
    "generate": "Generation",
    "beam": "Beam search",
    "cold": "Cold start",
    "scale": "Scale",
    "serve": "Many clients of a server",
    "par": "Against PARModel",
    "gpu": "On a GPU",
}
NOTES = {
    "fit": """From the start of a process to a fitted model by default options, imports and compilation counted, with an
empty cache of compiled programs and with one that holds them. The script is `benchmarks/fit_torch.py`; its time is that
at which it reached Unspool's held-out nats, or its whole fit. A fit until its nats had so many seconds of training that
it reached those of the script's whole fit. The returns are windows cut by hand.""",
    "train": """One update of a token model with one layer, with Adam. Parity first: hidden states and gradients are
PyTorch's.""",
    "generate": """One step of a token model with one layer, all sequences side by side. Parity first: from the same
weights and uniforms all peers draw the same symbols.""",
    "beam": "Beam search beside sampling as many rows.",
    "cold": "Whole processes; the competitor is a process that imports JAX and does nothing.",
    "scale": """How cost grows with each size, and memory with the length and the number of sequences. A peak is that of
a whole process.""",
    "serve": """Clients and server share one machine. Parity first: each client gets what `generate` gives. The
competitor of the first row is one `generate` of as many rows in Python: its ratio is the share of that throughput.""",
    "par": """400 sequences of 50 steps with two numeric columns, drawn from a process whose likelihood is known. Energy
distance: of generated sequences to held-out ones, 0 for a perfect model. `benchmarks/par.py` has the formulas.""",
    "gpu": """The same jobs on one card, beside PyTorch with cuDNN. Checks first: log-probabilities, gradients and
symbols are those of the processor.""",
}
HEADER = """# Benchmarks

Made by `make bench ARGS=--write`, not by hand. Each benchmark asserts parity, then lets competitor and Unspool take
turns, and takes medians. Less is better in both columns; *ratio* is the competitor's figure over Unspool's, and *share
of ceiling* the time of the needed matrix products alone, measured in the same run, over Unspool's.

Speed drifts with the machine and its neighbours: a ratio of one run is worth more than a figure of it."""
PICTURES = {"update": "benchmarks-update.png", "sampled step": "benchmarks-step.png"}


def keep(result: dict[str, Any], folder: Path = DOCS) -> None:
    """Put one benchmark's figures in the place of its older ones."""
    path = folder / "benchmarks.json"
    kept = json.loads(path.read_text("utf-8")) if path.exists() else {}
    kept[result["bench"]] = result
    path.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")


def write(folder: Path = DOCS) -> None:
    """Make the page and the pictures of the figures that were kept."""
    kept = json.loads((folder / "benchmarks.json").read_text("utf-8"))
    lines = [HEADER]
    charts = pictures([row for name in ("scale", "train") for row in kept.get(name, {"rows": []})["rows"]], folder)
    for name in [*TITLES, *(kept.keys() - TITLES.keys())]:
        if name not in kept:
            continue
        result = kept[name]
        machine = ", ".join(
            f"{key} {value}" if key != "processor" else value for key, value in result["machine"].items()
        )
        lines += ["", f"## {TITLES.get(name, name)}", "", NOTES.get(name, ""), "", f"{result['date']}, {machine}.", ""]
        if name == "scale":
            lines += [f"![Cost of one {job} against each size]({charts[job]})\n" for job in charts]
        lines += table(result["rows"])
    (folder / "benchmarks.md").write_text("\n".join(lines) + "\n", "utf-8")


def table(rows: list[dict[str, Any]]) -> list[str]:
    """A Markdown table; what is the same in all rows, such as a column without figures, is left out."""
    distributions = {
        "unspool": "Unspool",
        "competitor": "competitor",
        "ratio": "ratio",
        "share_of_ceiling": "share of ceiling",
    }
    used = [key for key in distributions if any(row[key] is not None for row in rows)]
    lines = ["| job | " + " | ".join(distributions[key] for key in used) + " |", "|---|" + "---|" * len(used)]
    for row in rows:
        cells = [
            "" if row[key] is None else f"{row[key]:.2f}" if key in ("ratio", "share_of_ceiling") else shown(row, key)
            for key in used
        ]
        lines.append(f"| {row['job']} | " + " | ".join(cells) + " |")
    return lines


def shown(row: dict[str, Any], key: str) -> str:
    """A figure with its unit, which the job names where it isn't seconds.

    >>> shown({"job": "update, H=64", "unspool": 0.00123}, "unspool")
    '1.23 ms'
    """
    value, job = row[key], row["job"]
    if "bytes" in job:
        return f"{value / 1e6:.0f} MB"
    if any(word in job for word in ("nats a step", "distance", "over that")):
        return f"{value:.3f}" if abs(value) >= 0.001 or not value else f"{value:.1e}"
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"


def pictures(rows: list[dict[str, Any]], folder: Path) -> dict[str, str]:
    """Cost against H, B, T and V, next to the competitor; the file's name by job."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import NullFormatter

    charts = {}
    for job, file in PICTURES.items():
        panels = series(rows, job)
        if not panels:
            continue
        figure, axes = plt.subplots(1, len(panels), figsize=(3.1 * len(panels), 2.8), squeeze=False)
        for axis, (size, found) in zip(axes[0], panels.items(), strict=True):
            for name, points in found.items():
                axis.plot(*zip(*sorted(points), strict=True), "o-", markersize=3, label=name)
            axis.set(xscale="log", yscale="log", xlabel=size, title=f"{job} against {size}")
            axis.title.set_fontsize(9)
            ticks = sorted({at for points in found.values() for at, _ in points})
            axis.set_xticks(ticks, [f"{at:.0f}" for at in ticks], fontsize=7)
            axis.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
            axis.yaxis.set_minor_formatter(NullFormatter())
            axis.grid(alpha=0.3)
        axes[0][0].set_ylabel("seconds")
        axes[0][0].legend(fontsize=7)
        figure.tight_layout()
        figure.savefig(folder / file, dpi=90, metadata={"Software": None})
        plt.close(figure)
        charts[job] = file
    return charts


def series(rows: list[dict[str, Any]], job: str) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """By varied size, and by whose it is, the points (size, seconds); the sweeps are those of `benchmarks/scale.py`.

    >>> row = {"job": "update, H=64 B=1 T=8 V=8, H, PyTorch", "unspool": 1.0, "competitor": 2.0}
    >>> series([row], "update")
    {'H': {'Unspool': [(64.0, 1.0)], 'PyTorch': [(64.0, 2.0)]}}
    """
    found: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for row in rows:
        match = re.fullmatch(rf"{job}, (?P<sizes>(?:\w=\d+ ?)+), (?P<label>[HBTV]), (?P<peer>.+)", row["job"])
        if match:
            size = float(re.findall(rf"\b{match['label']}=(\d+)", match["sizes"])[0])
            panel = found.setdefault(match["label"], defaultdict(list))
            panel["Unspool"].append((size, row["unspool"]))
            if row["competitor"] is not None:
                panel[match["peer"]].append((size, row["competitor"]))
    return {label: dict(panel) for label, panel in found.items()}


if __name__ == "__main__":
    write()
