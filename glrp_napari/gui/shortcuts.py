"""The keys of the dock, in one table. They act on our mask layer only, whichever layer is selected.

None is used by napari for any layer type or the viewer (a test compares them with all of napari's registered keys);
napari's own keys for brush (P), fill (F), erase (E), move (Z) and brush size ([ and ]) stay what they are.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Shortcut:
    """A key in napari's spelling and the name of the action it calls."""

    key: str
    action: str


SHORTCUTS = (
    Shortcut("Q", "choose_rv"),
    Shortcut("W", "choose_myo"),
    Shortcut("G", "choose_lv"),
    Shortcut("H", "toggle_outline"),
    Shortcut("J", "interpolate"),
    Shortcut("U", "copy_slice_before"),
    Shortcut("N", "copy_frame_before"),
    Shortcut("Shift+F", "follow_heart"),
    Shortcut("Shift+J", "spread_edit"),
    Shortcut("Shift+B", "push"),
    Shortcut("Shift+O", "smooth_outline"),
    Shortcut("Shift+R", "close_ring"),
    Shortcut("Shift+T", "take_proposals"),
    Shortcut("Shift+M", "toggle_proposal"),
    Shortcut("K", "accept_slice"),
    Shortcut("Shift+K", "accept_frame"),
    Shortcut("Shift+D", "go_ed"),
    Shortcut("Shift+S", "go_es"),
    Shortcut("Shift+H", "toggle_mask"),
    Shortcut("Shift+G", "step_opacity"),
    Shortcut("Shift+X", "flicker"),
    Shortcut("Shift+N", "next_suggestion"),
)
KEYS = {shortcut.action: shortcut.key for shortcut in SHORTCUTS}
