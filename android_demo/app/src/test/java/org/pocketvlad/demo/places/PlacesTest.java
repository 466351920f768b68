package org.pocketvlad.demo.places;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotEquals;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import android.content.Context;
import android.graphics.Bitmap;
import android.net.Uri;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.junit.After;
import org.junit.Before;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.pocketvlad.demo.Fixture;
import org.pocketvlad.demo.recognizer.Assets;
import org.pocketvlad.demo.recognizer.Match;
import org.pocketvlad.demo.recognizer.Pixels;
import org.pocketvlad.demo.recognizer.Recognition;
import org.pocketvlad.demo.recognizer.Recognizer;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.RuntimeEnvironment;
import org.robolectric.Shadows;

/** Places added on the phone, searched with the packaged ones by the real library. */
@RunWith(RobolectricTestRunner.class)
public class PlacesTest {
    private static final double[] MARKET = {51.5, -0.125};

    private final Context context = RuntimeEnvironment.getApplication();
    private Recognizer recognizer;
    private AddedPlaces places;

    @Before
    public void open() throws Exception {
        Fixture.loadSystemLibraries();
        recognizer = Assets.openRecognizer(context);
        places = new AddedPlaces(context, recognizer);
        assertTrue(places.open());
    }

    @After
    public void close() {
        recognizer.close();
    }

    private static Pixels grey(int level) {
        byte[] bytes = new byte[4 * 16];
        for (int i = 0; i < bytes.length; i++) bytes[i] = (byte) (i % 3 == 0 ? level : 7 * i);
        ByteBuffer rgba = ByteBuffer.allocateDirect(bytes.length);
        rgba.put(bytes);
        return new Pixels(rgba, 4, 4, 1);
    }

    private float[] described(int level) {
        return recognizer.recognize(grey(level), 1).descriptor;
    }

    private List<Snapshot> snapshots(int... levels) {
        Bitmap picture = Bitmap.createBitmap(640, 480, Bitmap.Config.ARGB_8888);
        Snapshot[] snapshots = new Snapshot[levels.length];
        for (int i = 0; i < levels.length; i++) snapshots[i] = new Snapshot(picture, MARKET, described(levels[i]));
        return Arrays.asList(snapshots);
    }

    @Test
    public void anAddedPlaceIsRecognisedBesideThePackagedOnes() throws Exception {
        int packaged = recognizer.rows();
        places.add("Café Ω 漢字 😀", snapshots(10, 200), 17);
        assertEquals(packaged + 2, recognizer.rows());
        Recognition answer = recognizer.recognize(grey(200), 5);
        Match best = answer.matches.get(0);
        assertEquals(packaged + 1, best.row);
        assertEquals("Café Ω 漢字 😀", best.label);
        assertEquals("phone-17-2.jpg", best.name);
        assertEquals(1, best.cosine, 1e-5);
        assertArrayEquals(MARKET, best.position, 0);
        assertTrue(best.thumbnail.length > 100);
        assertArrayEquals(answer.descriptor, recognizer.descriptor(best.row), 1e-6f);
        assertTrue("packaged ones, too", answer.matches.stream().anyMatch(match -> match.row < packaged));
        for (int i = 1; i < 5; i++) assertTrue(answer.matches.get(i - 1).cosine >= answer.matches.get(i).cosine);

        recognizer.close(); // the app starts again
        recognizer = Assets.openRecognizer(context);
        places = new AddedPlaces(context, recognizer);
        assertTrue(places.open());
        assertEquals(Collections.singletonMap("Café Ω 漢字 😀", Arrays.asList(packaged, packaged + 1)), places.rows());
    }

    @Test
    public void placesAreRenamedJoinedAndDeleted() throws Exception {
        int packaged = recognizer.rows();
        places.add("A", snapshots(10), 1);
        places.add("B", snapshots(90, 200), 2);
        places.rename("A", "C");
        assertEquals(Arrays.asList("C", "B"), new java.util.ArrayList<>(places.rows().keySet()));
        places.rename("C", "B");
        assertEquals(3, places.rows().get("B").size());
        assertEquals(1, recognizer.recognize(grey(10), 1).matches.get(0).cosine, 1e-5);
        places.delete("B");
        assertEquals(packaged, recognizer.rows());
        assertFalse(added().exists());
        assertNotEquals("B", recognizer.recognize(grey(10), 1).matches.get(0).label);
    }

