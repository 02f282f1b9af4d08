"""Clock: speed and time left, once they are known."""

import time

from redrec.training.clock import NUM_UNTIMED_STEPS, Clock
from redrec.training.presets import tiny

WATCHED = {"loss": 8.5, "top1": 0.25, "cosine": 0.5}


def test_a_line_tells_the_speed_and_the_time_left(monkeypatch):
    """Two seconds per step of 16 users; the slow first steps do not count."""
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    now_s, first, step = 0.0, 5, 5
    clock = Clock(first, last=45, recipe=tiny())
    for step in range(first + 1, first + NUM_UNTIMED_STEPS + 6):
        now_s += 60 if step <= first + NUM_UNTIMED_STEPS else 2
        clock.tick(step)
    line = clock.line(step, WATCHED)
    assert line.startswith("step     20/45 | loss 8.500 | in-batch recall@1 0.250 | interest cosine 0.50 | lr ")
    assert line.endswith(" | 8 users/s | eta 50 s")


def test_a_run_of_few_steps_names_no_speed():
    clock = Clock(0, last=5, recipe=tiny())
    clock.tick(5)
    assert "users/s" not in clock.line(5, WATCHED)
    assert "nan" not in clock.line(5, WATCHED)


def test_one_interest_has_no_cosine():
    recipe = tiny()
    one = recipe.model_copy(update={"user_tower": recipe.user_tower.model_copy(update={"num_queries": 1})})
    assert "cosine" not in Clock(0, last=5, recipe=one).line(5, WATCHED)
