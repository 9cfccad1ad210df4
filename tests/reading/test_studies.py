import hashlib
from pathlib import Path

import numpy as np
import pytest

from glrp_napari.cine import Cine, Source
from glrp_napari.reading import read_cine
from glrp_napari.reading.studies import find_studies, hash_patient, name_patient
from glrp_napari.writing.masks import write_images, write_mask

from . import dicom_files


def find(folder: Path) -> tuple[list[str], list[str]]:
    """The studies' paths in the folder, and the complaints."""
    studies, complaints = find_studies(folder)
    return [path.relative_to(folder).as_posix() for path in studies], list(complaints)


def test_files_are_studies_unless_they_are_masks_or_cannot_be_read(coded_cine: Cine, tmp_path: Path) -> None:
    mask = np.zeros(coded_cine.images.shape, np.uint8)
    for name in ("a/cine.nii.gz", "b/cine.nii", "segovia.nii"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_images(tmp_path / name, coded_cine.images, coded_cine)
    for name in ("a/cine_mask.nii.gz", "a/cine_gt.nii.gz", "b/x-seg.nii", "b/cine_gt_2.nii"):
        write_mask(tmp_path / name, mask, coded_cine)
    (tmp_path / "README.txt").write_text("nothing to read here")
    assert find(tmp_path) == (["a/cine.nii.gz", "b/cine.nii", "segovia.nii"], [])
    write_mask(tmp_path / "unnamed.nii", mask, coded_cine)
    (tmp_path / "broken.nii.gz").write_bytes((tmp_path / "a/cine.nii.gz").read_bytes()[:-90])
    (tmp_path / "empty.mha").touch()
    studies, complaints = find(tmp_path)
    assert len(studies) == 3
    assert [line.split(":")[0] for line in complaints] == ["broken.nii.gz", "empty.mha", "unnamed.nii"]
    assert "is it a mask?" in complaints[2]


def test_dicom_folders_are_studies_by_patient(tmp_path: Path) -> None:
    """One folder a patient; one of series folders of which one is the cine; one whose slices are series apart."""
    make, rename, save = dicom_files.Cine, dicom_files.rename, dicom_files.save_image
    short, long = make(), rename(make(slices=1, orientation=dicom_files.LONG_AXIS), 8, label="4ch")
    apart = [rename(make(slices=1, start=(0, z * 8.0, 0), patient="P3"), z + 1, label="sa") for z in range(3)]
    placed = {
        "p1": make(patient="P1"), "p2/short": short, "p2/long": long,
        **{f"p3/s{z}": cine for z, cine in enumerate(apart)},
        "p4": rename(make(slices=1, patient="P4", orientation=dicom_files.LONG_AXIS), 4),
    }  # fmt: skip
    for name, cine in placed.items():
        (tmp_path / name).mkdir(parents=True)
        for i, image in enumerate(dicom_files.build_images(cine)):
            save(tmp_path / name / f"IM{i}", image)
    studies, complaints = find(tmp_path)
    assert studies == ["p1", "p2", "p3"]
    assert complaints == ["p4: found one slice, expected a short-axis stack"]


@pytest.mark.parametrize(
    ("study", "patient"),
    [
        ("patient001/patient001_frame12.nii.gz", "patient001"),
        ("patient001/patient001_4d.nii.gz", "patient001"),
        ("A0S9V9_sa.nii.gz", "A0S9V9"),
        ("images/case_7.nrrd", "images/case_7"),
        ("a/cine.nii.gz", "a"),
        ("A0S9V9_sa_ED.nii.gz", "A0S9V9"),
        ("001_SA_CINE.nii.gz", "001"),
        ("001_SA_ES.nii.gz", "001"),
        ("P01_phase12.nii.gz", "P01"),
        ("P01_t05.nii.gz", "P01"),
        ("P01_t1.nii.gz", "P01_t1"),
        ("b/ED.nii", "b"),
        ("site/p1/es.nii", "site/p1"),
        ("ED.nii", "ED"),
    ],
)
def test_a_patient_is_a_place_and_a_name_without_the_frame(study: str, patient: str) -> None:
    assert name_patient(Path("/data") / study, Path("/data")) == patient


def test_case_74_the_files_of_a_patient_share_a_hash_that_names_nobody(tmp_path: Path) -> None:
    def hash_file(name: str, kind: str = "NIfTI") -> str | None:
        return hash_patient(Source("x", tmp_path / name, kind))

    names = ("p1/p1_frame01.nii.gz", "p1/p1_frame12.nii", "p1/p1_4d.nii.gz", "../{}/p1/p1_ED.nrrd", "p1.mha")
    (one,) = {hash_file(name.format(tmp_path.name)) for name in names}
    assert one is not None
    assert len(one) == 64
    others = ("p2/p2_frame01.nii.gz", "a/cine.nii.gz", "b/cine.nii.gz", "p11/p11_frame01.nii.gz")
    assert len({one, *(hash_file(name) for name in others)}) == 5
    assert hash_file("ED.nii.gz") == hash_file("ES.nii.gz")
    assert hash_patient(Source("drawn in memory")) is None


def test_case_74_the_series_of_one_dicom_examination_share_a_hash_that_names_nobody(tmp_path: Path) -> None:
    hashes = []
    for number, exam in enumerate(("1.2.3", "1.2.3", "1.2.4", "")):
        images = dicom_files.build_images(dicom_files.Cine(uid=f"1.2.3.{number}", patient="P1"))
        for image in images:
            image.StudyInstanceUID = exam
        hashes.append(hash_patient(read_cine(dicom_files.save_all(tmp_path / f"{number}/dicom", images)).source))
    one, same, other, none = hashes
    assert one == same == hashlib.sha256(b"1.2.3").hexdigest()
    assert other not in (one, None)
    assert none is None


@pytest.mark.realdata
def test_sunnybrook_is_found_with_nothing_but_its_folder(data_dir: Path) -> None:
    assert find(data_dir / "sunnybrook") == (["SCD0000101/dicom", "SCD0000201/dicom"], [])
    assert name_patient(data_dir / "sunnybrook/SCD0000101/dicom", data_dir / "sunnybrook") == "SCD0000101"
