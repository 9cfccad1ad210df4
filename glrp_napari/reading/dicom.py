"""DICOM cines: from a file, or a folder as a scanner exports it, to the short-axis stack in it.

It must not know tags or pixels. Only counts, positions and series numbers reach a message, never who the patient is.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from glrp_napari.cine import Cine, Source
from glrp_napari.reading.dicom_body import read_body
from glrp_napari.reading.dicom_cycle import read_cycle
from glrp_napari.reading.dicom_headers import Headers, read_headers
from glrp_napari.reading.dicom_pixels import read_pixels
from glrp_napari.reading.dicom_series import Candidate, rank_candidates
from glrp_napari.reading.dicom_stack import arrange_stack
from glrp_napari.reading.directions import angle_between
from glrp_napari.reading.errors import ReadError
from glrp_napari.reading.names import study_name
from glrp_napari.reading.series import Series

_PARALLEL_DEGREES = 20.0


def list_dicom_series(path: Path) -> tuple[Series, ...]:
    """The series in a DICOM file or folder, the likeliest short-axis cine first.

    Raises `ReadError` where there is no image at all.
    """
    return tuple(candidate.series for candidate in _find_candidates(path, read_headers(path)))


def read_dicom(path: Path, series: str | None = None) -> Cine:
    """Read one series as a cine; without `series` (a key, or a SeriesInstanceUID) the likeliest short-axis stack.

    Raises `ReadError` where the choice is not clear or the images do not make a complete stack.
    """
    headers = read_headers(path)
    candidates = _find_candidates(path, headers)
    chosen, warnings = _choose(path, candidates, series)
    for uid in chosen.uids & headers.broken.keys():
        raise headers.broken[uid]
    stack = arrange_stack(path, chosen.images)
    frames, slices = len(stack.phases), len(stack.phases[0])
    pixels = read_pixels([image for phase in stack.phases for image in phase])
    images = pixels.reshape(frames, slices, *pixels.shape[1:])
    body, absurd = read_body(stack.phases[0][0].file)
    cine = Cine(
        images=images,
        geometry=stack.geometry,
        source=Source(
            study_name(path),
            path,
            "DICOM",
            file_shape=images.shape if frames > 1 else images.shape[1:],
            exam=stack.phases[0][0].exam,
        ),
        frame_ms=stack.frame_ms,
        warnings=(*headers.warnings, *warnings, *_warn_single(path, candidates), *stack.warnings, *absurd),
        body=body,
    )
    cycle_ms, unsure = read_cycle(stack.phases[0][0].file, cine.rr_ms)
    return replace(cine, cycle_ms=cycle_ms, warnings=(*cine.warnings, *unsure))


def _find_candidates(path: Path, headers: Headers) -> tuple[Candidate, ...]:
    candidates = rank_candidates(headers.images)
    if not candidates:
        raise next(iter(headers.broken.values()), ReadError(path, "no DICOM image that lies in space", "a cine"))
    return candidates


def _choose(path: Path, candidates: tuple[Candidate, ...], wanted: str | None) -> tuple[Candidate, tuple[str, ...]]:
    listing = "; ".join(candidate.series.description for candidate in candidates)
    if wanted is not None:
        named = [one for one in candidates if wanted == one.series.key or wanted in one.uids]
        if not named:
            raise ReadError(path, f"no series {wanted}", f"one of: {listing}")
        return named[0], ()
    first, *rest = candidates
    if len({image.patient for candidate in candidates for image in candidate.images}) > 1:
        raise ReadError(path, "images of more than one patient", "those of one, or a choice of series")
    rivals = [one for one in rest if one.rank[0] == first.rank[0] and _are_parallel(first, one)]
    if any(rival.rank == first.rank for rival in rivals):
        raise ReadError(path, f"several short-axis series ({listing})", "a choice of series")
    if not rivals or first.series.slices < 2:
        return first, ()
    others = "; ".join(rival.series.description for rival in rivals)
    return first, (f"read series {first.series.description}; there is also {others}",)


def _are_parallel(first: Candidate, second: Candidate) -> bool:
    turn = angle_between(np.array(first.normal), np.array(second.normal))
    return min(turn, 180.0 - turn) < _PARALLEL_DEGREES


def _warn_single(path: Path, candidates: tuple[Candidate, ...]) -> tuple[str, ...]:
    if path.is_dir() or len(candidates[0].images) > 1:
        return ()
    return ("this is one image of a series; open its folder for the cine",)
