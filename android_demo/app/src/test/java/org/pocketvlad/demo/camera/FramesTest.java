package org.pocketvlad.demo.camera;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;
import static org.junit.Assume.assumeTrue;

import android.graphics.Bitmap;
import android.graphics.BitmapFactory;
import android.os.Build;
import android.util.Size;
import java.io.File;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Queue;
import org.junit.Before;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.pocketvlad.demo.Fixture;
import org.pocketvlad.demo.photo.PhotoReader;
import org.pocketvlad.demo.recognizer.Assets;
import org.pocketvlad.demo.recognizer.Frame;
import org.pocketvlad.demo.recognizer.Recognition;
import org.pocketvlad.demo.recognizer.Recognizer;
import org.pocketvlad.demo.selftest.Comparison;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.RuntimeEnvironment;

/** Frames of the camera give the answers of photos. */
@RunWith(RobolectricTestRunner.class)
public class FramesTest {
    private static final int FRAMES = 200;
    private static final int[] DEGREES = {0, 90, 180, 270};

    @Before
    public void load() throws Exception {
        Fixture.loadSystemLibraries();
    }

    /** A photo as a camera would have written it: turned, with gaps in its rows, colours apart or interleaved. */
    private static Frame frame(Bitmap upright, int degrees, int padding, int chromaStep) {
        boolean lies = degrees % 180 != 0;
        int width = lies ? upright.getHeight() : upright.getWidth();
        int height = lies ? upright.getWidth() : upright.getHeight();
        int columns = (width + 1) / 2;
        int rows = (height + 1) / 2;
        int yStride = width + padding;
        int chromaStride = columns * chromaStep + padding;
        ByteBuffer y = ByteBuffer.allocateDirect(yStride * (height - 1) + width);
        ByteBuffer u = ByteBuffer.allocateDirect(chromaStride * (rows - 1) + (columns - 1) * chromaStep + 1);
        ByteBuffer v = ByteBuffer.allocateDirect(u.capacity());
        for (int row = 0; row < height; row++) {
            for (int column = 0; column < width; column++) {
                double[] own = colours(upright, degrees, column, row, width, height, 1);
                y.put(row * yStride + column, value(0.299 * own[0] + 0.587 * own[1] + 0.114 * own[2]));
                if (row % 2 != 0 || column % 2 != 0) continue;
                double[] c = colours(upright, degrees, column, row, width, height, 2);
                int at = row / 2 * chromaStride + column / 2 * chromaStep;
                u.put(at, value(128 - 0.168736 * c[0] - 0.331264 * c[1] + 0.5 * c[2]));
                v.put(at, value(128 + 0.5 * c[0] - 0.418688 * c[1] - 0.081312 * c[2]));
            }
        }
        return new Frame(y, u, v, yStride, chromaStride, chromaStep, width, height, Frames.orientation(degrees));
    }

    /** Mean red, green and blue of a block of the frame. */
    private static double[] colours(Bitmap upright, int degrees, int column, int row, int width, int height, int side) {
        double[] mean = new double[3];
        for (int i = 0; i < side * side; i++) {
            int x = Math.min(width - 1, column + i % side);
            int y = Math.min(height - 1, row + i / side);
            int colour = stored(upright, degrees, x, y, width, height);
            for (int k = 0; k < 3; k++) mean[k] += (colour >> 16 - 8 * k & 255) / (double) (side * side);
        }
        return mean;
    }

    private static byte value(double level) {
        return (byte) Math.max(0, Math.min(255, Math.round(level)));
    }

    /** A pixel of the frame which a turn clockwise makes upright. */
    private static int stored(Bitmap upright, int degrees, int column, int row, int width, int height) {
        switch (degrees) {
            case 90:
                return upright.getPixel(height - 1 - row, column);
            case 180:
                return upright.getPixel(width - 1 - column, height - 1 - row);
            case 270:
                return upright.getPixel(row, width - 1 - column);
            default:
                return upright.getPixel(column, row);
        }
    }

