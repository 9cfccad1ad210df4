"""Figures as one PDF file without a date, so that nothing is in it that is not on its pages."""

import io
from collections.abc import Iterable
from pathlib import Path

from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

import glrp_napari
from glrp_napari.writing.atomic import write_atomically

_METADATA = {"Creator": f"glrp-napari {glrp_napari.__version__}", "CreationDate": None, "ModDate": None}


def write_pdf(path: Path, pages: Iterable[Figure]) -> None:
    """Write figures, a page each, atomically. Raises `OSError` if writing fails."""
    stream = io.BytesIO()
    with PdfPages(stream, metadata=_METADATA) as document:
        for page in pages:
            document.savefig(page, dpi=200)
    write_atomically(path, stream.getvalue())
