package org.pocketvlad.demo.photo;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;

import org.junit.Test;
import org.junit.runner.RunWith;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.annotation.Config;
import org.pocketvlad.demo.Fixture;
import org.pocketvlad.demo.recognizer.Pixels;
import org.pocketvlad.demo.recognizer.ProgramInfo;

/** Photos become the pixels the workstation describes; NAME.png is what it made of a photo. */
@RunWith(RobolectricTestRunner.class)
@Config(sdk = {26, 34, 35})
public class PhotoReaderTest {
    private static final int ROUNDING = 4; // of 255: two decoders, two colour conversions

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
}
