"""Model: item tower, mixing of histories, user tower, losses."""
