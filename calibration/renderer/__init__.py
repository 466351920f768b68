"""A small software renderer of street corners: ray-cast solids, sun shadows, weather, camera noise."""
