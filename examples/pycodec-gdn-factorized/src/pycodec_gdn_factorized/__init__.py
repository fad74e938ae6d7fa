"""A codec for pycodec: GDN transform and factorized prior, after Ballé et al. 2017 and 2018."""
