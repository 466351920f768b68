"""Java programs from Maven, with all they need."""

from __future__ import annotations

from pathlib import Path

from pocketvlad.android.template import find_tool, run_tool
from pocketvlad.core.cache import cached_folder

_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>a</groupId><artifactId>a</artifactId><version>1</version><dependencies><dependency>
<groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency></dependencies></project>
"""
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"


def maven_folder(coordinates: str) -> Path:
    """A folder with the jar of ``group:artifact:version`` and of everything it needs, fetched once."""

    def fetch(folder: Path) -> None:
        pom = folder / "pom.xml"
        pom.write_text(_POM.format(*coordinates.split(":")))
        run_tool(
            [find_tool("mvn", "maven"), "-q", "-B", "-f", str(pom), _COPY, f"-DoutputDirectory={folder}"]
        )

    return cached_folder("maven-whole/" + coordinates.replace(":", "-"), fetch)
