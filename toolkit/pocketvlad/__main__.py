"""``python -m pocketvlad``."""

from pocketvlad.cli import main

main()
