"""Item encoders: text, vectors or images of an item in, its content vector out (`registry` lists them)."""
