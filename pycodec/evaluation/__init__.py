"""Measuring codecs: image quality, rate-distortion curves, BD-rate.

Never imports torch: learned codecs are handed in as objects, metrics are numpy.
"""
