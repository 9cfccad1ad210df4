"""What a person chooses from in a DICOM folder.

It must not know pydicom: windows show it before any study is open.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Series:
    """One image series: `key` is what `read_cine(..., series=key)` takes, `description` a line for a person.

    `frames` is the largest number of images at one position, `slices` the number of positions. No patient's name,
    date or identifier is in it.
    """

    key: str
    description: str
    frames: int
    slices: int
