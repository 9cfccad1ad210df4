import numpy as np
import pytest

from glrp_napari.decisions import Reading
from glrp_napari.slice_states import SliceState
from glrp_napari.undo_steps import KeptStep, SliceBefore, decode_steps, encode_steps, pack, unpack

PLANE = np.arange(12, dtype=np.uint8).reshape(3, 4) % 4
SHAPE = (2, 5, 3, 4)


def make_step(frame: int = 1, level: int = 4, plane: np.ndarray = PLANE) -> KeptStep:
    packed = pack(plane)
    one = SliceBefore(frame=frame, slice=level, voxels=packed, state=SliceState.EDITED, predicted=packed)
    return KeptStep(slices=(one,), reading=Reading(lv_slices={1: (1, 3)}))


def test_steps_come_back_as_they_were() -> None:
    steps = (make_step(), KeptStep())
    found = decode_steps(encode_steps(steps), SHAPE)
    assert found == steps
    np.testing.assert_array_equal(unpack(found[0].slices[0].voxels, SHAPE[2:]), PLANE)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (make_step(frame=2), "found frame 2, slice 4"),
        (make_step(level=5), "slice 5"),
        (make_step(plane=PLANE[:2]), "of another size"),
        (make_step(plane=np.zeros((3000, 3000), np.uint8)), "of another size"),
        (KeptStep(slices=(make_step().slices[0].model_copy(update={"voxels": b"no"}),)), "damaged"),
    ],
)
def test_steps_of_another_mask_are_refused(step: KeptStep, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        decode_steps(encode_steps([step]), SHAPE)
