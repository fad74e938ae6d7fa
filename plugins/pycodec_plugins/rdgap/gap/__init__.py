"""The gap report: how far codecs are from the limit, and what takes which part of that way."""
