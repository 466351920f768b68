"""`pocketvlad index`: build, extend, inspect and search the place index."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pocketvlad.cli.console import Output, progress
from pocketvlad.cli.options import Force, Index, Json, Out, Photos, Program, Threads, example

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
    Output(as_json).result(result.to_json())


@index_app.command("add", epilog=example("index add places.pvix --program model.pte --photos folder:more"))
def index_add(
    index: Index,
    program: Annotated[Path, typer.Option(help="The program that made the index.")],
    photos: Photos,
    replace: Annotated[bool, typer.Option("--replace", help="Replace photos of the same name.")] = False,
    threads: Threads = 2,
    as_json: Json = False,
) -> None:
    """Add photos to an existing index (rewritten atomically)."""
    from pocketvlad.steps import index as step

    with progress("indexing") as report:
        result = step.add(index, program, photos, replace=replace, threads=threads, progress=report)
    Output(as_json).result(result.to_json())


@index_app.command("info", epilog=example("index info places.pvix"))
def index_info(index: Index, as_json: Json = False) -> None:
    """What an index holds."""
    from pocketvlad.steps import index as step

    Output(as_json).result(step.info(index).to_json())


@index_app.command("search", epilog=example("index search places.pvix photo.jpg --program model.pte"))
def index_search(
    index: Index,
    photos: Annotated[list[Path], typer.Argument(help="Photos to recognise.")],
    program: Annotated[Path, typer.Option(help="The program that made the index.")],
    top: Annotated[int, typer.Option(min=1, help="Matches per photo.")] = 5,
    draw: Annotated[Path | None, typer.Option(help="Also draw the matches into this PNG.")] = None,
    as_json: Json = False,
) -> None:
    """Recognise photos: the best matches with place and cosine."""
    from pocketvlad.steps import index as step

    output = Output(as_json)
    result = step.search(index, program, photos, top=top, draw=draw)
    for answer in result.queries:
        title = answer.photo + ("" if answer.known else "  (unknown place)")
        output.table(title, [match.to_json() for match in answer.matches])
    output.result(result.to_json(), silent=True)
