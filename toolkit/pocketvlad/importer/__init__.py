"""Public checkpoint layouts, one file each."""
