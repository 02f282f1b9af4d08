"""Training: batches with many cut points, the trainer, its checkpoint and the exported towers."""
