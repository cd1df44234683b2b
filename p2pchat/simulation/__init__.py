"""A network in a box: simulate everything, replay anything."""
