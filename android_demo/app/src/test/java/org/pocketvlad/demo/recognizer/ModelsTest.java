package org.pocketvlad.demo.recognizer;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import android.content.Context;
import android.net.Uri;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.junit.Before;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.pocketvlad.demo.Fixture;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.RuntimeEnvironment;

/** Another program and index, opened from files. */
@RunWith(RobolectricTestRunner.class)
public class ModelsTest {
    private final Context context = RuntimeEnvironment.getApplication();
    private Models models;

    @Before
    public void load() throws Exception {
        Fixture.loadSystemLibraries();
        models = new Models(context);
    }

    private static Uri file(String name) throws IOException {
        return Fixture.publish(Files.readAllBytes(Fixture.file("files/" + name).toPath()));
    }

    private static List<Uri> files(String... names) throws IOException {
        Uri[] files = new Uri[names.length];
        for (int i = 0; i < names.length; i++) files[i] = file(names[i]);
        return Arrays.asList(files);
    }

    private String fingerprint(Recognizer recognizer) {
        try (Recognizer open = recognizer) {
            return open.info().json.optString("fingerprint");
        }
    }

    @Test
    public void anotherModelIsOpenedAndStaysAndGoesAgain() throws Exception {
        String packaged = fingerprint(models.open());
        assertFalse(models.isOpened());
        String other = fingerprint(models.open(files("other.pvix", "other.pte")));
        assertFalse(packaged.equals(other));
        assertTrue(models.isOpened());
        assertEquals("after a new start", other, fingerprint(new Models(context).open()));
        assertEquals("its own, not what is open", packaged, fingerprint(Assets.openRecognizer(context)));
        assertEquals(packaged, fingerprint(models.openPackaged()));
        assertFalse(models.isOpened());
    }

    @Test
    public void anIndexAloneGoesWithTheProgramThatIsOpen() throws Exception {
        String packaged = fingerprint(models.open());
        assertEquals(packaged, fingerprint(models.open(Collections.singletonList(file("places.pvix")))));
        assertTrue(models.isOpened());
        assertEquals(packaged, fingerprint(models.open(Collections.singletonList(file("model.pte")))));
    }

    private void assertRefused(String reason, String... names) throws Exception {
        String said = assertThrows(IllegalStateException.class, () -> models.open(files(names))).getMessage();
        assertTrue(said, said.contains(reason));
        assertFalse(said, said.contains("\n"));
        assertFalse(models.isOpened());
        assertNull("no copy stays", new File(context.getFilesDir(), "opening").list());
        models.open().close();
    }

    @Test
    public void whatIsDamagedOrDoesNotFitIsRefusedAndNothingChanges() throws Exception {
        assertRefused("belongs to another model", "other.pvix");
        assertRefused("belongs to another model", "other.pte");
        assertRefused("The model file is damaged", "damaged.pte", "places.pvix");
        assertRefused("The place index is damaged: rule", "model.pte", "damaged.pvix");
        assertRefused("neither a program (.pte) nor a place index (.pvix)", "../model.json");
        Uri failing = Fixture.publish(() -> {
            throw new IllegalArgumentException("as a provider's failure arrives");
        });
        assertThrows(IllegalArgumentException.class, () -> models.open(Collections.singletonList(failing)));
        assertNull("no copy stays", new File(context.getFilesDir(), "opening").list());
        assertFalse(models.isOpened());
    }
}
