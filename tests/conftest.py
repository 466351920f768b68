"""What holds for every test."""

import os
import sys

import pytest

# threads that spin while they wait make two test runs on the same cores crawl; read when torch is loaded
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a command in this process: (exit code, stdout, stderr)."""

    from pocketvlad.cli import main

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["pocketvlad", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return call
