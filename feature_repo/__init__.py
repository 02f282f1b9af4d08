"""Feature repository: users' histories per scenario in Feast, materialized for serving and read back."""
