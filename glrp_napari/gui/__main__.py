"""`python -m glrp_napari.gui [STUDY] [--mask MASK] [--session DIR] [--screenshot PNG]`: the window, or a picture."""

from argparse import ArgumentParser
from pathlib import Path

import napari

from glrp_napari.gui.ending import Ending
from glrp_napari.gui.launch import open_window, save_screenshot
from glrp_napari.session import Session


def main() -> None:
    """Open the window; with `--screenshot` save its picture and leave."""
    parser = ArgumentParser(prog="python -m glrp_napari.gui", description=__doc__)
    parser.add_argument("study", type=Path, nargs="?", help="a cine: NIfTI, NRRD, MHA/MHD file or DICOM folder")
    parser.add_argument("--mask", type=Path, help="a model's mask on the study's grid")
    parser.add_argument("--session", type=Path, help="the folder of labels, models and drafts; else that of last time")
    parser.add_argument("--screenshot", type=Path, help="save a picture of the window here and leave")
    wanted = parser.parse_args()
    viewer, _dock = open_window(wanted.study, wanted.mask, Session(wanted.session) if wanted.session else None)
    if wanted.screenshot:
        save_screenshot(viewer, wanted.screenshot)
        viewer.close()
    else:
        ending = Ending()
        napari.run()
        if ending.asked:
            viewer.close()


if __name__ == "__main__":
    main()
