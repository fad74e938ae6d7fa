"""The gap report: how far codecs are from the limit, and which part of the way is whose (Zhang & Liu 2025)."""
