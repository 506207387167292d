"""The picture of a training: nats per step by update."""

import os
from typing import TYPE_CHECKING

from unspool.config import Summary
from unspool.plots.canvas import BLUE, INK, MUTED, PICTURES, VERMILION, caption, figure, save, style_axes
from unspool.runtime.atomic_files import suffix

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_training(summary: Summary, path: str | os.PathLike[str] | None = None) -> "Figure":
    """Draw the nats per step of training and of validation by update, with the kept weights marked.

    The summary is a model's `summary_`; for the path and the errors see `plot_sequences`.
    """
    if path is not None:
        suffix(path, PICTURES)
    picture = figure(7.0, 4.0)
    picture.set_layout_engine("constrained")
    axes = picture.add_subplot()
    style_axes(axes)
    updates = [entry.update for entry in summary.rounds]
    train = [entry.train for entry in summary.rounds]
    validation = [entry.validation for entry in summary.rounds if entry.validation is not None]
    marker = "." if len(updates) < 3 else None
    axes.plot(updates, train, color=BLUE, linewidth=1.2, label="training", marker=marker)
    if validation:
        axes.plot(updates, validation, color=VERMILION, linewidth=1.6, label="validation", marker=marker)
    axes.plot([summary.best_update], [summary.nats], "o", color=INK, markersize=6, zorder=4, label="kept")
    note = f"{summary.nats:.3f} at update {summary.best_update}"
    side = "right" if summary.best_update > updates[-1] / 2 else "left"
    axes.annotate(
        note, (summary.best_update, summary.nats), (0, 9), textcoords="offset points", ha=side, fontsize=9, color=INK,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1},
    )  # fmt: skip
    axes.set_xlabel("update", fontsize=9, color=MUTED)
    axes.set_ylabel("nats per step (lower is better)", fontsize=9, color=MUTED)
    picture.legend(loc="outside lower right", ncols=3, frameon=False, fontsize=9, labelcolor=INK)
    caption(picture, "Training", f"{summary.examples:,} sequences, {summary.seconds:.0f} s, ended: {summary.stopped}")
    if path is not None:
        save(picture, path)
    return picture
