"""Figures that a notebook shows without pyplot."""

import io

from matplotlib.figure import Figure


class NotebookFigure(Figure):
    """A figure with a picture of its own; a notebook shows a plain figure only if pyplot has been imported."""

    def _repr_png_(self) -> bytes:
        out = io.BytesIO()
        self.savefig(out, format="png")
        return out.getvalue()
