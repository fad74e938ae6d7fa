"""From a recipe and a folder of photographs to trained weights."""
