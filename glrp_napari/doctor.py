"""What this installation can do, what is missing and how to mend it."""

import os
import platform
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

import torch

from glrp_napari.device import choose_placement, list_devices
from glrp_napari.models import list_models

PACKAGES = ("glrp-napari", "napari", "numpy", "torch", "SimpleITK", "pydicom", "PySide6-Essentials", "pydensecrf2")


@dataclass(frozen=True)
class Finding:
    """One fact about the installation; `fix` is what to do about it, empty when all is well."""

    name: str
    found: str
    fix: str = ""


def examine() -> tuple[Finding, ...]:
    """All findings, in the order a reader wants them."""
    return (_find_device(), _find_window(), _find_models(), _find_python(), *map(_find_package, PACKAGES))


def _find_device() -> Finding:
    placement = choose_placement()
    precision = "float32" if placement.autocast is None else str(placement.autocast).removeprefix("torch.")
    found = (
        f"{', '.join(list_devices())}; uses {placement.device.type} in {precision}, {torch.get_num_threads()} threads"
    )
    if placement.device.type == "cpu" and sys.platform == "win32":
        return Finding(
            "device", found, "With an NVIDIA GPU: PyPI's torch for Windows has no CUDA, see pytorch.org for the index."
        )
    return Finding("device", found)


def _find_window() -> Finding:
    bindings = [name for name in ("PySide6", "PyQt6", "PyQt5") if find_spec(name)]
    if not bindings:
        return Finding("window", "no Qt binding", "pip install 'glrp-napari[qt]'")
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return Finding("window", f"{bindings[0]}, no display", "Start it on a desktop, or under xvfb-run.")
    return Finding("window", bindings[0])


def _find_models() -> Finding:
    names = [model.card.name for model in list_models()]
    fix = "" if names else "The installation is incomplete: pip install --force-reinstall glrp-napari"
    return Finding("models", ", ".join(names) or "none", fix)


def _find_python() -> Finding:
    return Finding("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _find_package(name: str) -> Finding:
    try:
        return Finding(name, version(name))
    except PackageNotFoundError:
        return Finding(name, "not installed")
