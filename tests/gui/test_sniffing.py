"""Which files napari brings to us, through npe2 as napari asks it, and which of these we take."""

from pathlib import Path

import numpy as np
import pytest
from glrp_napari.gui import contributions
from glrp_napari.gui.sniffing import LOOK_AT
from glrp_napari.writing.masks import write_images
from nibabel import Nifti1Image, Nifti2Image
from npe2 import PluginManager, PluginManifest, read
from tests.gui.conftest import make_cine
from tests.reading import dicom_files

MANIFEST = Path(__file__).parents[2] / "napari.yaml"


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> PluginManager:
    """npe2 with our manifest alone, as it stands in the tree; and no dock open."""
    manager = PluginManager()
    manager.register(PluginManifest.from_file(MANIFEST))
    monkeypatch.setattr(PluginManager, "instance", classmethod(lambda _cls: manager))
    monkeypatch.setattr(contributions, "find_dock", lambda: None)
    return manager


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("cine.nii.gz", True), ("CINE.NII", True), ("a.b.nrrd", True), ("stack.mhd", True), ("IMG0001.DCM", True),
        ("IM000001", True), ("IM-0001-0001", True), ("x" * 40, True),
        ("1.2.840.113619.2.176.3596.33", True), ("MR.1.3.12.2.1107.5.2", True),
        ("picture.png", False), ("stack.tif", False), ("stack.ome.tif", False), ("1.5.tif", False), ("1.2.mp4", False),
        ("table.csv", False), ("notes.txt", False), (".profile", False), ("run.2024.log", False),
    ],
)  # fmt: skip
def test_napari_asks_us_only_for_names_that_may_be_ours(plugins: PluginManager, name: str, asked: bool) -> None:
    found = [reader.plugin_name for reader in plugins.iter_compatible_readers([f"/folder.with.dots/{name}"])]
    assert found == (["glrp-napari"] if asked else [])


def make_file(folder: Path, kind: str) -> Path:
    """A file that is named as ours but for its contents."""
    path = folder / ("IM0001" if kind in ("dicom", "text", "png", "empty") else "image.nii")
    match kind:
        case "dicom":
            dicom_files.save_all(folder / "all", dicom_files.build_images(dicom_files.Cine()))
            return next((folder / "all").iterdir()).rename(path)  # and its series stays beside it
        case "text":
            path.write_text("a note " * 100)
        case "png":
            path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(500))
        case "empty":
            path.touch()
        case "cine":
            write_images(path, make_cine().images, make_cine())
        case "short":
            path.write_bytes((348).to_bytes(4, "little") + bytes(20))
        case "nifti-2 of one slice":
            Nifti2Image(np.zeros((8, 8), np.int16), np.eye(4)).to_filename(path)
        case "vectors":
            Nifti1Image(np.zeros((8, 8, 4, 1, 3), np.float32), np.eye(4)).to_filename(path)
    return path


@pytest.mark.parametrize(("kind", "shape"), [("dicom", (4, 3, 6, 5)), ("cine", (4, 5, 32, 32))])
def test_what_is_ours_is_read_under_any_name(
    plugins: PluginManager, tmp_path: Path, kind: str, shape: tuple[int, ...]
) -> None:
    [(data, _options, layer_type)] = read([str(make_file(tmp_path, kind))], stack=False)
    assert (data.shape, layer_type) == (shape, "image")


@pytest.mark.parametrize("kind", ["text", "png", "empty", "short", "nifti-2 of one slice", "vectors"])
def test_what_is_not_ours_is_left_to_other_readers(plugins: PluginManager, tmp_path: Path, kind: str) -> None:
    with pytest.raises(ValueError, match="No readers returned data"):
        read([str(make_file(tmp_path, kind))], stack=False)


def test_a_folder_is_ours_where_dicom_lies_in_it_or_too_much_to_tell(plugins: PluginManager, tmp_path: Path) -> None:
    pictures, study, many = tmp_path / "pictures", tmp_path / "study", tmp_path / "many"
    for folder, count in ((pictures, 3), (many, LOOK_AT)):
        folder.mkdir()
        for i in range(count):
            (folder / f"{i}.png").write_bytes(b"\x89PNG")
    (study / "export" / "readme.txt").parent.mkdir(parents=True)
    (study / "readme.txt").write_text("Exported.")
    dicom_files.save_all(study / "export", dicom_files.build_images(dicom_files.Cine()))
    claimed = {folder.name: contributions.get_reader(str(folder)) is not None for folder in (pictures, study, many)}
    assert claimed == {"pictures": False, "study": True, "many": True}
    [(data, _options, _kind)] = read([str(study)], stack=False)
    assert data.ndim == 4
