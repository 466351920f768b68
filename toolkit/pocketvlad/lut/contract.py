"""What the lookup ops are called, and the version of their arguments."""

NAMESPACE = "pocketvlad"
VERSION = 4  # of the schemas: a program made for others would hand these kernels the wrong arguments
