"""How far from the limit (Zhang & Liu 2025): estimators, quantizers, and codecs in several sizes."""
