"""NRRD headers, attached (.nrrd) or detached (.nhdr).

It must not know other formats. Format: https://teem.sourceforge.net/nrrd/format.html
"""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glrp_napari.cine import Cine
from glrp_napari.reading.errors import ReadError
from glrp_napari.reading.text_header import (
    HEADER_BYTES,
    Declared,
    find_data_file,
    parse_counts,
    parse_numbers,
    read_declared,
)

_TYPES = {
    "i1": "signed char|int8|int8_t", "u1": "uchar|unsigned char|uint8|uint8_t",
    "i2": "short|short int|signed short|signed short int|int16|int16_t",
    "u2": "ushort|unsigned short|unsigned short int|uint16|uint16_t", "i4": "int|signed int|int32|int32_t",
    "u4": "uint|unsigned int|uint32|uint32_t", "f4": "float", "f8": "double",
    "i8": "longlong|long long|long long int|signed long long|signed long long int|int64|int64_t",
    "u8": "ulonglong|unsigned long long|unsigned long long int|uint64|uint64_t",
}  # fmt: skip
_CODES = {name: code for code, names in _TYPES.items() for name in names.split("|")}
_PLAIN_KINDS = {"domain", "space", "time", "none", "???"}
_TO_LPS = {"right-anterior-superior": (-1, -1, 1), "left-anterior-superior": (1, -1, 1),
           "left-posterior-superior": (1, 1, 1), "ras": (-1, -1, 1), "las": (1, -1, 1), "lps": (1, 1, 1)}  # fmt: skip


def read_nrrd(path: Path) -> Cine:
    """Read a 3-D or 4-D NRRD file, raw or gzip. Raises `ReadError`."""
    fields, end = _read_fields(path)
    sizes = parse_counts(path, _need(path, fields, "sizes"), "the sizes")
    if fields.get("dimension", "").strip() != str(len(sizes)):
        raise ReadError(path, f"{len(sizes)} sizes", f"as many as its dimension {fields.get('dimension')}")
    _check_kinds(path, fields, sizes)
    encoding = _need(path, fields, "encoding").lower()
    if encoding not in ("raw", "gzip", "gz"):
        raise ReadError(path, f"the encoding {encoding}", "raw or gzip")
    data, offset = _find_voxels(path, fields, end)
    spacing, directions, interval = _read_space(path, fields, len(sizes))
    origin, flip = _read_origin(path, fields)
    return read_declared(
        path,
        Declared(
            format="NRRD", sizes=sizes, dtype=_read_type(path, fields), spacing=spacing,
            directions=directions * flip[:, None], origin=tuple((origin * flip).tolist()), data=data, offset=offset,
            packed=encoding != "raw", interval=interval,
        ),
    )  # fmt: skip


def _read_fields(path: Path) -> tuple[dict[str, str], int]:
    """Fields by lower-case name, and where the header ends."""
    with path.open("rb") as file:
        start = file.read(HEADER_BYTES)
    end = re.search(rb"\r?\n\r?\n", start)
    text = (start[: end.start()] if end else start).decode("utf-8", "replace")
    if end is None and not re.search(r"^data ?file:", text, re.MULTILINE | re.IGNORECASE):
        raise ReadError(path, "an NRRD header that does not end", "an empty line after it")
    lines = (line for line in text.splitlines()[1:] if not line.startswith("#"))
    pairs = (re.split(r":=|: ?", line, maxsplit=1) for line in lines if ":" in line)
    return {pair[0].strip().lower(): pair[1].strip() for pair in pairs}, end.end() if end else len(start)


def _need(path: Path, fields: dict[str, str], name: str) -> str:
    if not fields.get(name):
        raise ReadError(path, f"no field '{name}'", "a complete NRRD header")
    return fields[name]


def _check_kinds(path: Path, fields: dict[str, str], sizes: tuple[int, ...]) -> None:
    """Refuse axes that are no space, but for a last one: several values a voxel, or time stored first."""
    kinds = fields.get("kinds", "").lower().split()
    odd = [kind for kind, size in zip(kinds[:3], sizes, strict=False) if kind not in _PLAIN_KINDS - {"time"}]
    if len(kinds) > 3 and kinds[3] not in _PLAIN_KINDS | {"list"}:
        odd.append(kinds[3])
    if odd:
        raise ReadError(path, f"an axis of the kind {odd[0]}", "axes x, y, z and then time, one grey value a voxel")


def _read_type(path: Path, fields: dict[str, str]) -> np.dtype[np.generic]:
    name = " ".join(_need(path, fields, "type").lower().split())
    if name not in _CODES:
        raise ReadError(path, f"the type {name}", "integer or real voxels")
    big = fields.get("endian", "little").lower() == "big"
    return np.dtype(f"{'>' if big else '<'}{_CODES[name]}")


def _find_voxels(path: Path, fields: dict[str, str], end: int) -> tuple[Path, int | None]:
    name = fields.get("data file") or fields.get("datafile")
    skip = parse_counts(path, fields.get("byte skip", fields.get("byteskip", "0")), "the byte skip")[0]
    if fields.get("line skip", fields.get("lineskip", "0")) != "0" or skip < -1:
        raise ReadError(path, "lines to skip before the voxels", "none")
    start = 0 if name else end
    return (find_data_file(path, name) if name else path), None if skip == -1 else start + skip


def _read_space(path: Path, fields: dict[str, str], rank: int) -> tuple[tuple[float, ...], NDArray[np.float64], float]:
    """Spacing (x, y, z) in mm, directions as columns and the frame interval, 0 where there is none."""
    if "space directions" not in fields:
        spacings = parse_numbers(path, _need(path, fields, "spacings"), "the spacings")
        if len(spacings) != rank:
            raise ReadError(path, f"{len(spacings)} spacings", f"one for each of {rank} axes")
        return spacings[:3], np.eye(3), spacings[3] if len(spacings) > 3 else 0.0
    entries = re.findall(r"none|\(([^)]*)\)", fields["space directions"])
    vectors = [parse_numbers(path, entry.replace(",", " "), "the space directions") for entry in entries]
    if len(vectors) != rank or any(len(vector) < 3 for vector in vectors[:3]):
        raise ReadError(path, f"the space directions {fields['space directions']}", f"one for each of {rank} axes")
    columns = np.array([vector[:3] for vector in vectors[:3]]).T
    if any(any(vector[3:]) for vector in vectors[:3]) or (len(vectors) > 3 and any(vectors[3][:3])):
        raise ReadError(path, f"the space directions {fields['space directions']}", "time apart from space")
    interval = vectors[3][3] if len(vectors) > 3 and len(vectors[3]) > 3 else 0.0
    return tuple(np.linalg.norm(columns, axis=0).tolist()), columns, interval


def _read_origin(path: Path, fields: dict[str, str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Origin as stored, and the signs that turn its space into LPS."""
    origin = parse_numbers(path, fields.get("space origin", "(0,0,0)").strip("() ").replace(",", " "), "the origin")
    space = fields.get("space", "left-posterior-superior").lower()
    name = space.removesuffix("-time").removesuffix("t") if space != "left-posterior-superior" else space
    if name not in _TO_LPS or len(origin) < 3:
        raise ReadError(path, f"the space {space} with origin {origin}", "RAS, LAS or LPS with three numbers")
    return np.array(origin[:3]), np.array(_TO_LPS[name], dtype=np.float64)
