"""A codec made of registered parts."""
