"""The plan of `pocketvlad run`: which model, which photos, which recipes, which app."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pocketvlad.android.identity import require_shown
from pocketvlad.dataset import LAYOUTS
from pocketvlad.errors import RecipeError
from pocketvlad.importer.photo_rules import OURS, RULES
from pocketvlad.schema import from_table, one_of, read_toml
from pocketvlad.steps.common import parse_size
from pocketvlad.steps.fit_options import FitOptions

VERSION = 1
MODEL, BASELINE = "model", "float32"  # names of a run's files; no recipe may have them
_SPLITS = ("even", "odd", "all")


@dataclass(frozen=True)
class ModelPlan:
    """The uncompressed model: a checkpoint to import, or a backbone to fit.

    Attributes:
        checkpoint: any layout `pocketvlad import` reads, or a model of `pocketvlad fit`; a backbone alone is
            fitted, a whole model is kept.
        backbone: its name, when there is no checkpoint.
        weights: of that backbone: a file, or ``package:NAME``; without them it is built from the photos.
        fallback: the backbone that is built from the photos instead where the package of the weights is not installed;
            without it the run stops there. Not every backbone is worth building so: see ``model.scratch``.
        head: ``netvlad`` or ``gem``.
        clusters: K of NetVLAD.
        dim: of the whitening layer; 0 for none; ``auto``: chosen.
        whitening: its strength: ``auto``: chosen; ``full``, ``pca`` or a number from 0 (PCA alone) to 1 (full).
        height, width: of the input, pixels, of a model that is fitted.
        size: HEIGHTxWIDTH that a whole checkpoint is imported for; without it the layout's own.
        preprocess: whose photos a whole checkpoint is to see: ``ours``, ``hloc`` or ``vpr-evaluation``.
        views: per photo for the whitening; 0 as many as it needs.
        seed: of every random choice.
    """

    checkpoint: str | None = None
    backbone: str | None = None
    weights: str | None = None
    fallback: str | None = None
    head: str = "netvlad"
    clusters: int = 64
    dim: int | str = 512
    whitening: float | str = "auto"
    height: int = 480
    width: int = 640
    size: str | None = None
    preprocess: str = OURS
    views: int = 0
    seed: int = 0

    def fit_options(self, backbone: str, weights: str | Path | None) -> FitOptions:
        """Of a fit with this backbone and these weights."""
        return FitOptions(
            backbone,
            weights,
            self.head,
            self.clusters,
            self.dim,
            self.height,
            self.width,
            self.views,
            self.seed,
            self.whitening,
        )


@dataclass(frozen=True)
class PhotosPlan:
    """Real photos with known places.

    Attributes:
        datasets: ``KIND:PATH``, paths relative to the plan file.
        fit: the places that fit the model and calibrate its compression: ``even`` or ``odd`` in the order of
            their names. The others test. ``all`` fits on every place and tests on the same, which the
            report then says.
        queries: a folder of the photos that ask, as `pocketvlad evaluate --queries` takes it; the one dataset is then
            the map alone.
    """

    datasets: tuple[str, ...]
    fit: str = "even"
    queries: str | None = None


@dataclass(frozen=True)
class CompressPlan:
    """Recipes to compare, by name or by path relative to the plan file; ``app`` goes into the APK."""

    recipes: tuple[str, ...] = ("paper-8bit", "paper-5bit")
    app: str | None = None


@dataclass(frozen=True)
class AppPlan:
    """The program, the index and the APK.

    Attributes:
        title: shown by the app.
        semantics: of the kernels: ``mixed`` (whitening int8, the rest float32), ``exact`` or ``fast``; by
            default what each recipe says.
        vectors: ``float32``, ``float16`` or ``int8`` in the index.
        emulate: run the APK's arm64 library on this machine at the end, where qemu is installed.
    """

    title: str = "Pocketvlad"
    semantics: str | None = None
    vectors: str = "float16"
    emulate: bool = True


@dataclass(frozen=True)
class Plan:
    """A whole plan file; ``folder`` is where it lies."""

    version: int
    photos: PhotosPlan
    model: ModelPlan = field(default_factory=ModelPlan)
    compress: CompressPlan = field(default_factory=CompressPlan)
    app: AppPlan = field(default_factory=AppPlan)
    folder: Path = field(default=Path("."))

    def resolve(self, path: str) -> Path:
        """A path of the plan, relative to its file; ``~`` is the user's home."""
        try:
            return self.folder / Path(path).expanduser()
        except RuntimeError as error:
            raise RecipeError(f"{path} is in nobody's home", do="name the folder itself") from error

    def dataset_spec(self, spec: str) -> str:
        """``KIND:PATH`` with the path made relative to the working directory; a path may hold colons itself."""
        kind, colon, path = spec.partition(":")
        if not colon or (kind not in LAYOUTS and self.resolve(spec).exists()):
            kind, path = "folder", spec
        return f"{kind}:{self.resolve(path)}"

    @property
    def app_recipe(self) -> str:
        """The recipe whose program goes into the app: the last one unless the plan says."""
        return self.compress.app or self.compress.recipes[-1]


