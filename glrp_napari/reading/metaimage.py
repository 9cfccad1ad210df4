"""MetaImage headers: .mha holds its voxels, .mhd names the file that does.

It must not know other formats. Format: https://itk.org/Wiki/ITK/MetaIO/Documentation
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

_CODES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4",
    "MET_LONG": "i4", "MET_ULONG": "u4", "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}  # fmt: skip


def read_metaimage(path: Path) -> Cine:
    """Read a 3-D or 4-D .mha or .mhd file, raw or compressed. Raises `ReadError`."""
    fields, end = _read_fields(path)
    sizes = parse_counts(path, fields["DimSize"], "the DimSize")
    if fields["NDims"] != str(len(sizes)):
        raise ReadError(path, f"{len(sizes)} sizes", f"as many as its NDims {fields['NDims']}")
    if fields.get("ElementNumberOfChannels", "1") != "1" or fields.get("BinaryData", "True").lower() != "true":
        raise ReadError(path, "several values a voxel, or voxels as text", "one binary grey value a voxel")
    if len(sizes) not in (3, 4):
        raise ReadError(path, f"{len(sizes)} dimensions", "3 (x, y, z) or 4 (x, y, z, t)")
    spacing = _read_numbers(path, fields, "ElementSpacing", len(sizes))
    origin = _read_numbers(path, fields, "Offset|Origin|Position", len(sizes))
    local = fields["ElementDataFile"].upper() == "LOCAL"
    return read_declared(
        path,
        Declared(
            format="MetaImage", sizes=sizes, dtype=_read_type(path, fields), spacing=spacing[:3],
            directions=_read_directions(path, fields, len(sizes)), origin=origin[:3],
            data=path if local else find_data_file(path, fields["ElementDataFile"]),
            offset=_read_offset(path, fields, end if local else 0),
            packed=fields.get("CompressedData", "False").lower() == "true",
            interval=spacing[3] if len(sizes) == 4 else 0.0,
        ),
    )  # fmt: skip


def _read_fields(path: Path) -> tuple[dict[str, str], int]:
    """Fields by name, and where the header ends: ElementDataFile is its last."""
    with path.open("rb") as file:
        start = file.read(HEADER_BYTES)
    last = re.search(rb"^ElementDataFile[ \t]*=[^\n]*(\n|\Z)", start, re.MULTILINE)
    if last is None:
        raise ReadError(path, "no field ElementDataFile", "a complete MetaImage header")
    lines = start[: last.end()].decode("utf-8", "replace").splitlines()
    fields = {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)}
    for name in ("NDims", "DimSize", "ElementType", "ElementDataFile"):
        if not fields.get(name):
            raise ReadError(path, f"no field {name}", "a complete MetaImage header")
    return fields, last.end()


def _read_type(path: Path, fields: dict[str, str]) -> np.dtype[np.generic]:
    kind = fields["ElementType"]
    if kind not in _CODES:
        raise ReadError(path, f"the type {kind}", "integer or real voxels, one value each")
    big = fields.get("BinaryDataByteOrderMSB", fields.get("ElementByteOrderMSB", "False")).lower() == "true"
    return np.dtype(f"{'>' if big else '<'}{_CODES[kind]}")


def _read_numbers(path: Path, fields: dict[str, str], names: str, count: int) -> tuple[float, ...]:
    """`count` numbers of the first of the fields that is there."""
    text = next((fields[name] for name in names.split("|") if name in fields), "")
    numbers = parse_numbers(path, text, names.split("|")[0])
    if len(numbers) != count:
        raise ReadError(path, f"{names.split('|')[0]} '{text}'", f"{count} numbers")
    return numbers


def _read_directions(path: Path, fields: dict[str, str], rank: int) -> NDArray[np.float64]:
    """The axes of space as columns (MetaIO stores one axis after the other). Time must stand apart."""
    if not {"TransformMatrix", "Rotation", "Orientation"} & fields.keys():
        return np.eye(3)
    matrix = np.reshape(_read_numbers(path, fields, "TransformMatrix|Rotation|Orientation", rank * rank), (rank, rank))
    if rank == 4 and (matrix[3, :3].any() or matrix[:3, 3].any()):
        raise ReadError(path, f"the TransformMatrix {fields.get('TransformMatrix')}", "time apart from space")
    return matrix[:3, :3].T


def _read_offset(path: Path, fields: dict[str, str], start: int) -> int | None:
    """Where the voxels begin, None where HeaderSize -1 says that they are the file's last bytes."""
    size = parse_counts(path, fields.get("HeaderSize", "0"), "the HeaderSize")[0]
    return None if size == -1 else max(size, start)
