"""The figures of every layout, beside a plain computation from what lies on disk, written here a second time.

Nothing below ``plain`` uses the package: who asks, what is searched, what counts and what is ignored are said for
each layout in a few lines of their own.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field

import numpy as np
import pytest

from helpers import matfiles
from helpers.photos import write_photo
from pocketvlad.dataset import open_dataset
from pocketvlad.evaluate.retrieval import evaluate_descriptors


@dataclass
class Asked:
    """A query: its photo, what is searched for it, what is right, and what is taken out, all by name."""

    photo: str
    searched: list[str]
    right: set[str]
    ignored: set[str] = field(default_factory=set)


def plain(asked: list[Asked], vectors: dict[str, np.ndarray]) -> tuple[dict[int, float], float]:
    """Recall@N by N, and mAP by the trapezoids of the Oxford protocol."""
    hits = dict.fromkeys((1, 5, 10, 20), 0)
    precisions = []
    for one in asked:
        left = [name for name in one.searched if name not in one.ignored]
        cosines = [float(vectors[one.photo] @ vectors[name]) for name in left]
        ranked = [left[i] for i in sorted(range(len(left)), key=lambda i: -cosines[i])]
        for n in hits:
            hits[n] += bool(one.right & set(ranked[:n]))
        area, recall, precision, found = 0.0, 0.0, 1.0, 0
        for rank, name in enumerate(ranked, 1):
            found += name in one.right
            new_recall, new_precision = found / max(1, len(one.right)), found / rank
            area += (new_recall - recall) * (precision + new_precision) / 2
            recall, precision = new_recall, new_precision
        precisions.append(area)
    return {n: count / len(asked) for n, count in hits.items()}, float(np.mean(precisions))


def agrees(spec: str, asked: list[Asked], *, named=lambda name: name) -> None:
    """The dataset's figures on random descriptors are the plain ones; ``named`` gives its names for ours."""
    dataset = open_dataset(spec)
    random = np.random.default_rng(7)
    rows = random.normal(size=(len(dataset.photos), 6)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    result = evaluate_descriptors(dataset, rows)
    vectors = dict(zip((photo.name for photo in dataset.photos), rows, strict=True))
    ours = [
        Asked(
            named(a.photo),
            [named(n) for n in a.searched],
            {named(n) for n in a.right},
            {named(n) for n in a.ignored},
        )
        for a in asked
    ]
    recalls, precision = plain(ours, vectors)
    assert result.recalls == pytest.approx(recalls) and len(result.queries) == len(asked)
    assert result.score == pytest.approx(precision if result.metric == "map" else recalls[1])
    assert result.without_positive == sum(not one.right for one in asked)


PLACES = {"church": 4, "gate": 3, "tower": 2, "well": 1, "bridge": 5}


def test_a_folder_without_roles(tmp_path):
    of = {f"{place}/{i}.png": place for place, count in PLACES.items() for i in range(count)}
    for name in of:
        write_photo(tmp_path / name)
    asked = [Asked(q, sorted(of), {n for n in of if of[n] == of[q] and n != q}, {q}) for q in sorted(of)]
    agrees(f"folder:{tmp_path}", [one for one in asked if one.right])


def rows_with_roles():
    """(image, place, role): per place two queries, goods, an ok, a junk; the bridge's junk is good for the well."""
    rows = []
    for place, count in PLACES.items():
        rows += [(f"{place}_q{i}.png", place, "query") for i in range(2)]
        rows += [(f"{place}_g{i}.png", place, "good") for i in range(count)]
        rows += [(f"{place}_o.png", place, "ok"), (f"{place}_j.png", place, "junk")]
    return [
        *rows,
        ("bridge_j.png", "well", "good"),
        ("gate_g0.png", "tower", "good"),
        ("well_q0.png", "gate", "ok"),
    ]


def test_a_folder_with_roles(tmp_path):
    """Queries are no part of the map, but for the one that is ok for another place."""
    rows = rows_with_roles()
    lines = ["image,place,role", *(",".join(row) for row in rows)]
    (tmp_path / "manifest.csv").write_text("\n".join(lines))
    for image, *_ in rows:
        write_photo(tmp_path / image)
    searched = list(dict.fromkeys(image for image, _, role in rows if role != "query"))
    assert "well_q0.png" in searched and "well_q1.png" not in searched
    asked = []
    for image, place, role in rows:
        if role == "query":
            right = {i for i, p, r in rows if p == place and r in ("good", "ok")}
            asked.append(
                Asked(image, searched, right, {i for i, p, r in rows if p == place} - right | {image})
            )
    agrees(f"folder:{tmp_path}", asked)


def test_folders_of_a_map_and_queries(tmp_path):
    names = [
        f"{side}/{place}/{i}.png" for side in ("database", "queries") for place in PLACES for i in range(2)
    ]
    for name in names:
        write_photo(tmp_path / name)
    searched = sorted(name for name in names if name.startswith("database"))
    asked = [
        Asked(q, searched, {n for n in searched if n.split("/")[1] == q.split("/")[1]})
        for q in names
        if q.startswith("queries")
    ]
    agrees(f"folder:{tmp_path}", asked)


def positions(count, seed):
    return np.random.default_rng(seed).uniform((500000, 4000000), (500200, 4000200), (count, 2)).round(2)


def near(one, other):
    return float(np.hypot(*(one - other))) <= 25


@pytest.mark.parametrize("folder", ["queries", "queries_v1"])
def test_positions_in_names(tmp_path, folder):
    """One query is far from everything: asked, and missed."""
    maps, queries = positions(30, 0), np.concatenate([positions(12, 1), [[700000, 4000000]]])
    at = {f"database/@{e}@{n}@.png": np.array([e, n]) for e, n in maps}
    asked_at = {f"{folder}/@{e}@{n}@.png": np.array([e, n]) for e, n in queries}
    for name in (*at, *asked_at):
        write_photo(tmp_path / name)
    asked = [Asked(q, sorted(at), {n for n in at if near(at[n], place)}) for q, place in asked_at.items()]
    assert any(len(one.right) > 1 for one in asked) and not asked[-1].right
    agrees(f"utm:{tmp_path}", asked)


def test_one_folder_of_positions(tmp_path):
    at = {f"@{e}@{n}@.png": np.array([e, n]) for e, n in positions(25, 2)}
    for name in at:
        write_photo(tmp_path / name)
    asked = [Asked(q, sorted(at), {n for n in at if n != q and near(at[n], at[q])}, {q}) for q in sorted(at)]
    agrees(f"utm:{tmp_path}", asked)


def test_a_dbstruct(tmp_path):
    maps, queries = positions(30, 3), positions(8, 4)
    at = {f"database/{i:03}.png": place for i, place in enumerate(maps)}
    asked_at = {f"queries/{i:03}.png": place for i, place in enumerate(queries)}
    for name in at:
        write_photo(tmp_path / name.replace("database/", "images/"))
    for name in asked_at:
        write_photo(tmp_path / name.replace("queries/", "query/"))
    struct = {
        "dbImageFns": [name.split("/")[1] for name in at],
        "utmDb": maps.T,
        "qImageFns": [name.split("/")[1] for name in asked_at],
        "utmQ": queries.T,
        "posDistThr": np.array([[25.0]]),
    }
    matfiles.write_v5(tmp_path / "pitts30k_test.mat", {"dbStruct": struct})
    asked = [Asked(q, sorted(at), {n for n in at if near(at[n], place)}) for q, place in asked_at.items()]
    agrees(f"pitts:{tmp_path}", asked)


LISTS = {
    "church_1": ("c0", "c0 c1", "c2", "c3"),
    "church_2": ("c1", "c1", "c0 c2", "c3"),
    "gate_1": ("g0", "g0 g1", "", "c0"),
}


@pytest.mark.parametrize("kind", ["oxford", "oxford-full", "paris", "paris-full"])
def test_oxford(tmp_path, kind):
    """Cropped, a query may find the photo it is cut from; whole, it is not there to be found."""
    everything = sorted([*(f"c{i}" for i in range(5)), *(f"g{i}" for i in range(3)), "far"])
    for stem in everything:
        write_photo(tmp_path / f"jpg/{stem}.jpg")
    asked = []
    for name, (query, good, ok, junk) in LISTS.items():
        (tmp_path / f"{name}_query.txt").write_text(f"{query} 0 0 3 3")
        for role, stems in (("good", good), ("ok", ok), ("junk", junk)):
            (tmp_path / f"{name}_{role}.txt").write_text(stems.replace(" ", "\n"))
        right, ignored = set(good.split()) | set(ok.split()), set(junk.split())
        if kind.endswith("-full"):
            asked.append(Asked(query, everything, right - {query}, ignored | {query}))
        else:
            asked.append(Asked(f"{name}_query", everything, right, ignored))
    agrees(f"{kind}:{tmp_path}", asked)


def test_revisited(tmp_path):
    images = [f"i{i}" for i in range(9)]
    lists = [([0, 1], [2], [3, 4]), ([], [5, 6], [7]), ([8], [0, 1], [])]
    gnd = [{"bbx": [0, 0, 3, 3], "easy": e, "hard": h, "junk": j} for e, h, j in lists]
    truth = {"imlist": images, "qimlist": ["q0", "q1", "q2"], "gnd": gnd}
    (tmp_path / "gnd_x.pkl").write_bytes(pickle.dumps(truth, 2))
    for stem in (*images, *truth["qimlist"]):
        write_photo(tmp_path / f"jpg/{stem}.jpg")
    asked = [
        Asked(f"q{i}", images, {images[k] for k in easy + hard}, {images[k] for k in junk})
        for i, (easy, hard, junk) in enumerate(lists)
    ]
    agrees(f"revisited:{tmp_path}", asked)


def listed(tmp_path):
    """Photos of a map and of queries with positions, as names in two lists."""
    maps, queries = positions(30, 5), np.concatenate([positions(9, 6), [[700000, 4000000]]])
    at = {f"ref/{i:07}.png": place for i, place in enumerate(maps)}
    asked_at = {f"query/{i:07}.png": place for i, place in enumerate(queries)}
    for name in (*at, *asked_at):
        write_photo(tmp_path / name)
    return at, asked_at


def asked_near(at, asked_at, called=lambda side, name: name):
    database = [called("database", n) for n in at]
    return [
        Asked(called("queries", q), database, {called("database", n) for n in at if near(at[n], place)})
        for q, place in asked_at.items()
    ]


def below_its_side(side, name):
    return f"{side}/{name}"


def test_patch_netvlad(tmp_path):
    at, asked_at = listed(tmp_path)
    (tmp_path / "x_imageNames_index.txt").write_text("\n".join(f"./{name}" for name in at))
    (tmp_path / "x_imageNames_query.txt").write_text("\n".join(f"./{name}" for name in asked_at))
    utm = {"utmDb": np.array(list(at.values())), "utmQ": np.array(list(asked_at.values()))}
    np.savez(tmp_path / "x.npz", **utm, posDistThr=25)
    agrees(f"patch-netvlad:{tmp_path}", asked_near(at, asked_at, below_its_side))


def test_gsv_cities(tmp_path):
    at, asked_at = listed(tmp_path)
    truth = np.empty(len(asked_at), object)
    truth[:] = [np.flatnonzero([near(there, place) for there in at.values()]) for place in asked_at.values()]
    for name, array in (("db", np.array(list(at))), ("q", np.array(list(asked_at)))):
        np.save(tmp_path / f"x_{name}Images.npy", array)
    np.save(tmp_path / "x_gt.npy", truth, allow_pickle=True)
    agrees(f"gsv-cities:{tmp_path}", asked_near(at, asked_at, below_its_side))


def test_vpr_bench(tmp_path):
    at, asked_at = listed(tmp_path)
    rows = [[i for i, there in enumerate(at.values()) if near(there, place)] for place in asked_at.values()]
    truth = np.empty((len(rows), 2), object)
    for i, row in enumerate(rows):
        truth[i, 0], truth[i, 1] = i, row
    np.save(tmp_path / "ground_truth_new.npy", truth, allow_pickle=True)
    agrees(f"vpr-bench:{tmp_path}", asked_near(at, asked_at))
