"""The mask as it was before the last run, in turn with the mask as it is: what a new model changed, by a key."""

from napari.layers import Labels
from qtpy.QtCore import QObject

from glrp_napari.cine import Mask
from glrp_napari.gui.editing import OpenStudy
from glrp_napari.gui.layers import make_mask_layer
from glrp_napari.gui.workplace import Workplace

NO_RUN = "No run has replaced a mask of this study since it was opened: segment again with another model, then compare."
CAPTION = "Before the last run"


class Flicker(QObject):
    """Shows the mask before the last run in a layer of its own; napari paints nothing while ours is hidden."""

    def __init__(self, workplace: Workplace) -> None:
        super().__init__(workplace)
        self._workplace = workplace
        self._layer: Labels | None = None
        workplace.closing.connect(self._leave)

    def toggle(self, study: OpenStudy) -> None:
        """The mask before the last run if it is not shown, else the mask as it is now."""
        before = study.history.find_replaced()
        if self._layer is not None and self._layer.visible:
            self._show_now(study)
        elif not before:
            self._workplace.tell(NO_RUN)
        else:
            mask = study.mask.data.copy()
            for place, old in before.items():
                mask[place] = old
            self._show_before(study, mask)

    def _show_before(self, study: OpenStudy, mask: Mask) -> None:
        viewer = self._workplace.viewer
        if self._layer is None or self._layer not in viewer.layers:
            self._layer = make_mask_layer(mask, study.cine, study.image)
            self._layer.name, self._layer.metadata = CAPTION, {}  # it is not the mask that is corrected and saved
            viewer.layers.insert(viewer.layers.index(study.mask), self._layer)
            viewer.layers.selection.active = study.mask
        else:
            self._layer.data = mask
        self._layer.editable = False
        self._layer.contour, self._layer.opacity = study.mask.contour, study.mask.opacity
        self._layer.visible, study.mask.visible = True, False
        self._say(CAPTION)

    def _show_now(self, study: OpenStudy) -> None:
        if self._layer is not None:
            self._layer.visible, study.mask.visible = False, True
            self._say("")

    def _leave(self) -> None:
        layer, self._layer = self._layer, None
        if layer is not None and layer in self._workplace.viewer.layers:
            self._workplace.viewer.layers.remove(layer)
        self._say("")

    def _say(self, caption: str) -> None:
        overlay = self._workplace.viewer.canvas.overlays.text
        overlay.text, overlay.visible = caption, bool(caption)
