package org.pocketvlad.demo.ui;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;
import static org.junit.Assume.assumeTrue;
import static org.pocketvlad.demo.ui.App.settle;
import static org.pocketvlad.demo.ui.App.start;

import android.app.Activity;
import android.app.AlertDialog;
import android.content.Context;
import android.content.Intent;
import android.graphics.Bitmap;
import android.graphics.BitmapFactory;
import android.graphics.ImageFormat;
import android.graphics.SurfaceTexture;
import android.hardware.camera2.CameraCharacteristics;
import android.hardware.camera2.CameraManager;
import android.hardware.camera2.CameraMetadata;
import android.net.Uri;
import android.os.Build;
import android.util.Size;
import android.view.View;
import android.view.ViewGroup;
import android.widget.EditText;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import org.junit.Before;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.pocketvlad.demo.Fixture;
import org.pocketvlad.demo.R;
import org.pocketvlad.demo.recognizer.Frame;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.RuntimeEnvironment;
import org.robolectric.Shadows;
import org.robolectric.annotation.Config;
import org.robolectric.shadows.ShadowAlertDialog;
import org.robolectric.shadows.ShadowCameraCharacteristics;
import org.robolectric.shadow.api.Shadow;
import org.robolectric.shadows.StreamConfigurationMapBuilder;

/** The pages over the first screen: the live camera and the added places. */
@RunWith(RobolectricTestRunner.class)
@Config(qualifiers = "w360dp-h760dp-xhdpi")
public class PagesTest {
    @Before
    public void load() throws Exception {
        Fixture.loadSystemLibraries();
        App.allowCamera();
    }

    private static LivePage live(MainActivity activity) throws Exception {
        activity.findViewById(R.id.live).performClick();
        settle(activity);
        return (LivePage) activity.page;
    }

    /** A photo as a frame of a phone held upright. */
    private static Frame frame(String name) throws Exception {
        byte[] file = Fixture.photo(name);
        Bitmap photo = BitmapFactory.decodeByteArray(file, 0, file.length);
        int width = photo.getWidth();
        int height = photo.getHeight();
        ByteBuffer y = ByteBuffer.allocateDirect(width * height);
        ByteBuffer u = ByteBuffer.allocateDirect(((width + 1) / 2) * ((height + 1) / 2));
        ByteBuffer v = ByteBuffer.allocateDirect(u.capacity());
        for (int row = 0; row < height; row++) {
            for (int column = 0; column < width; column++) {
                int c = photo.getPixel(column, row);
                double red = c >> 16 & 255;
                double green = c >> 8 & 255;
                double blue = c & 255;
                y.put((byte) Math.round(0.299 * red + 0.587 * green + 0.114 * blue));
                if (row % 2 != 0 || column % 2 != 0) continue;
                u.put((byte) Math.round(128 - 0.168736 * red - 0.331264 * green + 0.499 * blue));
                v.put((byte) Math.round(128 + 0.499 * red - 0.418688 * green - 0.081312 * blue));
            }
        }
        return new Frame(y, u, v, width, (width + 1) / 2, 1, width, height, 1);
    }

    private static void see(MainActivity activity, LivePage page, Frame frame) throws Exception {
        activity.session.run(recognizer -> page.frame(frame));
        settle(activity);
    }

    @Test
    public void framesAreAnsweredOverThePreview() throws Exception {
        MainActivity activity = start();
        LivePage page = live(activity);
        assertEquals("This device has no camera the app can use.", Fixture.text(activity, R.id.live_place));
        Frame known = frame("known.jpg");
        see(activity, page, known);
        assertEquals(Fixture.place("known.jpg"), Fixture.text(activity, R.id.live_place));
        assertTrue(Fixture.visible(activity, R.id.live_thumbnail));
        for (int i = 0; i < 3; i++) see(activity, page, known);
        see(activity, page, frame("unknown.jpg"));
        assertEquals("one odd frame", Fixture.place("known.jpg"), Fixture.text(activity, R.id.live_place));
        String votes = Fixture.text(activity, R.id.live_detail);
        assertTrue(votes, votes.startsWith("4 of the last 5 frames"));
        String times = Fixture.text(activity, R.id.live_times);
        assertTrue(times, times.matches("[\\d.]+ frames/s · resize [\\d.]+ · model [\\d.]+ · search [\\d.]+ ms"));
        Fixture.screenshot(activity, "live");
        for (int i = 0; i < 7; i++) see(activity, page, frame("unknown.jpg"));
        assertEquals("Unknown place", Fixture.text(activity, R.id.live_place));
        assertFalse(Fixture.visible(activity, R.id.live_thumbnail));
        activity.findViewById(R.id.back).performClick();
        assertNull(activity.page);
        see(activity, page, known); // one that was on its way
        assertEquals("Where are you?", App.verdict(activity));
    }

