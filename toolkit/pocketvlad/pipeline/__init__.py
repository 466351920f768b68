"""A whole plan, resumable, from photos to an APK and a report; the paper's table."""
