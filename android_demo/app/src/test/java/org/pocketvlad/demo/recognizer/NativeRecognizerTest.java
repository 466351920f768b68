package org.pocketvlad.demo.recognizer;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import android.content.Context;
import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import org.junit.Before;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.RuntimeEnvironment;
import org.pocketvlad.demo.Fixture;

/** The native library through the app's own interface. */
@RunWith(RobolectricTestRunner.class)
public class NativeRecognizerTest {
    @Before
    public void load() throws Exception {
        Fixture.loadSystemLibraries();
    }

    private static void assertRefused(String program, String index, String reason) throws Exception {
        try (MappableFile p = MappableFile.file(Fixture.file("files/" + program));
                MappableFile i = MappableFile.file(Fixture.file("files/" + index))) {
            String said = assertThrows(IllegalStateException.class, () -> new NativeRecognizer(p, i)).getMessage();
            assertTrue(said, said.contains(reason));
            assertFalse(said, said.contains("\n"));
        }
    }

    @Test
    public void anIndexOfAnotherModelIsRefused() throws Exception {
        assertRefused("model.pte", "foreign.pvix", "The place index belongs to another model");
    }

    @Test
    public void aDamagedIndexIsRefusedWithTheRuleItBreaks() throws Exception {
        assertRefused("model.pte", "damaged.pvix", "The place index is damaged: rule");
    }

    @Test
    public void aDamagedProgramIsRefused() throws Exception {
        assertRefused("damaged.pte", "places.pvix", "The model file is damaged");
        assertRefused("places.pvix", "places.pvix", "The model file is damaged");
    }

    @Test
    public void programAndIndexAreMappedFromTheApkAndOthersFromOneCopy() throws Exception {
        Context context = RuntimeEnvironment.getApplication();
        try (MappableFile program = MappableFile.asset(context, "model.pte")) {
            assertEquals(0, program.offset % 4096);
            assertTrue("inside the APK", program.offset > 0);
            assertEquals(Fixture.file("files/model.pte").length(), program.length);
        }
        File[] before = context.getNoBackupFilesDir().listFiles();
        assertEquals(0, before.length);
        for (int i = 0; i < 2; i++) {
            try (MappableFile compressed = MappableFile.asset(context, "app.json")) {
                assertEquals(0, compressed.offset);
                assertEquals(Assets.bytes(context, "app.json").length, compressed.length);
            }
            assertEquals(1, context.getNoBackupFilesDir().listFiles().length);
        }
        for (long offset : new long[] {0, 4, 4095, 4096, 8256}) { // bundletool and Gradle align to 4
            assertEquals(offset == 0 || offset == 4096, MappableFile.isAligned(offset));
        }
        assertThrows(IOException.class, () -> MappableFile.asset(context, "none.bin"));
        assertEquals("no partial copy stays", 1, context.getNoBackupFilesDir().listFiles().length);
    }

    @Test
    public void aClosedRecognizerSaysSoAndClosesTwice() throws Exception {
        Recognizer recognizer = Assets.openRecognizer(RuntimeEnvironment.getApplication());
        recognizer.close();
        recognizer.close();
        Pixels pixel = new Pixels(ByteBuffer.allocateDirect(4), 1, 1, 1);
        assertThrows(IllegalStateException.class, () -> recognizer.recognize(pixel, 1));
    }

    @Test
    public void moreMatchesThanPhotosGiveAllPhotos() throws Exception {
        try (Recognizer recognizer = Assets.openRecognizer(RuntimeEnvironment.getApplication())) {
            Pixels pixel = new Pixels(ByteBuffer.allocateDirect(4), 1, 1, 1);
            int photos = recognizer.info().photos;
            assertEquals(photos, recognizer.recognize(pixel, photos + 10).matches.size());
        }
    }
}
