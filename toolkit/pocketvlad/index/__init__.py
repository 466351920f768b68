"""The place index and cosine search."""
