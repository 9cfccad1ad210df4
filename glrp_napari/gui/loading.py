"""What happens off the GUI's thread when a study or a mask is opened: reading, hashing, and the copy that jobs read."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from glrp_napari.autosave import Draft
from glrp_napari.cine import Cine, Mask, hash_study
from glrp_napari.drafts import StudyDrafts
from glrp_napari.export import list_frames
from glrp_napari.gui.scratch import Scratch, save_array
from glrp_napari.messages import StudyFile
from glrp_napari.reading import read_cine
from glrp_napari.reading.dicom_seg import is_dicom_seg, read_dicom_seg
from glrp_napari.reading.formats import read_file
from glrp_napari.reading.masks import read_mask
from glrp_napari.writing.folders import check_folder


@dataclass(frozen=True, eq=False)
class Loaded:
    """A cine that is ready to be worked on: its hash, the file jobs read it from, and where its drafts go.

    `closed` is the study as it was closed last, `offered` a draft that a crash left; None where there is none.
    """

    cine: Cine
    hash: str
    file: StudyFile
    drafts: StudyDrafts
    closed: Draft | None
    offered: Draft | None


def load_study(path: Path, series: str | None, scratch: Scratch, drafts: Path) -> Loaded:
    """Read a file or folder and prepare it. Raises ReadError."""
    return prepare_study(lambda: read_cine(path, series), scratch, drafts)


def prepare_study(get_cine: Callable[[], Cine], scratch: Scratch, drafts: Path) -> Loaded:
    """Hash a cine, write its images to `scratch` as .npy for the jobs, look for drafts in `drafts`.

    Raises OSError, before anything is read, where the session folder cannot be written to.
    """
    check_folder(scratch.parent)
    cine = get_cine()
    study = hash_study(cine)
    images = scratch.claim() / f"{study[:12]}.npy"
    if not images.exists():
        save_array(images, cine.images)
    own = StudyDrafts(drafts, study)
    return Loaded(
        cine=cine,
        hash=study,
        drafts=own,
        closed=own.load_closed(cine),
        offered=own.load_offered(cine),
        file=StudyFile(images=images, geometry=cine.geometry, name=cine.source.name),
    )


def load_mask(path: Path, cine: Cine, label_map: dict[int, int] | None, frame: int) -> dict[tuple[int, int], Mask]:
    """A mask file's slices (Y, X) by (t, z): of the whole cine, or of `frame` where the file holds one frame only.

    A DICOM SEG, or a folder of them, says itself of which frames it is.

    Raises ReadError for another grid or labels that `label_map` does not know.
    """
    if is_dicom_seg(path):
        mask = read_dicom_seg(path, cine)
        frames = list_frames(mask)
    else:
        single = len(cine.images) > 1 and len(read_file(path).images) == 1
        mask = read_mask(path, cine, label_map, frame if single else None)
        frames = (frame,) if single else range(len(mask))
    return {(t, z): mask[t, z] for t in frames for z in range(mask.shape[1])}
