import io

from PIL import Image

from pocketvlad.report import figures


def test_match_picture_frames_right_and_wrong(summary):
    with Image.open(io.BytesIO(figures.qualitative_rows(summary.matches))) as picture:
        pixels = picture.convert("RGB")
        colours = {
            pixels.getpixel((152 + column * 248, 8 + 3 * 188 + 2)) for column in range(len(summary.matches))
        }
    assert colours == {(0, 158, 115), (163, 21, 42)}


def test_thumbnails_follow_exif_rotation(tmp_path):
    photo = Image.new("RGB", (40, 80), "blue")
    photo.paste("red", (0, 0, 40, 40))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera's top is on the right: turn by 90 degrees clockwise to show
    photo.save(tmp_path / "turned.jpg", exif=exif)
    shown = figures.thumbnail(tmp_path / "turned.jpg", (80, 40))
    red, _, blue = shown.getpixel((70, 20))
    assert red > 200 > blue
