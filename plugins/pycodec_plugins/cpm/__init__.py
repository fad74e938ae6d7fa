"""Codecs with a masked 3D context model: cpm (Mentzer et al. 2018) and ctx3d, the default."""
