"""Labels from one library into another, and a library as one .zip file. What comes from outside is not trusted.

Along go the protocol, the order of patients and the phases of studies, so that labels are learned from and validated
there as they were here.

A label is taken whole or not at all, under a new counter; one of a place that has a label already stays out, so that
an import never changes what a person accepted here. Each act is a generator that yields how far it is: to cancel it,
cease to iterate.
"""

import stat
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from glrp_napari.hashing import hash_file
from glrp_napari.library.label_files import KINDS, find_file, load_before, load_slice
from glrp_napari.library.manifest import take_manifest
from glrp_napari.library.phases import take_phases
from glrp_napari.library.protocol import take_protocol
from glrp_napari.library.record import FORMAT, Label
from glrp_napari.library.record_text import LibraryError
from glrp_napari.library.store import RECORDS, list_writable, save_record, survey_labels
from glrp_napari.reading import ReadError
from glrp_napari.writing.atomic import write_atomically

_UNFINISHED = ".glrp-"
"""What the name of a folder begins with in which an export is made; a crash leaves it."""
_LARGEST_FILE, _MOST_FILES = 200_000_000, 400_000
"""A slice of 2048² has 16 MB; a library of 100,000 labels has as many files."""


Steps = Generator[tuple[int, int], None, "Import"]
"""Yields how many of how many labels are done; returns what became of them."""


@dataclass(frozen=True)
class Import:
    """What became of the labels of a library: taken, left out as the other had them, and refused with why."""

    taken: tuple[Label, ...] = ()
    known: int = 0
    refused: tuple[str, ...] = ()


def import_labels(source: Path, folder: Path) -> Steps:
    """Take the labels of the library `source` into the library `folder`; protocol, order of patients and phases too,
    where that has none.

    Damaged, linked, replaced or incomplete labels are refused one by one. Raises LibraryError where `source` holds no
    library or `folder` may not be written to.
    """
    survey, known = survey_labels(source), list_writable(folder)
    if not survey.labels and not survey.damaged:
        raise LibraryError(f"{source.name}: found no labels ({RECORDS} files), expected a label library")
    folder.mkdir(parents=True, exist_ok=True)
    places, counter = {label.stem for label in known}, max((label.counter for label in known), default=0)
    taken: list[Label] = []
    refused = [str(error) for error in survey.damaged]
    damaged = list(_take_along(source, folder))  # before the labels: those of a cancelled import keep their order too
    new = [label for label in survey.labels if label.stem not in places]
    for number, label in enumerate(new, 1):
        try:
            taken.append(_copy_label(source, folder, label, counter + 1 + len(taken)))
        except (LibraryError, ReadError, FileNotFoundError) as error:
            refused.append(str(error))
        yield number, len(new)
    return Import(tuple(taken), len(survey.labels) - len(new), (*refused, *damaged))


def import_archive(archive: Path, folder: Path) -> Steps:
    """As `import_labels`, from a library in a .zip file. Raises LibraryError for anything else in it."""
    with unpack_labels(archive) as source:
        return (yield from import_labels(source, folder))


def export_labels(folder: Path, target: Path) -> Steps:
    """Copy what is whole of a library to the folder `target`, which must be new or empty; the rest is refused.

    Given up or failed, it leaves the target as it was. Raises LibraryError for a target with anything in it, and for a
    library without a whole label.
    """
    if target.exists() and any(not path.name.startswith(_UNFINISHED) for path in target.iterdir()):
        raise LibraryError(f"{target.name}: found a folder with files in it, expected an empty or a new one")
    with _fill(target) as temporary:
        done = yield from import_labels(folder, temporary)
        if not done.taken:
            raise LibraryError(f"{folder.name}: found no whole label ({done.refused[0]}), expected one to export")
    return done


