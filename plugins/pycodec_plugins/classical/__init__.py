"""Classical codecs to compare with: those of Pillow and its plugins, and those that are programs."""
