package org.pocketvlad.demo.photo;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.io.File;
import java.nio.file.Files;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;
import org.junit.runner.RunWith;
import org.robolectric.RobolectricTestRunner;
import org.pocketvlad.demo.Fixture;
import org.pocketvlad.demo.R;
import org.pocketvlad.demo.recognizer.Pixels;
import org.pocketvlad.demo.recognizer.ProgramInfo;

/** Photos become the pixels the workstation describes; NAME.png is what it made of a photo. */
@RunWith(RobolectricTestRunner.class)
public class PhotoReaderTest {
    private static final int ROUNDING = 4; // of 255: two decoders, two colour conversions

    @Rule public final TemporaryFolder folder = new TemporaryFolder();

    private static Pixels read(String name) throws Exception {
        ProgramInfo model = ProgramInfo.parse(Fixture.text("model.json"));
        return PhotoReader.read(Fixture.file("photos/" + name), model).pixels;
    }

    private static int largestDifference(Pixels one, Pixels other) {
        assertEquals(one.rgba.capacity(), other.rgba.capacity());
        int largest = 0;
        for (int i = 0; i < one.rgba.capacity(); i++) {
            largest = Math.max(largest, Math.abs((one.rgba.get(i) & 255) - (other.rgba.get(i) & 255)));
        }
        return largest;
    }

    @Test
    public void aPhotoInDisplayP3IsReadAsTheWorkstationReadsIt() throws Exception {
        int off = largestDifference(read("p3.jpg"), read("p3.jpg.png"));
        assertTrue("off by " + off, off <= ROUNDING);
    }

    @Test
    public void aLargePhotoIsReadAsTheWorkstationReadsIt() throws Exception {
        Pixels large = read("large.jpg");
        assertEquals(750, large.width);
        int off = largestDifference(large, read("large.jpg.png"));
        assertTrue("off by " + off, off <= ROUNDING);
    }

    @Test
    public void transparencyLiesOnWhiteAsOnTheWorkstation() throws Exception {
        int off = largestDifference(read("transparent.png"), read("transparent.png.png"));
        assertTrue("off by " + off, off <= ROUNDING);
        assertEquals(0xFFFFFFFF, read("transparent.png").rgba.getInt(0));
    }

    /** Progressive, wide, of four inks, of few colours, of 16 bits, grey, half transparent, WebP. */
    @Test
    public void everyKindOfPhotoIsReadAsTheWorkstationReadsIt() throws Exception {
        StringBuilder found = new StringBuilder();
        boolean same = true;
        for (File photo : Fixture.file("golden").listFiles((folder, name) -> !name.endsWith(".expected.png"))) {
            Pixels pixels = read("../golden/" + photo.getName());
            int off = largestDifference(pixels, read("../golden/" + photo.getName() + ".expected.png"));
            found.append(photo.getName()).append(' ').append(off).append('\n');
            same &= off <= ROUNDING;
        }
        Fixture.note("golden", found.toString());
        assertTrue(found.toString(), same && found.length() > 0);
    }

    /** A JPEG of any size that has headers alone. */
    private File headerOnly(int width, int height, boolean progressive) throws Exception {
        byte[] file = {(byte) 0xFF, (byte) 0xD8, (byte) 0xFF, (byte) (progressive ? 0xC2 : 0xC0), 0, 17, 8,
            (byte) (height >> 8), (byte) height, (byte) (width >> 8), (byte) width, 3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0,
            (byte) 0xFF, (byte) 0xDA, 0, 12, 3, 1, 0, 2, 0, 3, 0, 0, (byte) (progressive ? 0 : 63), 0};
        File photo = folder.newFile();
        Files.write(photo.toPath(), file);
        return photo;
    }

    /** A progressive photo of 108 megapixels may need more memory than a phone has: then that is what is said. */
    @Test
    public void whatDoesNotFitInMemoryIsTooLargeAndWhatIsSmallIsDamaged() throws Exception {
        ProgramInfo model = ProgramInfo.parse(Fixture.text("model.json"));
        int[][] sizes = {{12000, 9000, R.string.photo_large}, {640, 480, R.string.photo_damaged}};
        for (int[] size : sizes) {
            for (boolean progressive : new boolean[] {true, false}) {
                File photo = headerOnly(size[0], size[1], progressive);
                int reason = assertThrows(PhotoException.class, () -> PhotoReader.read(photo, model)).reason;
                assertEquals(size[0] + " " + progressive, size[2], reason);
            }
        }
    }
}
