"""Who may import whom: each module in a fresh process, then a look at what came with it."""

import subprocess
import sys

import pytest

TORCH_FREE = [
    "glrp_napari.cine",
    "glrp_napari.phantom",
    "glrp_napari.reading",
    "glrp_napari.writing.masks",
    "glrp_napari.models",
    "glrp_napari.library",
    "glrp_napari.measure",
    "glrp_napari.masks",
    "glrp_napari.messages",
    "glrp_napari.autosave",
    "glrp_napari.refine",
]
ENGINE = [*TORCH_FREE, "glrp_napari.segment", "glrp_napari.weights", "glrp_napari.report", "glrp_napari.doctor"]
ROOTS = ["glrp_napari.gui.dock", "glrp_napari.worker", "glrp_napari.cli"]


def imported_by(module: str) -> set[str]:
    script = f"import sys, {module}; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("module", "banned"),
    [(module, ("torch", "qtpy", "napari", "glrp_training")) for module in TORCH_FREE]
    + [(module, ("qtpy", "napari", "glrp_training")) for module in ENGINE if module not in TORCH_FREE]
    + [("glrp_napari.gui.dock", ("torch", "glrp_training")), ("glrp_napari.gui.contributions", ("torch",))]
    + [("glrp_training.commands", ("qtpy", "napari")), ("glrp_training.adapt", ("qtpy", "napari"))]
    + [("glrp_napari.cli", ("qtpy", "napari")), ("glrp_napari.worker", ("torch", "qtpy", "napari"))],
)
def test_module_imports_only_what_it_may(module: str, banned: tuple[str, ...]) -> None:
    found = imported_by(module)
    assert module in found
    assert not found.intersection(banned)
    assert not found.intersection(set(ROOTS) - {module, "glrp_napari.gui.dock"})
