"""Many training runs of one recipe, measured side by side, and the figures of what they trade for what."""