    @Test
    public void anExportedFileIsImportedAgain() throws Exception {
        int packaged = recognizer.rows();
        places.add("A", snapshots(10, 90), 1);
        ByteArrayOutputStream exported = new ByteArrayOutputStream();
        Uri target = Uri.parse("content://files/places.pvix");
        Shadows.shadowOf(context.getContentResolver()).registerOutputStream(target, exported);
        places.export(target);
        Fixture.keep("added", "pvix", exported.toByteArray());
        places.delete("A");
        places.add("B", snapshots(200), 2);
        assertEquals(2, places.importFrom(Fixture.publish(exported.toByteArray())));
        assertEquals(packaged + 3, recognizer.rows());
        assertEquals("A", recognizer.recognize(grey(90), 1).matches.get(0).label);
        assertEquals("the same photos again take their places", 2,
                places.importFrom(Fixture.publish(exported.toByteArray())));
        assertEquals(packaged + 3, recognizer.rows());
    }

    @Test
    public void aPackagedIndexOfAnyVectorTypeIsImported() throws Exception {
        int packaged = recognizer.rows();
        float[] first = recognizer.descriptor(0);
        assertEquals(packaged, places.importFrom(Fixture.publish(Files.readAllBytes(
                Fixture.file("files/places.pvix").toPath()))));
        assertEquals(2 * packaged, recognizer.rows());
        assertArrayEquals(first, recognizer.descriptor(packaged), 0);
    }

    @Test
    public void aFileThatIsNoneOrOfAnotherModelIsRefusedAndNothingChanges() throws Exception {
        int packaged = recognizer.rows();
        places.add("A", snapshots(10), 1);
        for (String name : new String[] {"damaged.pvix", "foreign.pvix", "model.pte"}) {
            Uri file = Fixture.publish(Files.readAllBytes(Fixture.file("files/" + name).toPath()));
            String said = assertThrows(IllegalStateException.class, () -> places.importFrom(file)).getMessage();
            assertTrue(said, said.startsWith("The place index"));
            assertEquals(packaged + 1, recognizer.rows());
            assertEquals("A", recognizer.recognize(grey(10), 1).matches.get(0).label);
        }
        assertEquals("no copy stays", 0, context.getCacheDir().listFiles((folder, name) -> name.endsWith(".pvix")).length);
    }

    /** Where the places of the open model are kept. */
    private File added() {
        String model = recognizer.info().json.optString("fingerprint").substring(0, 16);
        return new File(context.getFilesDir(), "places/" + model + ".pvix");
    }

    @Test
    public void placesOfAnotherModelAreKeptForIt() throws Exception {
        int packaged = recognizer.rows();
        File other = new File(added().getParentFile(), "0123456789abcdef.pvix");
        other.getParentFile().mkdirs();
        Files.copy(Fixture.file("files/foreign.pvix").toPath(), other.toPath());
        assertFalse(places.open());
        assertEquals(packaged, recognizer.rows());
        places.add("A", snapshots(10), 1);
        assertEquals(packaged + 1, recognizer.rows());
        assertTrue("once there are some of this model, nothing is to be said", places.open());
        assertTrue("kept", other.exists());
    }

    @Test
    public void damagedPlacesArePutAside() throws Exception {
        int packaged = recognizer.rows();
        File added = added();
        added.getParentFile().mkdirs();
        for (String file : new String[] {"damaged.pvix", "foreign.pvix"}) {
            Files.copy(Fixture.file("files/" + file).toPath(), added.toPath());
            assertFalse(places.open());
            assertEquals(packaged, recognizer.rows());
            assertFalse(added.exists());
            assertTrue("kept", new File(added.getPath() + ".damaged").exists());
        }
    }

    @Test
    public void namesAreWhatAnIndexMayHold() throws Exception {
        assertEquals("a b", AddedPlaces.label(" a\n\tb\u0000 "));
        assertEquals("", AddedPlaces.label(" \n"));
        String letters = String.join("", Collections.nCopies(199, "x"));
        assertEquals("no half a character", letters, AddedPlaces.label(letters + "😀"));
        assertNull(recognizer.photo(0).position);
    }
}
