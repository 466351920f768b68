"""`pocketvlad index`: build, extend, inspect and search the place index."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pocketvlad.cli.console import Output, progress
from pocketvlad.cli.options import Force, Index, Json, Out, Photos, Program, Threads, example

if TYPE_CHECKING:
    from pocketvlad.steps.index import Answer

_NO_THRESHOLD = "none, every match counts as known; it takes two places, one of them with two photos"
_ITSELF = "the photo itself"

index_app = typer.Typer(no_args_is_help=True, help="Build, extend, inspect and search the place index.")


@index_app.command("build", epilog=example("index build model.pte --photos folder:photos --out places.pvix"))
def index_build(
    program: Program,
    photos: Photos,
    out: Out,
    vectors: Annotated[str, typer.Option(help="float32, float16 or int8.")] = "float16",
    threads: Threads = 2,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Describe photos and write the place index."""
    from pocketvlad.steps import index as step

    with progress("indexing") as report:
        result = step.build(
            program, photos, out, vectors=vectors, threads=threads, force=force, progress=report
        )
    _show(as_json, result.to_json())


@index_app.command("add", epilog=example("index add places.pvix --program model.pte --photos folder:more"))
def index_add(
    index: Index,
    program: Annotated[Path, typer.Option(help="The program that made the index.")],
    photos: Photos,
    replace: Annotated[bool, typer.Option("--replace", help="Replace photos of the same name.")] = False,
    threads: Threads = 2,
    as_json: Json = False,
) -> None:
    """Add photos to an existing index; a large one gets another part instead of being written again."""
    from pocketvlad.steps import index as step

    with progress("indexing") as report:
        result = step.add(index, program, photos, replace=replace, threads=threads, progress=report)
    _show(as_json, result.to_json())


@index_app.command("merge", epilog=example("index merge places.pvix added.pvix --out all.pvix"))
def index_merge(
    indices: Annotated[list[Path], typer.Argument(help="Two .pvix or more, of one model.")],
    out: Out,
    replace: Annotated[
        bool, typer.Option("--replace", help="Later photos replace those of the same name.")
    ] = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Join indices of one model, such as places added on a phone, or the parts of one index."""
    from pocketvlad.steps import index as step

    Output(as_json).result(step.merge(indices, out, replace=replace, force=force).to_json())


@index_app.command("info", epilog=example("index info places.pvix"))
def index_info(index: Index, as_json: Json = False) -> None:
    """What an index holds."""
    from pocketvlad.steps import index as step

    _show(as_json, step.info(index).to_json())


@index_app.command("search", epilog=example("index search places.pvix photo.jpg --program model.pte"))
def index_search(
    index: Index,
    photos: Annotated[list[Path], typer.Argument(help="Photos to recognise.")],
    program: Annotated[Path, typer.Option(help="The program that made the index.")],
    top: Annotated[int, typer.Option(min=1, help="Matches per photo.")] = 5,
    draw: Annotated[Path | None, typer.Option(help="Also draw the matches into this PNG.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite --draw.")] = False,
    as_json: Json = False,
) -> None:
    """Recognise photos: the best matches with place and cosine; a photo that is in the index itself is marked."""
    from pocketvlad.steps import index as step

    output = Output(as_json)
    result = step.search(index, program, photos, top=top, draw=draw, force=force)
    for answer in result.queries:
        title = answer.photo + ("" if answer.known else "  (unknown place)")
        output.table(title, _match_rows(answer))
    output.result(result.to_json(), silent=True)


@index_app.command(
    "export", epilog=example("index export places.pvix --faiss places.faiss --numpy places.npz")
)
def index_export(
    index: Index,
    faiss: Annotated[Path | None, typer.Option(help="An IndexFlatIP for faiss.")] = None,
    numpy: Annotated[Path | None, typer.Option(help="A .npz: names, labels, descriptors, positions.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite --faiss and --numpy.")] = False,
    as_json: Json = False,
) -> None:
    """The vectors of an index for faiss and NumPy, in the same order."""
    from pocketvlad.steps import neighbours as step

    Output(as_json).result(step.export(index, faiss=faiss, numpy=numpy, force=force).to_json())


@index_app.command(
    "pairs",
    epilog=example("index pairs places.pvix --program model.pte --photos folder:asked --out pairs.txt"),
)
def index_pairs(
    index: Index,
    program: Annotated[Path, typer.Option(help="The program that made the index.")],
    photos: Photos,
    out: Out,
    top: Annotated[int, typer.Option(min=1, help="Pairs of each photo.")] = 20,
    threads: Threads = 2,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """The most similar photos of the index for each photo, as hloc's list of pairs."""
    from pocketvlad.steps import neighbours as step

    with progress("describing") as report:
        result = step.pairs(
            index, program, photos, out, top=top, threads=threads, force=force, progress=report
        )
    Output(as_json).result(result.to_json())


def _show(as_json: bool, values: dict[str, Any]) -> None:
    if not as_json and values["threshold"] is None:
        values = {**values, "threshold": _NO_THRESHOLD}
    Output(as_json).result(values)


def _match_rows(answer: Answer) -> list[dict[str, Any]]:
    rows = [match.to_json() for match in answer.matches]
    marks = [_ITSELF if row.pop("itself") else "" for row in rows]
    return [{**row, "": mark} for row, mark in zip(rows, marks, strict=True)] if any(marks) else rows
