"""`pocketvlad index`: build, extend, inspect and search the place index."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pocketvlad.cli.console import Output, progress
from pocketvlad.cli.options import Force, Json, Out, Photos, Threads

index_app = typer.Typer(no_args_is_help=True, help="Build, extend, inspect and search the place index.")


@index_app.command("build")
def index_build(
    program: Path,
    photos: Photos,
    out: Out,
    vectors: Annotated[str, typer.Option(help="float32, float16 or int8.")] = "float16",
    threads: Threads = 2,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Describe photos and write the place index."""
    from pocketvlad.commands.places import index_build_file

    with progress("indexing") as report:
        result = index_build_file(
            program, photos, out, vectors, threads=threads, force=force, progress=report
        )
    Output(as_json).result(result)


@index_app.command("add")
def index_add(
    index: Path,
    program: Annotated[Path, typer.Option(help="The program that made the index.")],
    photos: Photos,
    replace: Annotated[bool, typer.Option("--replace", help="Replace photos of the same name.")] = False,
    threads: Threads = 2,
    as_json: Json = False,
) -> None:
    """Add photos to an existing index (rewritten atomically)."""
    from pocketvlad.commands.places import index_add_file

    with progress("indexing") as report:
        result = index_add_file(index, program, photos, replace=replace, threads=threads, progress=report)
    Output(as_json).result(result)


@index_app.command("info")
def index_info(index: Path, as_json: Json = False) -> None:
    """What an index holds."""
    from pocketvlad.commands.places import index_info_file

    Output(as_json).result(index_info_file(index))


@index_app.command("search")
def index_search(
    index: Path,
    photos: Annotated[list[Path], typer.Argument(help="Photos to recognise.")],
    program: Annotated[Path, typer.Option(help="The program that made the index.")],
    top: Annotated[int, typer.Option(min=1, help="Matches per photo.")] = 5,
    draw: Annotated[Path | None, typer.Option(help="Also draw the matches into this PNG.")] = None,
    as_json: Json = False,
) -> None:
    """Recognise photos: the best matches with place and cosine."""
    from pocketvlad.commands.places import index_search_file

    output = Output(as_json)
    result = index_search_file(index, program, photos, top=top, draw=draw)
    for query in result["queries"]:
        output.table(query["photo"] + ("" if query["known"] else "  (unknown place)"), query["matches"])
    output.result(result, silent=True)