    @Test
    public void aCameraThatDoesNotOpenSaysSo() throws Exception {
        CameraManager cameras = (CameraManager) RuntimeEnvironment.getApplication().getSystemService(
                Context.CAMERA_SERVICE);
        CameraCharacteristics plain = ShadowCameraCharacteristics.newCameraCharacteristics();
        Shadows.shadowOf(cameras).addCamera("0", plain); // it has no frames the app can read
        MainActivity activity = start();
        LivePage page = live(activity);
        assertEquals("This device has no camera the app can use.", Fixture.text(activity, R.id.live_place));
        page.failed(R.string.live_busy);
        settle(activity);
        assertEquals("Another app is using the camera.", Fixture.text(activity, R.id.live_place));
    }

    /** The camera's system on a JVM opens and starts a camera, but gives no frames. */
    @Test
    public void theBackCameraIsOpenedAndClosed() throws Exception {
        assumeTrue("Robolectric's camera of API 27 and older uses its thread after it has quit", Build.VERSION.SDK_INT > 27);
        CameraManager cameras = (CameraManager) RuntimeEnvironment.getApplication().getSystemService(
                Context.CAMERA_SERVICE);
        for (int facing : new int[] {CameraMetadata.LENS_FACING_FRONT, CameraMetadata.LENS_FACING_BACK}) {
            CameraCharacteristics traits = ShadowCameraCharacteristics.newCameraCharacteristics();
            ShadowCameraCharacteristics shadow = Shadow.extract(traits);
            shadow.set(CameraCharacteristics.LENS_FACING, facing);
            shadow.set(CameraCharacteristics.SENSOR_ORIENTATION, 90);
            shadow.set(CameraCharacteristics.SCALER_STREAM_CONFIGURATION_MAP, StreamConfigurationMapBuilder.newBuilder()
                    .addOutputSize(ImageFormat.YUV_420_888, new Size(640, 480))
                    .addOutputSize(ImageFormat.YUV_420_888, new Size(320, 240)).build());
            Shadows.shadowOf(cameras).addCamera("camera " + facing, traits);
        }
        MainActivity activity = start();
        LivePage page = live(activity);
        assertEquals("Looking…", Fixture.text(activity, R.id.live_place));
        page.onSurfaceTextureAvailable(new SurfaceTexture(1), 720, 1520);
        page.onSurfaceTextureSizeChanged(null, 720, 1520);
        settle(activity);
        assertEquals("Looking…", Fixture.text(activity, R.id.live_place));
        activity.close();
        page.stop(); // twice is once
        settle(activity);
    }

    /** Frames half a second apart are collected and named together. */
    @Test
    public void framesAreCollectedForAPlace() {
        Collector collector = new Collector();
        Bitmap picture = Bitmap.createBitmap(4, 3, Bitmap.Config.ARGB_8888);
        long second = 1_000_000_000L;
        assertFalse(collector.add(0, new float[1], () -> null));
        boolean enough = false;
        int asked = 0;
        while (!enough) enough = collector.add(++asked * second / 10, new float[1], () -> picture);
        assertEquals(Collector.FRAMES, collector.snapshots().size());
        assertEquals(1 + 5 * (Collector.FRAMES - 1), asked);
    }

