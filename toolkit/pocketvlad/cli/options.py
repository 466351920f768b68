"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pocketvlad.threads import MOST_THREADS


def example(line: str) -> str:
    """The last line of a command's help."""
    return f"Example: pocketvlad {line}"


Model = Annotated[Path, typer.Argument(help="A .safetensors of import, fit or compress.")]
AnyFile = Annotated[Path, typer.Argument(help="A model, a compressed model or a .pte.")]
Program = Annotated[Path, typer.Argument(help="The .pte.")]
Index = Annotated[Path, typer.Argument(help="The .pvix.")]
Out = Annotated[Path, typer.Option("--out", help="File to write; never overwritten without --force.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite --out.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else.")]
Photos = Annotated[str, typer.Option("--photos", help="KIND:PATH, for example folder:photos.")]
Seed = Annotated[int, typer.Option("--seed", min=0, max=2**63 - 1, help="Of every random choice.")]
Threads = Annotated[int, typer.Option("--threads", min=1, max=MOST_THREADS, help="CPU threads.")]
Views = Annotated[
    int, typer.Option("--views", min=0, help="Views per photo for the whitening; 0: as needed.")
]
Whitening = Annotated[
    str, typer.Option("--whitening", help="auto, full, pca, or a strength from 0 (PCA alone) to 1 (full).")
]
