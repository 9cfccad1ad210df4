"""A slice before and after a fine-tuning, as pictures: outlines on the image, side by side or in turn."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QColor, QImage, QPixmap
from qtpy.QtWidgets import QLabel, QSizePolicy, QWidget
from scipy import ndimage

from glrp_napari.cine import Mask, Structure
from glrp_napari.drawing.palette import COLOURS

FACTOR = 4
"""Pictures are enlarged by so much before outlines are drawn, so that those stay thin."""


@dataclass(frozen=True, eq=False)
class Picture:
    """One slice around the heart: grey levels, the label (empty where there is none) and both models' answers."""

    image: NDArray[np.uint8]
    label: Mask
    before: Mask
    after: Mask


def load_picture(path: Path) -> Picture:
    """A picture that a job wrote. Raises OSError or ValueError where there is none."""
    with np.load(path, allow_pickle=False) as stored:
        return Picture(*(stored[name] for name in ("image", "label", "before", "after")))


def paint(picture: Picture, answer: Mask) -> QPixmap:
    """The image with a model's outlines in the structures' colours and the label's in white."""
    grey = np.kron(picture.image, np.ones((FACTOR, FACTOR), np.uint8))
    colours = np.repeat(grey[..., None], 3, axis=2)
    for structure in Structure:
        colours[_outline(picture.label == structure)] = (255, 255, 255)
    for structure in Structure:
        colours[_outline(answer == structure)] = QColor(COLOURS[structure]).getRgb()[:3]
    height, width, _ = colours.shape
    image = QImage(np.ascontiguousarray(colours).data, width, height, 3 * width, QImage.Format.Format_RGB888)
    return QPixmap.fromImage(image.copy())


class PictureLabel(QLabel):
    """A picture scaled to the room there is; empty until it is given one."""

    def __init__(self, side: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._pixmap = QPixmap()
        self._side = side
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)

    def show_pixmap(self, pixmap: QPixmap) -> None:
        """Show another picture."""
        self._pixmap = pixmap
        self._fit()

    def sizeHint(self) -> QSize:
        """Qt's question for the size."""
        return QSize(self._side, self._side)

    def minimumSizeHint(self) -> QSize:
        """Qt's question for the least size, which else is the picture's: then it would grow with each one."""
        return QSize(0, self._side // 2)

    def resizeEvent(self, event: object) -> None:
        """Qt: the room changed."""
        self._fit()

    def _fit(self) -> None:
        if not self._pixmap.isNull():
            keep, smooth = Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
            self.setPixmap(self._pixmap.scaled(self.size(), keep, smooth))


def _outline(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    large = np.kron(region, np.ones((FACTOR, FACTOR), bool))
    return large & ~ndimage.binary_erosion(large)
