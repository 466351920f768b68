"""What holds for every test."""

import os

# threads that spin while they wait make two test runs on the same cores crawl; read when torch is loaded
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
