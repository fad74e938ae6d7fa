"""The plugins pycodec ships; found through the same entry points as anybody's."""
