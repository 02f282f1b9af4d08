"""Step 4: users, written histories, and the age of the newest event."""

from tests.components.conftest import Steps


def test_materialize_features_logs_users_and_how_old_the_newest_event_is(steps: Steps):
    logged = steps.metrics["materialize"].metadata
    assert logged["users"] == 120
    assert 120 < logged["written"] <= 3 * 120
    assert logged["age_s"] > 0
