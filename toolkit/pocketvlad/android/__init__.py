"""Native libraries, APK packaging and phone checks."""
