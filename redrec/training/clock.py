"""Clock: the progress line of a run: its figures, how fast it is, and how long it will take."""

import time

from redrec.training.optimizer import schedule
from redrec.training.recipe import Recipe

NUM_UNTIMED_STEPS = 10  # the first ones are slower


class Clock:
    """Measures from the first timed step on; before that, the speed is unknown."""

    def __init__(self, first_step: int, last: int, recipe: Recipe) -> None:
        self.recipe, self.last = recipe, last
        self.began, self.first_timed = time.monotonic(), first_step + NUM_UNTIMED_STEPS

    def tick(self, step: int) -> None:
        if step == self.first_timed:
            self.began = time.monotonic()

    def line(self, step: int, watched: dict[str, float]) -> str:
        """Return the line of a step; `watched` are its loss, top1 and cosine."""
        optimizer = self.recipe.optimizer
        rate = optimizer.learning_rate * schedule(step - 1, optimizer)
        has_several = self.recipe.user_tower.num_queries > 1
        cosine = f" | interest cosine {watched['cosine']:.2f}" if has_several else ""
        return (
            f"step {step:6d}/{self.last} | loss {watched['loss']:.3f} | in-batch recall@1 {watched['top1']:.3f}{cosine}"
            f" | lr {rate:.1e}{self._speed(step)}"
        )

    def _speed(self, step: int) -> str:
        if step <= self.first_timed:
            return ""
        num_users = self.recipe.batch.num_users
        users_per_s = (step - self.first_timed) * num_users / max(1e-9, time.monotonic() - self.began)
        return f" | {users_per_s:.0f} users/s | eta {(self.last - step) * num_users / users_per_s:.0f} s"
