"""The kinds of model files, told apart by their metadata: without torch."""

from __future__ import annotations

from pathlib import Path

from pocketvlad import artifact
from pocketvlad.errors import ArtifactError

MODEL, COMPRESSED, BACKBONE = "model", "compressed", "backbone"
CLASSIFIER = "classifier"  # a model whose head gives scores, where one is asked for or told


def kind_of_model(path: Path | str) -> str:
    """:data:`MODEL` or :data:`COMPRESSED`.

    Raises:
        ArtifactError: the file is neither, or cannot be read.
    """
    kind = str(artifact.load_info(path)["kind"])
    if kind not in (MODEL, COMPRESSED):
        raise ArtifactError(f"{path} holds no model", found=f"a {kind} file", allowed="model or compressed")
    return kind
