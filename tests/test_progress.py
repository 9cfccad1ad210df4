import pytest

from glrp_napari import progress
from glrp_napari.messages import TrainingStep


def test_a_log_says_which_of_several_trainings_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "LOG_EVERY_S", -1)
    step = TrainingStep(stage="Check 1 of 2", step=3, total=9, loss=0.5, seconds_left=90)
    assert list(progress.show_progress([step])) == [step]
    assert capsys.readouterr().out == "Check 1 of 2: step 3 of 9, loss 0.500, 1.5 min left\n"
