package org.pocketvlad.demo;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;

import android.content.ContentResolver;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.RuntimeEnvironment;
import org.robolectric.annotation.Config;

/** Photos become the pixels the workstation describes; NAME.png is what it made of a photo. */
@RunWith(RobolectricTestRunner.class)
@Config(sdk = {26, 34, 35})
public class PhotoReaderTest {
    private static final int ROUNDING = 4; // of 255: two decoders, two colour conversions

    private static Recognizer.Picture read(String name) throws Exception {
        ContentResolver resolver = RuntimeEnvironment.getApplication().getContentResolver();
        ProgramInfo model = ProgramInfo.parse(Fixture.text("model.json"));
        return PhotoReader.read(resolver, Fixture.publish(Fixture.photo(name)), model).picture;
    }

    private static int largestDifference(int[] one, int[] other) {
        assertEquals(one.length, other.length);
        int largest = 0;
        for (int i = 0; i < one.length; i++) {
            for (int shift = 0; shift < 24; shift += 8) {
                largest = Math.max(largest, Math.abs((one[i] >> shift & 255) - (other[i] >> shift & 255)));
            }
        }
        return largest;
    }

    @Test
    public void aPhotoInDisplayP3IsReadAsTheWorkstationReadsIt() throws Exception {
        int off = largestDifference(read("p3.jpg").argb, read("p3.jpg.png").argb);
        assertTrue("off by " + off, off <= ROUNDING);
    }

    @Test
    public void aLargePhotoIsReadAsTheWorkstationReadsIt() throws Exception {
        Recognizer.Picture large = read("large.jpg");
        assertEquals(750, large.width);
        int off = largestDifference(large.argb, read("large.jpg.png").argb);
        assertTrue("off by " + off, off <= ROUNDING);
    }

    @Test
    public void transparencyLiesOnWhiteAsOnTheWorkstation() throws Exception {
        int off = largestDifference(read("transparent.png").argb, read("transparent.png.png").argb);
        assertTrue("off by " + off, off <= ROUNDING);
        assertEquals(0xFFFFFFFF, read("transparent.png").argb[0]);
    }
}
