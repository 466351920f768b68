"""The renderer against hand-worked cases, and the committed photos against the renderer."""

from __future__ import annotations

import csv
import sys

import numpy as np
import pytest
from PIL import Image

from pocketvlad.resources import resource_dir

FOLDER = resource_dir("calibration")
sys.path.insert(0, str(FOLDER))

from renderer import __main__ as render  # noqa: E402
from renderer import camera, light, raster, shading, solids, street, texture  # noqa: E402
from renderer.places import PLACES  # noqa: E402


def view(width: int = 64, height: int = 48, position=(0.0, 0.0, 0.0)) -> raster.View:
    """Looks north along +y, one unit of the image plane wide at distance 1."""
    step, zero = 1.0 / width, np.zeros(3)
    corner = np.array([-0.5 + step / 2, 1.0, 0.5 * height / width - step / 2])
    right, down = np.array([step, 0, 0]), np.array([0, 0, -step])
    return raster.View(width, height, np.array(position, float), zero, zero, corner, right, down)


def test_a_wall_is_seen_at_its_distance_and_nothing_beside_it():
    wall = solids.wall((-1, 10), (1, 10), -1, 1, texture.plain((200, 0, 0)))
    hits = raster.cast(view(), [wall])
    covered = hits.solid == 0
    side = 64 * 2 / 10  # pixels: the image plane is 64 wide at distance 1
    assert abs(covered.any(axis=0).sum() - side) < 1
    assert abs(covered.any(axis=1).sum() - side) < 1
    assert np.allclose(hits.depth[covered], 10)
    assert np.isinf(hits.depth[~covered]).all()


def test_the_nearer_of_two_walls_hides_the_other_in_any_order():
    near = solids.wall((-1, 5), (1, 5), -1, 1, texture.plain((1, 2, 3)))
    far = solids.wall((-12, 20), (12, 20), -9, 9, texture.plain((4, 5, 6)))
    for order in ([near, far], [far, near]):
        hits = raster.cast(view(), order)
        assert order[hits.solid[24, 32]] is near
        assert order[hits.solid[0, 0]] is far


def test_a_solid_behind_the_camera_is_not_seen_and_one_around_it_is():
    behind = solids.wall((-1, -5), (1, -5), -1, 1, texture.plain((1, 1, 1)))
    floor = solids.panel((-50, -50, -1), (100, 0, 0), (0, 100, 0), texture.plain((1, 1, 1)))
    assert (raster.cast(view(), [behind]).solid == raster.NOTHING).all()
    hits = raster.cast(view(), [floor])
    assert (hits.solid[-1] == 0).all()
    assert (hits.solid[0] == raster.NOTHING).all()


def test_ball_and_tube_are_met_where_geometry_says():
    ball = solids.ball((0, 10, 0), 2.0, texture.plain((1, 1, 1)))
    tube = solids.tube((0, 10, -5), 10, 1.5, texture.plain((1, 1, 1)))
    centre = (24, 32)
    assert raster.cast(view(), [ball]).depth[centre] == pytest.approx(8.0, abs=0.01)
    assert raster.cast(view(), [tube]).depth[centre] == pytest.approx(8.5, abs=0.01)


def test_perspective_follows_the_texture_not_the_screen():
    """A wall running away from the camera: its texture's middle is left of the screen's middle."""
    canvas = texture.Canvas(10, 4, 16)
    canvas.rectangle(0, 0, 5, 4, (255, 0, 0))
    canvas.rectangle(5, 0, 10, 4, (0, 0, 255))
    wall = solids.wall((-2, 4), (2, 30), -2, 2, canvas.texture())
    grid = view(160, 120)
    scene = shading.Scene([wall], [])
    sky = light.Sky(light.Light("overcast"), np.random.default_rng(0))
    image = shading.render(grid, scene, light.Light("overcast"), sky)
    row = image[60]
    seen = np.flatnonzero(raster.cast(grid, [wall]).solid[60] == 0)
    border = seen[np.argmax(row[seen, 2] > row[seen, 0])]
    middle = np.array([[0.0, 17.0, 0.0]])
    assert border == pytest.approx(grid.project(middle)[0][0, 0], abs=1.5)
    assert border > (seen[0] + seen[-1]) / 2


