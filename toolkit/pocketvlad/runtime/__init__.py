"""Running a program (.pte) on this machine."""
