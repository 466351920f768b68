package org.pocketvlad.demo.session;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.util.Arrays;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.robolectric.RobolectricTestRunner;
import org.pocketvlad.demo.photo.Orientation;
import org.pocketvlad.demo.photo.PhotoReader;
import org.pocketvlad.demo.recognizer.AppConfig;
import org.pocketvlad.demo.recognizer.Match;
import org.pocketvlad.demo.recognizer.ProgramInfo;

/** The classes without screens or native code. */
@RunWith(RobolectricTestRunner.class)
public class LogicTest {
    private static Match match(float cosine) {
        return new Match(0, cosine, "a.jpg", "", null, null);
    }

    @Test
    public void aVerdictIsKnownFromTheThresholdOn() {
        assertTrue(Verdict.of(Arrays.asList(match(0.7f), match(0.1f)), 0.7f).known);
        assertFalse(Verdict.of(Arrays.asList(match(0.69f)), 0.7).known);
        assertFalse(Verdict.of(Arrays.asList(match(Float.NaN)), -1).known);
    }

    @Test
    public void aPhotoWithoutAPlaceIsCalledByItsName() {
        assertEquals("a.jpg", match(1).place());
        Match market = new Match(0, 1, "square/a.jpg", "Market", null, null);
        assertEquals("Market", market.place());
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

    @Test
    public void timesHaveThreeDigitsAtMost() {
        assertEquals("0.003", Milliseconds.text(2_500));
        assertEquals("0.25", Milliseconds.text(250_000));
        assertEquals("2.5", Milliseconds.text(2_500_000));
        assertEquals("25", Milliseconds.text(25_000_000));
    }

    private static Verdict frame(String place, float cosine) {
        return Verdict.of(Arrays.asList(new Match(0, cosine, place, place, null, null)), 0.5);
    }

    @Test
    public void oneOddFrameDoesNotChangeTheVote() {
        Vote vote = new Vote();
        vote.add(frame("Market", 0.9f));
        assertEquals("shown at once", "Market", vote.place().place());
        vote.add(frame("Market", 0.8f));
        vote.add(frame("Market", 0.7f));
        vote.add(frame("Bridge", 0.9f));
        vote.add(frame("Tower", 0.2f));
        assertEquals("Market", vote.place().place());
        assertEquals(3, vote.votes());
        for (int i = 0; i < 4; i++) vote.add(frame("Bridge", 0.6f));
        assertEquals("Bridge", vote.place().place());
        assertEquals(0.6, vote.place().cosine, 1e-6);
        assertEquals(5, vote.votes());
        assertEquals(Vote.FRAMES, vote.frames());
        for (int i = 0; i < 3; i++) vote.add(frame("Tower", 0.2f));
        assertEquals("three of seven are no majority", "Bridge", vote.place().place());
        vote.add(frame("Tower", 0.2f));
        assertNull("unknown", vote.place());
    }

    @Test
    public void framesASecondOverTheLastSecond() {
        Rate rate = new Rate();
        assertEquals(0, rate.perSecond(), 0);
        for (int i = 0; i < 50; i++) rate.tick(i * 100_000_000L);
        assertEquals(10, rate.perSecond(), 1e-9);
        rate.tick(49 * 100_000_000L + 4_000_000_000L);
        assertTrue(rate.perSecond() < 1);
    }
}
