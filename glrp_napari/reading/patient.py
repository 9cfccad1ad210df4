"""Whose study a cine is and of what day: read from its DICOM images only where a person asks for it on a report.

The only module that hands out a name. It must not write, and nothing it returns may go to a log or a message.
"""

from pydantic import BaseModel, ConfigDict

from glrp_napari.cine import Body, Cine
from glrp_napari.reading.dicom_headers import parse_dicom, quiet_pydicom, read_start, report_damage
from glrp_napari.reading.dicom_sources import find_sources

_TAGS = ["PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate"]


class Patient(BaseModel):
    """What the images say of the patient, as they say it; empty where they are silent. Dates are YYYYMMDD.

    `body` is the cine's.
    """

    model_config = ConfigDict(frozen=True)

    name: str = ""
    identifier: str = ""
    born: str = ""
    scanned: str = ""
    body: Body = Body()


def read_patient(cine: Cine) -> Patient:
    """The patient of a study that was read from DICOM. Raises `ReadError` for another, or where its images are gone."""
    file = find_sources(cine, frames=[0])[0][0].file
    with quiet_pydicom(), report_damage(file):
        header = parse_dicom(file, read_start(file), list(_TAGS))
        return Patient(
            name=_read_name(str(header.get("PatientName", ""))),
            identifier=str(header.get("PatientID", "")),
            born=str(header.get("PatientBirthDate", "") or ""),
            scanned=str(header.get("StudyDate", "") or ""),
            body=cine.body,
        )


def _read_name(text: str) -> str:
    """A name in Latin letters, which is the first of a DICOM name's groups, else in those that there are."""
    groups = [" ".join(group.replace("^", " ").split()) for group in text.split("=")]
    return next((group for group in groups if group), "")
