"""What a command that refuses its input must look like."""


def refused(result: tuple[int, str, str], *words: str) -> str:
    """Exit 1, nothing on stdout and one line of error, after any of progress, that holds every word; the line."""
    code, out, err = result
    errors = [line for line in err.splitlines() if line.startswith("error")]
    assert code == 1 and not out and len(errors) == 1 and err.endswith(errors[0] + "\n"), result
    for word in words:
        assert word in errors[0], errors[0]
    return errors[0]
