"""The grey levels between which images are shown, in the window and on the report."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_SAMPLE = 200_000


def find_contrast(images: NDArray[Any]) -> tuple[float, float]:
    """The 1st and 99.5th percentile of a sample of the voxels, apart from each other even for a constant image."""
    sample = images.reshape(-1)[:: max(1, images.size // _SAMPLE)]
    finite = sample[np.isfinite(sample)]
    low, high = np.percentile(finite, (1, 99.5)) if finite.size else (0.0, 1.0)
    return float(low), float(high if high > low else low + 1.0)
