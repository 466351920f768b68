"""From a compressed model to an ExecuTorch program."""
