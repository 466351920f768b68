package org.pocketvlad.demo;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.util.Arrays;
import java.util.Collections;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.annotation.Config;

/** The classes without screens or native code. */
@RunWith(RobolectricTestRunner.class)
@Config(sdk = {26, 34, 35})
public class LogicTest {
    private static Recognizer.Match match(float cosine) {
        return new Recognizer.Match(0, cosine, "a.jpg", "", null, null);
    }

    @Test
    public void aVerdictIsKnownFromTheThresholdOn() {
        assertTrue(Verdict.of(Arrays.asList(match(0.7f), match(0.1f)), 0.7f).known);
        assertFalse(Verdict.of(Arrays.asList(match(0.69f)), 0.7).known);
        assertNull(Verdict.of(Collections.emptyList(), -1).best);
        assertFalse(Verdict.of(Arrays.asList(match(Float.NaN)), -1).known);
    }

    @Test
    public void aPhotoWithoutAPlaceIsCalledByItsName() {
        assertEquals("a.jpg", match(1).place());
        Recognizer.Match market = new Recognizer.Match(0, 1, "square/a.jpg", "Market", null, null);
        assertEquals("Market", market.place());
        assertEquals("a.jpg", market.file());
    }

    @Test
    public void sampleSizesAreTheLeastPowersOfTwoThatFit() {
        assertEquals(1, PhotoReader.sampleSize(1, 1));
        assertEquals(1, PhotoReader.sampleSize(2048, 1000));
        assertEquals(2, PhotoReader.sampleSize(2050, 100));
        assertEquals(4, PhotoReader.sampleSize(6000, 8000));
        assertEquals(8, PhotoReader.sampleSize(16000, 12500)); // 200 megapixels
    }

    @Test
    public void orientations() {
        assertEquals(Arrays.asList(0, 0, 180, 180, 270, 90, 90, 270), Arrays.asList(
                Orientation.degrees(1), Orientation.degrees(2), Orientation.degrees(3), Orientation.degrees(4),
                Orientation.degrees(5), Orientation.degrees(6), Orientation.degrees(7), Orientation.degrees(8)));
        assertTrue(Orientation.mirrored(2) && Orientation.mirrored(7));
        assertFalse(Orientation.mirrored(1) || Orientation.mirrored(6));
        assertEquals(1, Orientation.checked(0));
        assertEquals(1, Orientation.checked(9));
        assertEquals(8, Orientation.checked(8));
    }

    @Test
    public void settings() {
        AppConfig config = AppConfig.parse("{\"title\": \"Ort\", \"threshold\": 0.5}");
        assertEquals("Ort", config.title);
        assertEquals(0.5, config.threshold, 0);
        assertEquals(-1, AppConfig.parse("{\"title\": \"a\", \"threshold\": null}").threshold, 0);
        assertEquals(-1, AppConfig.parse("{\"title\": \"a\"}").threshold, 0);
        for (String damaged : new String[] {"", "{}", "[1]", "{\"title\": \"a\", \"threshold\": \"b\"}"}) {
            String said = assertThrows(IllegalStateException.class, () -> AppConfig.parse(damaged)).getMessage();
            assertTrue(said, said.startsWith("The app's settings are damaged"));
        }
    }

    @Test
    public void aDamagedDescriptionOfTheLibraryIsNoCrash() {
        assertThrows(IllegalStateException.class, () -> ProgramInfo.parse("{\"photos\": 3}"));
    }

    @Test
    public void comparisons() {
        float[] a = {0.6f, 0.8f};
        int[] rows = {3, 1};
        Comparison same = Comparison.of(a, a, rows, rows, 0.9999);
        assertTrue(same.reasons.isEmpty() && same.sameTop);
        assertEquals(1, same.cosine, 1e-6);
        Comparison other = Comparison.of(a, new float[] {0.8f, 0.6f}, rows, new int[] {1, 3}, 0.9999);
        assertEquals(0.96, other.cosine, 1e-6);
        assertEquals(0.2, other.maxDifference, 1e-6);
        assertEquals(Arrays.asList("a cosine of 0.960000, under 0.999900", "rows [3, 1] instead of [1, 3]"),
                other.reasons);
        Comparison shorter = Comparison.of(a, new float[1], rows, rows, 0.9999);
        assertEquals(Collections.singletonList("a descriptor of 2 values instead of 1"), shorter.reasons);
        Comparison broken = Comparison.of(new float[] {Float.NaN, 1}, a, rows, rows, 0.9999);
        assertEquals(0, broken.cosine, 0);
        assertFalse(broken.reasons.isEmpty());
    }

    @Test
    public void timesHaveThreeDigitsAtMost() {
        assertEquals("0.00", Milliseconds.text(2_500));
        assertEquals("0.25", Milliseconds.text(250_000));
        assertEquals("2.5", Milliseconds.text(2_500_000));
        assertEquals("25", Milliseconds.text(25_000_000));
    }

    @Test
    public void medians() {
        assertEquals(2, Comparison.median(new double[] {9, 1, 2}), 0);
        assertEquals(5, Comparison.median(new double[] {5}), 0);
    }
}
