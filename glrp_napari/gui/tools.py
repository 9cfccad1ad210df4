"""The tools that edit the slice on screen, or those about it: each is one step of the study's history."""

from glrp_napari import contours
from glrp_napari.cine import Structure
from glrp_napari.gui.atoms import Place
from glrp_napari.gui.editing import BY_PERSON, EditError, OpenStudy
from glrp_napari.masks import interpolate_slices
from glrp_napari.slice_states import SliceState


def copy_slice_before(study: OpenStudy) -> None:
    """Copy the mask of the slice before onto this one."""
    t, z = study.place
    if z == 0:
        raise EditError("There is no slice before this one.")
    _copy(study, (t, z - 1))


def copy_frame_before(study: OpenStudy) -> None:
    """Copy this slice's mask of the frame before; the first frame takes the last one's: the heart goes round."""
    t, z = study.place
    if len(study.states) < 2:
        raise EditError("There is only one frame.")
    _copy(study, ((t - 1) % len(study.states), z))


def interpolate(study: OpenStudy) -> None:
    """Fill the slices between the two nearest ones, around the one on screen, that a person edited."""
    t, z = study.place
    if study.states[t, z] in BY_PERSON:
        raise EditError("You worked on this slice: go to one between those you edited.")
    edited = [i for i, state in enumerate(study.states[t]) if state in BY_PERSON]
    below, above = [i for i in edited if i < z], [i for i in edited if i > z]
    if not below or not above:
        raise EditError("Interpolating needs a slice you edited on either side of this one.")
    first, last = below[-1], above[0]
    between = interpolate_slices(study.mask.data[t], first, last)
    study.history.write({(t, i): between[i] for i in range(first + 1, last)}, SliceState.EDITED)


def smooth_outline(study: OpenStudy) -> None:
    """Smooth the outline of the chosen structure on the slice on screen."""
    structure = Structure(study.mask.selected_label or Structure.LV)
    pixel_mm = study.cine.geometry.spacing_mm[1:]
    smooth = contours.smooth_outline(study.mask.data[study.place], structure, pixel_mm)
    study.history.write({study.place: smooth}, SliceState.EDITED)


def close_ring(study: OpenStudy) -> None:
    """Close the myocardium about the LV on the slice on screen."""
    closed = contours.close_ring(study.mask.data[study.place], study.cine.geometry.spacing_mm[1:])
    study.history.write({study.place: closed}, SliceState.EDITED)


def _copy(study: OpenStudy, source: Place) -> None:
    study.history.write({study.place: study.mask.data[source]}, SliceState.EDITED)
