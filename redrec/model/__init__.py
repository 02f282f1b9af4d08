"""Model: item tower, user tower, losses, and the manifest of a trained model."""
