"""The steps from a checkpoint to an APK: each reads files, writes one, and returns what it found as a dataclass."""
