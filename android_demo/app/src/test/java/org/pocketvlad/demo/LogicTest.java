package org.pocketvlad.demo;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.util.Arrays;
import java.util.Collections;
import org.json.JSONException;
import org.json.JSONObject;
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

    private static ProgramInfo model(int height, int width) {
        return ProgramInfo.parse("{\"photos\": 1, \"isa\": \"\", \"program_bytes\": 1, \"index_bytes\": 1, "
                + "\"image_size\": [" + height + ", " + width + "]}");
    }

    /** The same cases as tests/model/test_reduction.py has for the workstation. */
    @Test
    public void largePhotosAreReducedByTheModelsInput() {
        int[][] cases = {
            {1, 1, 1}, {2047, 1536, 1}, {2048, 1535, 1}, {2048, 1536, 2}, {1536, 2048, 2}, {4096, 3072, 4},
            {4000, 3000, 2}, {16000, 12500, 8}, {16000, 1000, 1}, {30000, 1000, 2}
        };
        for (int[] photo : cases) {
            assertEquals(photo[0] + "x" + photo[1], photo[2], PhotoReader.reduction(photo[0], photo[1], model(192, 256)));
        }
        assertEquals(1, PhotoReader.reduction(4000, 3000, model(480, 640)));
        assertEquals(2, PhotoReader.reduction(8000, 6000, model(480, 640)));
        assertEquals(1, PhotoReader.fitting(5000, 5000));
        assertEquals(2, PhotoReader.fitting(5001, 5000));
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

    private static Comparison.Top top(int[] rows, double... cosines) {
        Comparison.Top top = new Comparison.Top(rows.length);
        System.arraycopy(rows, 0, top.rows, 0, rows.length);
        System.arraycopy(cosines, 0, top.cosines, 0, rows.length);
        return top;
    }

    @Test
    public void comparisons() {
        float[] a = {0.6f, 0.8f};
        Comparison.Top rows = top(new int[] {3, 1}, 0.9, 0.5);
        Comparison same = Comparison.of(a, a, rows, rows, 0.9999);
        assertTrue(same.reasons.isEmpty() && same.sameTop);
        assertEquals(1, same.cosine, 1e-6);
        Comparison turned = Comparison.of(a, a, rows, top(new int[] {1, 3}, 0.9, 0.5), 0.9999);
        assertEquals(Collections.singletonList("rows [3, 1] instead of [1, 3]"), turned.reasons);
        Comparison other = Comparison.of(a, new float[] {0.8f, 0.6f}, rows, rows, 0.9999);
        assertEquals(0.96, other.cosine, 1e-6);
        assertEquals(0.2, other.maxDifference, 1e-6);
        assertEquals(Collections.singletonList("a cosine of 0.960000, under 0.999900"), other.reasons);
        Comparison shorter = Comparison.of(a, new float[1], rows, rows, 0.9999);
        assertEquals(Collections.singletonList("a descriptor of 2 values instead of 1"), shorter.reasons);
        Comparison broken = Comparison.of(new float[] {Float.NaN, 1}, a, rows, rows, 0.9999);
        assertEquals(0, broken.cosine, 0);
        assertFalse(broken.reasons.isEmpty());
    }

    /** As tests/android/test_selftest.py has it for the workstation. */
    @Test
    public void rowsCloserThanRoundingMayChangePlaces() {
        float[] a = {0.6f, 0.8f};
        Comparison.Top expected = top(new int[] {4, 2, 7}, 0.5, 0.5, 0.3);
        assertTrue(Comparison.of(a, a, top(new int[] {2, 4, 7}, 0.5, 0.5 - 1e-7, 0.3), expected, 0.9999).sameTop);
        assertTrue(Comparison.of(a, a, top(new int[] {4, 2, 9}, 0.5, 0.5, 0.3), expected, 0.9999).sameTop);
        assertFalse(Comparison.of(a, a, top(new int[] {4, 2, 9}, 0.5, 0.5, 0.29), expected, 0.9999).sameTop);
        assertFalse(Comparison.of(a, a, top(new int[] {4, 7, 2}, 0.5, 0.5, 0.3), expected, 0.9999).sameTop);
        assertFalse(Comparison.of(a, a, top(new int[] {9, 2, 7}, 0.5, 0.5, 0.3), expected, 0.9999).sameTop);
        assertFalse(Comparison.of(a, a, top(new int[] {4, 4, 7}, 0.5, 0.5, 0.3), expected, 0.9999).sameTop);
        assertFalse(Comparison.of(a, a, top(new int[] {2, 4, 7}, Double.NaN, 0.5, 0.3), expected, 0.9999).sameTop);
    }

    @Test
    public void aSelfTestWithoutPicturesIsRefused() throws Exception {
        JSONObject empty = new JSONObject("{\"format\": 1, \"pictures\": []}");
        String said = assertThrows(JSONException.class, () -> SelfTest.pictures(empty)).getMessage();
        assertEquals("The APK's self-test has no pictures; package it again", said);
        JSONObject later = new JSONObject("{\"format\": 2, \"pictures\": [{}]}");
        assertThrows(JSONException.class, () -> SelfTest.pictures(later));
        assertEquals(1, SelfTest.pictures(new JSONObject("{\"format\": 1, \"pictures\": [{}]}")).length());
    }

    @Test
    public void timesHaveThreeDigitsAtMost() {
        assertEquals("0.00", Milliseconds.text(2_500));
        assertEquals("0.25", Milliseconds.text(250_000));
        assertEquals("2.5", Milliseconds.text(2_500_000));
        assertEquals("25", Milliseconds.text(25_000_000));
    }
}
