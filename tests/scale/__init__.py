"""Large jobs, measured once: ``make scale``."""
