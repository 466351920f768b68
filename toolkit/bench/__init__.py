"""Speed: our kernels, models, loading, search and compression beside their peers; `make bench`."""
