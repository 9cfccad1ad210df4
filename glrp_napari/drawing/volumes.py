"""Volume–time curves of the ventricles as a figure: what was measured as dots, the smooth curve through them.

Draws plain values into axes; it must not know masks, files or windows.
"""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from glrp_napari.cine import Structure
from glrp_napari.curves import VolumeCurve
from glrp_napari.drawing.palette import COLOURS, NAMES, PAPER, Ink
from glrp_napari.measure import Phases

VENTRICLES = (Structure.LV, Structure.RV)


def draw_volumes(
    axes: Axes,
    volumes_ml: Mapping[str, Sequence[float | None]],
    frame_ms: Sequence[float] | None,
    phases: Phases,
    curves: Mapping[Structure, VolumeCurve] | None = None,
    ink: Ink = PAPER,
) -> None:
    """Draw the volumes of both ventricles by frame (`Function.volumes_ml`), with ED and ES marked.

    Without `frame_ms` the axis counts frames from 1. Of a ventricle in `curves` the smooth curve is drawn too.
    """
    times = list(frame_ms) if frame_ms else [float(t + 1) for t in range(len(volumes_ml[Structure.LV.name]))]
    for ventricle in VENTRICLES:
        measured = [(t, v) for t, v in zip(times, volumes_ml[ventricle.name], strict=True) if v]
        if not measured:
            continue
        curve = (curves or {}).get(ventricle) if frame_ms else None
        dots = "o" if curve else "o-"
        x, y = zip(*measured, strict=True)
        axes.plot(x, y, dots, markersize=3.2, linewidth=1.2, color=COLOURS[ventricle], label=NAMES[ventricle])
        if curve:
            axes.plot(curve.smooth_ms, curve.smooth_ml, color=COLOURS[ventricle], linewidth=1.4)
    _mark_phases(axes, times, phases, ink)
    axes.set_xlabel("ms after the R wave" if frame_ms else "frame")
    axes.set_ylabel("ml")
    axes.set_ylim(bottom=0)
    if axes.get_legend_handles_labels()[0]:  # the phases' lines are none of these
        axes.legend(loc="lower right", frameon=False, fontsize="small", labelcolor=ink.text)
    style_axes(axes, ink)


def style_axes(axes: Axes, ink: Ink) -> None:
    """Give axes with a curve in them the ink's colours, and take away the box around it."""
    axes.set_facecolor(ink.ground)
    axes.tick_params(colors=ink.text, labelsize="small")
    for label in (axes.xaxis.label, axes.yaxis.label, axes.title):
        label.set_color(ink.text)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(ink.quiet)


def _mark_phases(axes: Axes, times: Sequence[float], phases: Phases, ink: Ink) -> None:
    for name, frame in phases._asdict().items():
        if frame is not None:
            axes.axvline(times[frame], color=ink.quiet, linewidth=0.8, linestyle=":")
            place = axes.get_xaxis_transform()  # x in data, y from 0 to 1
            axes.text(
                times[frame], 0.98, f" {name.upper()}", va="top", color=ink.quiet, fontsize="small", transform=place
            )
