"""Photo collections and their ground truth, one file per layout."""