    private static void name(String text) {
        AlertDialog dialog = (AlertDialog) ShadowAlertDialog.getLatestDialog();
        ((EditText) dialog.findViewById(R.id.name_of_place)).setText(text);
        dialog.getButton(AlertDialog.BUTTON_POSITIVE).performClick();
    }

    @Test
    public void aPlaceIsAddedRenamedExportedImportedAndDeleted() throws Exception {
        MainActivity activity = start();
        App.pick(activity, Fixture.photo("unknown.jpg"));
        assertEquals("Unknown place", App.verdict(activity));
        activity.findViewById(R.id.add_place).performClick();
        name("My workshop");
        settle(activity);
        assertEquals("My workshop", App.verdict(activity));

        activity.open(new PlacesPage(activity, activity.session, new Documents(activity, activity.session)));
        settle(activity);
        Fixture.screenshot(activity, "places");
        ViewGroup list = activity.findViewById(R.id.places);
        assertEquals(1, list.getChildCount());
        ByteArrayOutputStream exported = new ByteArrayOutputStream();
        Uri file = Fixture.publish(new byte[0]);
        Shadows.shadowOf(activity.getContentResolver()).registerOutputStream(file, exported);
        Intent asked = App.press(activity, R.id.export_places);
        assertEquals(Intent.ACTION_CREATE_DOCUMENT, asked.getAction());
        App.answer(activity, asked, Activity.RESULT_OK, file);
        assertTrue(exported.size() > 136);

        App.choose(list.getChildAt(0).findViewById(R.id.place_more), 0);
        name("  \n");
        name("The workshop");
        settle(activity);
        assertEquals("The workshop", App.verdict(activity));
        App.choose(list.getChildAt(0).findViewById(R.id.place_more), 1);
        ((AlertDialog) ShadowAlertDialog.getLatestDialog()).getButton(AlertDialog.BUTTON_POSITIVE).performClick();
        settle(activity);
        assertEquals(0, list.getChildCount());
        assertTrue(Fixture.visible(activity, R.id.no_places));
        assertEquals("Unknown place", App.verdict(activity));

        App.answer(activity, App.press(activity, R.id.import_places), Activity.RESULT_OK,
                Fixture.publish(new byte[200]));
        ShadowAlertDialog said = Shadows.shadowOf((AlertDialog) ShadowAlertDialog.getLatestDialog());
        assertEquals("The places stay as they were", said.getTitle().toString());
        App.answer(activity, App.press(activity, R.id.import_places), Activity.RESULT_OK,
                Fixture.publish(exported.toByteArray()));
        settle(activity);
        assertEquals("My workshop", App.verdict(activity));
        assertEquals(1, list.getChildCount());
    }

    @Test
    public void theMenuLeadsToThePlacesTheThresholdAndTheFigures() throws Exception {
        MainActivity activity = start();
        App.choose(activity.findViewById(R.id.more), 0);
        settle(activity);
        assertTrue(Fixture.visible(activity, R.id.no_places));
        assertFalse(activity.findViewById(R.id.export_places).isEnabled());
        activity.onBackPressed();
        assertNull(activity.page);
        App.choose(activity.findViewById(R.id.more), 1);
        assertNotNull(ShadowAlertDialog.getLatestDialog().findViewById(R.id.threshold_bar));
        App.choose(activity.findViewById(R.id.more), 4);
        settle(activity);
        ShadowAlertDialog about = Shadows.shadowOf((AlertDialog) ShadowAlertDialog.getLatestDialog());
        assertTrue(about.getMessage().toString(), about.getMessage().toString().matches("(?s)Model [\\d.]+ MB.*threads.*react-native-executorch.*"));
        ((AlertDialog) ShadowAlertDialog.getLatestDialog()).getButton(AlertDialog.BUTTON_NEUTRAL).performClick();
        settle(activity);
        ShadowAlertDialog licences = Shadows.shadowOf((AlertDialog) ShadowAlertDialog.getLatestDialog());
        String text = licences.getMessage().toString();
        for (String part : new String[] {"ExecuTorch", "XNNPACK", "Apache License"}) assertTrue(part, text.contains(part));
    }
}
