"""Measuring codecs: image quality, rate-distortion curves, BD-rate, and the classical codecs to compare with.

Never imports torch: learned codecs are handed in as objects, metrics are numpy.
"""