def load_plan(path: Path | str) -> Plan:
    """Read and check a plan file.

    Raises:
        RecipeError: not TOML, an unknown key, a wrong type or a value out of range.
    """
    path = Path(path)
    table = read_toml(path)
    if "folder" in table:
        raise RecipeError(f"{path}: unknown key 'folder'", do="leave it out: it is where the plan lies")
    plan = from_table(Plan, {**table, "folder": path.parent}, str(path))
    _check(plan, path)
    return plan


def _check(plan: Plan, path: Path) -> None:
    one_of(str(path), "version", plan.version, (VERSION,))
    one_of(str(path), "photos.fit", plan.photos.fit, _SPLITS)
    require_shown(f"title in {path}", plan.app.title)
    one_of(str(path), "app.semantics", plan.app.semantics, (None, "mixed", "exact", "fast"))
    one_of(str(path), "app.vectors", plan.app.vectors, ("float32", "float16", "int8"))
    if not plan.compress.recipes:
        raise RecipeError(f"{path}: compress.recipes is empty", allowed='for example ["paper-8bit"]')
    one_of(str(path), "compress.app", plan.app_recipe, plan.compress.recipes)
    one_of(str(path), "model.preprocess", plan.model.preprocess, tuple(RULES))
    if plan.model.size is not None:
        parse_size(plan.model.size)
    _check_file_names(plan, path)
    if not plan.photos.datasets:
        raise RecipeError(f"{path}: photos.datasets is empty", allowed='for example ["folder:photos"]')
    if plan.photos.queries is not None and len(plan.photos.datasets) > 1:
        raise RecipeError(
            f"{path}: photos.queries asks one map",
            found=f"{len(plan.photos.datasets)} datasets",
            allowed="one",
        )
    if (plan.model.checkpoint is None) == (plan.model.backbone is None):
        raise RecipeError(f"{path}: [model] needs exactly one of checkpoint and backbone")
    if plan.model.weights is not None and plan.model.backbone is None:
        raise RecipeError(
            f"{path}: model.weights are a backbone's", found="a checkpoint", do="name the backbone"
        )
    if plan.model.fallback is not None and plan.model.weights is None:
        raise RecipeError(f"{path}: model.fallback stands in for weights", found="no model.weights")


def _check_file_names(plan: Plan, path: Path) -> None:
    """Every recipe's files need names of their own."""
    names = [MODEL, BASELINE, *map(slug, plan.compress.recipes)]
    twice = next((name for number, name in enumerate(names) if name in names[:number]), None)
    if twice is not None:
        raise RecipeError(
            f"{path}: compress.recipes would write files of one name", found=repr(twice), do="rename a recipe"
        )


def slug(name: str) -> str:
    """A recipe's name as a file name."""
    return Path(name).stem if name.endswith(".toml") else name
