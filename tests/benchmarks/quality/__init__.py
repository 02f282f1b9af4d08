"""Quality on real data: one trained model, one protocol, one row."""
