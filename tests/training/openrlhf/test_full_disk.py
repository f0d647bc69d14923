"""A disk that fills up while OpenRLHF trains: one sentence, and the next start goes on from the last checkpoint."""

from types import SimpleNamespace

import pytest

from saerl_core.errors import BackendError


@pytest.mark.parametrize(
    ("size", "what"),
    [(10, r"could not write batch-000003\.json in .*mailbox"), (2_000, "could not save the books after 4 steps")],
    ids=["the mailbox", "the books"],
)
def test_a_full_disk_is_said_and_the_run_goes_on_from_its_checkpoint(train, steps, small_disk, size, what):
    def full_in_step_2(step, metrics):
        steps(step, metrics)
        if step == (2 if size == 10 else 3):
            small_disk(size)

    with pytest.raises(BackendError, match=rf"{what}.* too large; .*free disk space and start the same command again"):
        train(on_step=full_in_step_2)
    small_disk(None)
    steps.clear()
    assert train().report.values["resumed_from_step"] == 2
    assert [s for s, _ in steps] == [2, 3, 4, 5]


@pytest.mark.parametrize(
    ("fake", "named"),
    [
        ("full:3", r"exit code 1; .* the disk of .*attempt-01 has only 3 MiB left: free disk space and start the same"),
        ("full-audit:3", r"saw 0 rollouts of prompt 'p\d\d' in slot 0 of step 3, .*no room .*free disk space"),
    ],
)
def test_a_full_disk_of_the_trainer_is_said(train, monkeypatch, fake, named):
    """Its log may end in the middle of a line then."""
    monkeypatch.setattr("saerl_core.training.openrlhf.reading._SETTLE_S", 0.2)
    room = SimpleNamespace(free=3 << 20)
    with monkeypatch.context() as patch:
        patch.setattr("saerl_core.training.openrlhf.process.shutil.disk_usage", lambda _: room)
        with pytest.raises(BackendError, match=named):
            train(fake)
    assert train().report.values["resumed_from_step"] == 2
