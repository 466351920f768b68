package org.pocketvlad.demo.ui;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;

import android.content.res.Resources;
import android.graphics.Matrix;
import android.util.Size;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.RuntimeEnvironment;

/** What people read, and where the preview lies. */
@RunWith(RobolectricTestRunner.class)
public class WordsTest {
    private static final double[] MARKET = {51.5, -0.1};

    private static Resources words() {
        return RuntimeEnvironment.getApplication().getResources();
    }

    @Test
    public void namesOfFilesBecomeWords() {
        assertEquals("Glass office", Labels.readable("p04_glass_office"));
        assertEquals("Clock tower 1 day", Labels.readable("scenes/p01_clock_tower_1_day.jpg"));
        assertEquals("King's Cross", Labels.readable("King's Cross"));
        assertEquals("hall, stairs", Labels.readable("hall | stairs"));
        assertEquals("1234", Labels.readable("1234.jpg"));
        assertEquals("6 night", Labels.detail("p04_glass_office/p04_glass_office_6_night.jpg", "p04_glass_office"));
        assertEquals("clear", Labels.detail("Clock tower/p02_clock_tower_clear.jpg", "Clock tower"));
        assertEquals("Other", Labels.detail("other.jpg", "Market"));
        assertEquals("Market", Labels.detail("market.jpg", "Market"));
    }

    @Test
    public void distanceAndDirectionFromThePhotoOrTheFirstMatch() {
        double[] north = {51.501, -0.1};
        double[] southWest = {51.49, -0.117};
        assertEquals("111 m north of your photo", Places.line(words(), north, MARKET, null));
        assertEquals("1.6 km south-west of the first", Places.line(words(), southWest, null, MARKET));
        assertEquals("At the same spot", Places.line(words(), MARKET, MARKET.clone(), null));
        assertEquals("51.50000, -0.10000", Places.line(words(), MARKET, null, MARKET));
    }

    /** A point of the frame, as shares of the upright phone's width and height, on the screen. */
    private static float[] shown(int width, int height, int turned, float x, float y) {
        Matrix matrix = LivePage.transform(width, height, new Size(640, 480), 90, turned);
        float[] point = {x * width, y * height};
        matrix.mapPoints(point);
        return point;
    }

    @Test
    public void thePreviewCoversTheViewUnstretched() {
        for (int[] held : new int[][] {{300, 800, 0}, {800, 300, 90}, {800, 300, 270}, {500, 500, 0}}) {
            float[] start = shown(held[0], held[1], held[2], 0, 0);
            float[] right = shown(held[0], held[1], held[2], 1, 0);
            float[] down = shown(held[0], held[1], held[2], 0, 1);
            float[] middle = shown(held[0], held[1], held[2], 0.5f, 0.5f);
            double across = Math.hypot(right[0] - start[0], right[1] - start[1]);
            double along = Math.hypot(down[0] - start[0], down[1] - start[1]);
            assertEquals("480 by 640 upright", 640 / 480.0, along / across, 1e-4);
            assertEquals(held[0] / 2.0, middle[0], 1e-3);
            double covered = held[2] % 180 == 0 ? across : along;
            assertTrue(covered >= held[0] - 1e-3 && across * along >= held[0] * held[1] - 1);
        }
    }
}
