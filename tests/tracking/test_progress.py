from tracking.progress import progress_line


def test_the_line_tells_done_running_and_left():
    assert progress_line("plan_batches", 8, 15) == "step plan_batches: 8 of 15 done, this one running, 6 left"


def test_the_last_step_leaves_nothing():
    assert progress_line("write_report", 14, 15).endswith("0 left")