    @Test
    public void twoHundredFramesHaveTheAnswersOfTheirPhotos() throws Exception {
        assumeTrue("the same library on every API: once is enough", Build.VERSION.SDK_INT == 34);
        File[] photos = Fixture.file("places").listFiles();
        Arrays.sort(photos);
        double least = 1;
        try (Recognizer recognizer = Assets.openRecognizer(RuntimeEnvironment.getApplication())) {
            Bitmap photo = null;
            Recognition still = null;
            for (int i = 0; i < FRAMES; i++) {
                if (i % (FRAMES / photos.length + 1) == 0) {
                    photo = BitmapFactory.decodeFile(photos[i / (FRAMES / photos.length + 1)].getPath());
                    still = recognizer.recognize(PhotoReader.pixels(photo, 1), 5);
                }
                Recognition live = recognizer.recognize(frame(photo, DEGREES[i % 4], i % 3 * 16, 1 + i / 4 % 2), 5);
                String name = "frame " + i;
                assertEquals(name, still.matches.get(0).row, live.matches.get(0).row);
                assertEquals(name, still.matches.get(0).place(), live.matches.get(0).place());
                least = Math.min(least, Comparison.cosine(still.descriptor, live.descriptor));
            }
        }
        assertTrue("least cosine " + least, least > 0.99); // half the colours' resolution
        Fixture.note("frames", "least cosine of " + FRAMES + " frames with their photos " + least);
    }

    @Test
    public void aFrameShorterThanItsSizeSaysIsRefused() throws Exception {
        ByteBuffer few = ByteBuffer.allocateDirect(10);
        Frame[] odd = {new Frame(few, few, few, 8, 4, 1, 8, 8, 1), new Frame(few, few, few, -8, 4, 1, 2, 2, 1),
            new Frame(few, few, few, 2, 1, 0, 2, 2, 1), new Frame(few, few, few, 2, 1, 1, 0, 2, 1),
            new Frame(few, few, ByteBuffer.allocate(10), 2, 1, 1, 2, 2, 1),
            new Frame(few, few, few, 2, 1, 1, 2, 2, 9)};
        try (Recognizer recognizer = Assets.openRecognizer(RuntimeEnvironment.getApplication())) {
            for (Frame frame : odd) assertThrows(IllegalStateException.class, () -> recognizer.recognize(frame, 1));
            assertEquals(1, recognizer.recognize(new Frame(few, few, few, 2, 1, 1, 2, 2, 1), 1).matches.size());
        }
    }

    @Test
    public void theSmallestSizeOfAPhotosShapeThatIsTwiceTheInput() {
        Size[] sizes = {new Size(4000, 3000), new Size(1920, 1080), new Size(1280, 960), new Size(1280, 720),
            new Size(640, 480), new Size(320, 240)};
        assertEquals(new Size(640, 480), FrameSize.choose(sizes, 320));
        assertEquals(new Size(640, 480), FrameSize.choose(sizes, 256));
        assertEquals(new Size(1280, 960), FrameSize.choose(sizes, 640));
        assertEquals(new Size(320, 240), FrameSize.choose(new Size[] {new Size(320, 240)}, 640));
        assertEquals(new Size(1280, 720), FrameSize.choose(new Size[] {new Size(320, 240), new Size(1280, 720)}, 640));
    }

    @Test
    public void quarterTurnsAreExifOrientations() {
        int[] found = new int[6];
        for (int i = 0; i < 6; i++) found[i] = Frames.orientation(90 * (i - 1));
        assertArrayEquals(new int[] {8, 1, 6, 3, 8, 1}, found);
    }

    @Test
    public void whatIsUsedIsClosedAfterwards() {
        StringBuilder ends = new StringBuilder();
        Held held = new Held(() -> ends.append("ended "));
        assertTrue(held.take());
        held.close();
        assertEquals("", ends.toString()); // a frame is read still
        assertFalse(held.take());
        held.giveBack();
        held.close();
        assertEquals("ended ", ends.toString());
        Held unused = new Held(() -> ends.append("at once"));
        unused.close();
        assertEquals("ended at once", ends.toString());
    }

    @Test
    public void theNewestFrameIsAnsweredAndNoneWaits() {
        Queue<Runnable> queue = new ArrayDeque<>();
        int[] newest = {0};
        StringBuilder answered = new StringBuilder();
        NewestFrame frames = new NewestFrame(queue::add, () -> answered.append(newest[0]));
        for (int i = 1; i <= 3; i++) {
            newest[0] = i;
            frames.arrived();
        }
        assertEquals(1, queue.size());
        queue.poll().run();
        assertTrue(queue.isEmpty());
        newest[0] = 4;
        frames.arrived();
        Runnable busy = queue.poll();
        NewestFrame[] nested = {frames};
        newest[0] = 5;
        nested[0].arrived(); // before the worker has come to it
        assertTrue(queue.isEmpty());
        busy.run();
        assertEquals("35", answered.toString());
    }
}
