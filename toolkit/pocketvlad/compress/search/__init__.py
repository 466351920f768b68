"""A budget of bytes or accuracy instead of knobs."""
