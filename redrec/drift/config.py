"""Drift config: how sure a verdict must be, how large a change must be, and how many users are looked at."""

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from redrec.config import Config


class DriftConfig(Config):
    """The floors hold until past windows have been measured (`redrec.drift.calibration`)."""

    alpha: float = Field(default=0.05, gt=0, lt=1)  # of a false alarm in any column of any scenario
    min_users: PositiveInt = 100  # of a scenario, in each window
    value_floor: float = Field(default=0.03, ge=0)  # of a numeric column in ranks, of a level or of nulls in shares
    vector_floor: float = Field(default=0.02, ge=0)  # of vectors, `redrec.drift.interests`
    volume_ratio: float = Field(default=2.0, gt=1)  # of users or events: below 1 / 2 of the reference's, or above 2
    max_users: PositiveInt = 50_000  # of a scenario; of more, a sample by the hash of their ids
    events_per_user: PositiveInt = 8  # whose vectors are compared: the same number for light and heavy users
    num_permutations: PositiveInt = 999
    seed: int = 0
    of_windows: PositiveInt = 3  # of a scenario, the newest ones that follow each other
    retrain_windows: PositiveInt = 2  # of these with drift start a training
    cool_down_days: NonNegativeInt = 7  # from the end of the window that started a training to that of the next one

    @model_validator(mode="after")
    def _can_retrain(self) -> "DriftConfig":
        if self.retrain_windows > self.of_windows:
            raise ValueError(
                f"retrain_windows is {self.retrain_windows} of {self.of_windows} windows: give at most of_windows"
            )
        return self
