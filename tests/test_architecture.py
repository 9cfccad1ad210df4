"""Who may import whom: each module in a fresh process, then a look at what came with it."""

import subprocess
import sys
from pathlib import Path
from pkgutil import walk_packages

import glrp_training
import pytest

import glrp_napari

ROOTS = ("glrp_napari.gui", "glrp_napari.worker", "glrp_napari.cli")
_TORCH = ("batch", "device", "doctor", "fusion", "preprocess", "segment", "unet", "weights")
WITH_TORCH = {f"glrp_napari.{name}" for name in _TORCH}
SHOW = "import sys, {0}; print(' '.join(sys.modules))"


def list_modules(package: str, folder: str) -> list[str]:
    names = [info.name for info in walk_packages([str(Path(folder))], f"{package}.")]
    return [name for name in names if not name.endswith("__main__")]


ENGINE = [m for m in list_modules("glrp_napari", glrp_napari.__path__[0]) if not m.startswith(ROOTS)]
GUI = ["glrp_napari.gui.dock", "glrp_napari.gui.contributions", "glrp_napari.gui.launch"]
TRAINING = list_modules("glrp_training", glrp_training.__path__[0])


def imported_by(*modules: str) -> set[str]:
    script = SHOW.format(", ".join(modules))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("modules", "banned"),
    [
        ([m for m in ENGINE if m not in WITH_TORCH], ("torch", "qtpy", "napari", "glrp_training")),
        (sorted(WITH_TORCH), ("qtpy", "napari", "glrp_training")),
        (GUI, ("torch", "glrp_training")),
        (TRAINING, ("qtpy", "napari")),
        (["glrp_napari.cli"], ("qtpy", "napari")),
        (["glrp_napari.worker"], ("torch", "qtpy", "napari", "glrp_training")),
    ],
    ids=["engine without torch", "engine with torch", "gui", "training", "cli", "worker until it starts"],
)
def test_modules_import_only_what_they_may(modules: list[str], banned: tuple[str, ...]) -> None:
    """All of a kind in one process; when that fails, each alone, to name the culprit."""
    found = imported_by(*modules)
    assert set(modules) <= found
    culprits = [m for m in modules if imported_by(m).intersection(banned)] if found.intersection(banned) else []
    assert not culprits


@pytest.mark.parametrize("modules", [ENGINE, TRAINING], ids=["engine", "training"])
def test_nothing_imports_a_root(modules: list[str]) -> None:
    assert not [name for name in imported_by(*modules) if name.startswith(ROOTS)]
