"""What each structure is called and which colour it has, wherever it is drawn; and the ink of paper and of screen.

It must not import matplotlib: the window's layers take their colours from here.
"""

from dataclasses import dataclass

from glrp_napari.cine import Structure

NAMES = {Structure.RV: "RV", Structure.MYO: "Myocardium", Structure.LV: "LV"}
COLOURS = {Structure.RV: "#2f7fd0", Structure.MYO: "#2fb380", Structure.LV: "#e0533d"}
"""Blue, green, red in shades that the colour-blind can tell apart, by lightness too (after Okabe and Ito)."""


@dataclass(frozen=True)
class Ink:
    """Colours of a figure's ground, its text and lines, and of what should not call for attention."""

    ground: str
    text: str
    quiet: str


PAPER = Ink(ground="white", text="#1c1f24", quiet="#8b9099")
SCREEN = Ink(ground="#262930", text="#e8eaee", quiet="#8b9099")