def pack_labels(folder: Path, target: Path) -> Steps:
    """Write a library as one .zip file, whole or not at all. Raises as `export_labels`."""
    with TemporaryDirectory(dir=target.parent, prefix=_UNFINISHED) as temporary:
        copied, packed = Path(temporary) / "labels", Path(temporary) / "labels.zip"
        done = yield from export_labels(folder, copied)
        with ZipFile(packed, "w", ZIP_STORED) as archive:  # the images are compressed already
            for path in sorted(copied.iterdir()):
                archive.write(path, path.name)
        packed.replace(target)
    return done


@contextmanager
def unpack_labels(archive: Path) -> Iterator[Path]:
    """The library in a .zip file as a folder, which is gone afterwards.

    Raises LibraryError, before anything is written, for a file that is no archive or holds anything but a library's
    files: paths that lead elsewhere, links, names twice, or more bytes than such a file can have.
    """
    with TemporaryDirectory(prefix="glrp-") as temporary:
        folder = Path(temporary)
        try:
            with ZipFile(archive) as file:
                for info in _list_members(archive, file):
                    (folder / PurePosixPath(info.filename).name).write_bytes(file.read(info))
        except (BadZipFile, NotImplementedError, RuntimeError) as error:  # damaged, an unknown packing, a password
            raise LibraryError(f"{archive.name}: found {error}, expected a .zip file of labels") from None
        yield folder


@contextmanager
def _fill(target: Path) -> Iterator[Path]:
    """A folder within `target` whose files move up when all are there; after an error none of them stays."""
    is_new = not target.exists()
    moved: list[Path] = []
    target.mkdir(parents=True, exist_ok=True)
    try:
        with TemporaryDirectory(dir=target, prefix=_UNFINISHED) as temporary:
            yield Path(temporary)
            for path in sorted(Path(temporary).iterdir(), key=lambda path: path.suffix == ".json"):  # records last
                moved.append(path.rename(target / path.name))
    except BaseException:
        for path in moved:
            path.unlink(missing_ok=True)
        with suppress(OSError):
            if is_new:
                target.rmdir()
        raise


def _list_members(archive: Path, file: ZipFile) -> list[ZipInfo]:
    members = [info for info in file.infolist() if not info.is_dir()]
    names: set[str] = set()
    for info in members:
        path = PurePosixPath(info.filename)
        if path.is_absolute() or ".." in path.parts or "\\" in info.filename or ":" in info.filename:
            raise LibraryError(f"{archive.name}: found the path {info.filename!r}, expected names within the archive")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise LibraryError(f"{archive.name}: found the link {info.filename!r}, expected files")
        if path.name in names:
            raise LibraryError(f"{archive.name}: found the name {path.name!r} twice, expected once")
        if info.file_size > _LARGEST_FILE or len(names) > _MOST_FILES:
            raise LibraryError(
                f"{archive.name}: found {info.filename!r} of {info.file_size} bytes, expected a label's file"
            )
        names.add(path.name)
    return [info for info in members if info.filename.endswith((".json", ".nii.gz"))]


def _take_along(source: Path, folder: Path) -> Iterator[str]:
    """Take the conventions, the order of patients and the phases along; why not, where they are damaged."""
    for take in (take_protocol, take_manifest, take_phases):
        try:
            take(source, folder)
        except LibraryError as error:
            yield str(error)


def _copy_label(source: Path, folder: Path, label: Label, counter: int) -> Label:
    """Read a label, which checks it, and write it under its new counter, the record last."""
    if label.format_version > FORMAT:
        raise LibraryError(f"{label.stem}.json: found format {label.format_version}, expected at most {FORMAT}")
    load_slice(source, label)
    load_before(source, label)
    changes: dict[str, object] = {"counter": counter, "format_version": FORMAT}
    copied = label.model_copy(update=changes)
    for kind in KINDS:
        path = find_file(source, label, kind)
        if kind != "before" or label.before_sha256 is not None:
            write_atomically(find_file(folder, copied, kind), path.read_bytes())
            changes[f"{kind}_sha256"] = hash_file(path)
    stored = label.model_copy(update=changes)
    save_record(folder, stored)
    return stored