def test_cut_out_texels_let_the_ray_through():
    canvas = texture.Canvas(4, 4)
    canvas.rectangle(0, 0, 4, 4, (9, 9, 9))
    canvas.cut([(1, 1), (3, 1), (3, 3), (1, 3)])
    frame = solids.wall((-2, 8), (2, 8), -2, 2, canvas.texture())
    back = solids.wall((-9, 20), (9, 20), -9, 9, texture.plain((4, 5, 6)))
    hits = raster.cast(view(), [frame, back])
    assert hits.solid[24, 32] == 1
    assert hits.solid[24, 32 + 12] == 0


def test_a_post_shadows_the_ground_away_from_the_sun():
    ground = solids.panel((-20, -20, 0), (60, 0, 0), (0, 60, 0), texture.plain((200, 200, 200)), ground=True)
    post = solids.box((7.5, 11.5, 0), (8.5, 12.5, 6), (200, 200, 200))
    state = light.Light("clear", azimuth=np.pi, elevation=np.pi / 4, sun=(3, 3, 3))  # in the west
    points = np.array([[11.0, 12.0, 0.0], [5.0, 12.0, 0.0], [16.0, 12.0, 0.0]])
    up = np.tile([0.0, 0.0, 1.0], (3, 1))
    texels = np.zeros((3, texture.CHANNELS), np.uint8)
    surface = shading.Surface(np.arange(3), points, up, texels, np.ones(3, bool), np.ones(3), points)
    lit = shading._sunlit(surface, shading.Scene([ground, *post], []), state)
    assert lit == pytest.approx([0, 1, 1])


def test_fog_hides_what_is_far():
    walls = [solids.wall((-40, y), (40, y), -40, 40, texture.plain((0, 0, 0))) for y in (10.0, 100.0)]
    state = light.Light("fog", fog=0.05, horizon=(0.5, 0.5, 0.5))
    sky = light.Sky(state, np.random.default_rng(0))
    near, far = (shading.render(view(), shading.Scene([wall], []), state, sky).mean() for wall in walls)
    assert near < far
    assert far == pytest.approx(0.475, abs=0.01)


def test_mip_levels_average():
    base = np.zeros((8, 8, texture.CHANNELS), np.uint8)
    base[::2] = 200
    assert (texture.with_levels(base).levels[1] == 100).all()


def test_noise_is_seeded_and_bounded():
    one, two = (texture.noise((32, 48), np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(one, two)
    assert one.min() >= 0
    assert one.max() <= 1


@pytest.mark.parametrize("name", light.NAMES)
def test_every_weather_makes_a_photo_of_the_right_size(name):
    random = np.random.default_rng(1)
    state = light.light(name, random)
    radiance = np.full((camera.HEIGHT * 2, camera.WIDTH * 2, 3), 0.4, np.float32)
    photo = camera.develop(radiance, state, camera.random_lens(state, random), random)
    assert photo.size == (320, 240)
    assert 20 < np.asarray(photo).mean() < 235


def test_thirty_places_have_their_own_names():
    assert len({place.name for place in PLACES}) == len(PLACES) == 30


def test_manifest_and_photos_agree():
    with open(FOLDER / "scenes" / "manifest.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["image"] for row in rows) == sorted(p.name for p in (FOLDER / "scenes").glob("*.jpg"))
    assert len(rows) == 30 * street.VIEWS
    assert all(row["image"].startswith(row["place"] + "_") for row in rows)


def test_the_whole_set_stays_small():
    assert sum(path.stat().st_size for path in (FOLDER / "scenes").iterdir()) < 4_000_000


@pytest.mark.slow
def test_a_committed_place_is_what_the_code_renders():
    rendered = render.render_place(2)
    assert render.check(rendered, FOLDER / "scenes", whole=False) == []


def test_check_names_what_differs(tmp_path):
    name = "p01_corner_bakery_1_clear.jpg"
    photo = street.Photo(name, "p01_corner_bakery", (FOLDER / "scenes" / name).read_bytes())
    assert render.check([photo], tmp_path, whole=False) == [f"{name}: differs by inf grey levels"]
    Image.new("RGB", (320, 240)).save(tmp_path / name)
    assert "differs by" in render.check([photo], tmp_path, whole=False)[0]
    (tmp_path / name).write_bytes(photo.data)
    (tmp_path / "manifest.csv").write_text(render.manifest([photo]))
    (tmp_path / "stray.jpg").write_bytes(photo.data)
    assert render.check([photo], tmp_path, whole=True) == ["stray.jpg: not rendered"]
