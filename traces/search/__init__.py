"""Finding decisions by what was said: an index of keyed words, saved views, and files to take away."""
