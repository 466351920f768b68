"""Public checkpoint layouts, one file each; :mod:`pocketvlad.importer.checkpoint` lists them."""
