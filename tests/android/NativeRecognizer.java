package org.pocketvlad.demo.recognizer;

import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.lang.reflect.Field;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.Arrays;

/**
 * Calls every function of libpocketvlad.so as the app declares it and prints what comes back, a line each.
 * Arguments: preload library, APK, offsets and lengths of program and index, width, height, file of RGBA bytes.
 */
public final class NativeRecognizer {
    static native long nativeOpen(int programFd, long programOffset, long programLength,
            int indexFd, long indexOffset, long indexLength);

    static native void nativeClose(long handle);

    static native void nativeSetAdded(long handle, int fd, long offset, long length);

    static native float[] nativeDescribe(
            long handle, ByteBuffer rgba, int width, int height, int orientation, long[] nanos);

    static native float[] nativeDescribeYuv(long handle, ByteBuffer y, ByteBuffer u, ByteBuffer v, int yRowStride,
            int chromaRowStride, int chromaPixelStride, int width, int height, int orientation, long[] nanos);

    static native int nativeRows(long handle);

    static native float[] nativeDescriptor(long handle, int row);

    static native float[] nativeSearch(long handle, float[] descriptor, int k, int[] rows, long[] nanos);

    static native String nativeName(long handle, int row);

    static native String nativeLabel(long handle, int row);

    static native byte[] nativeThumbnail(long handle, int row);

    static native double[] nativePosition(long handle, int row);

    static native String nativeInfo(long handle);

    static native boolean nativeSetThreads(int count);

    public static void main(String[] args) throws Exception {
        System.setOut(new java.io.PrintStream(System.out, true, "UTF-8"));
        System.load(args[0]);
        System.loadLibrary("pocketvlad");
        long[] at = Arrays.stream(args, 2, 6).mapToLong(Long::parseLong).toArray();
        try (FileInputStream apk = new FileInputStream(args[1])) {
            int fd = number(apk.getFD());
            refused("truncated program", () -> nativeOpen(fd, at[0], at[1] / 2, fd, at[2], at[3]));
            refused("no index", () -> nativeOpen(fd, at[0], at[1], fd, at[0], at[1]));
            threads(fd, at);
            long handle = nativeOpen(fd, at[0], at[1], fd, at[2], at[3]);
            System.out.println("while open " + nativeSetThreads(1));
            refused("no added index", () -> nativeSetAdded(handle, fd, at[0], at[1]));
            System.out.println("photos " + nativeRows(handle));
            recognize(handle, Integer.parseInt(args[6]), Integer.parseInt(args[7]), args[8]);
            nativeSetAdded(handle, fd, at[2], at[3]);
            twice(handle);
            nativeSetAdded(handle, -1, 0, 0);
            System.out.println("again " + nativeRows(handle));
            refuse(handle);
        }
    }

    /** The number the next recogniser has, whatever an earlier one had; refused openings leave nothing behind. */
    private static void threads(int fd, long[] at) {
        for (int count : new int[] {1, 3, 0, -1}) {
            boolean done = nativeSetThreads(count);
            long handle = nativeOpen(fd, at[0], at[1], fd, at[2], at[3]);
            System.out.println("threads " + count + " " + done + " " + nativeInfo(handle).replaceAll(".*\"threads\":(\\d+).*", "$1"));
            nativeClose(handle);
        }
    }

    private static void refuse(long handle) {
        refused("row", () -> nativeName(handle, -1));
        refused("row", () -> nativeThumbnail(handle, 1000));
        refused("row", () -> nativeDescriptor(handle, nativeRows(handle)));
        ByteBuffer few = ByteBuffer.allocateDirect(20);
        refused("pixels", () -> nativeDescribe(handle, few, 2, 3, 1, new long[2]));
        refused("heap", () -> nativeDescribe(handle, ByteBuffer.allocate(24), 2, 3, 1, new long[2]));
        refused("orientation", () -> nativeDescribe(handle, few, 2, 2, 9, new long[2]));
        refused("frame", () -> nativeDescribeYuv(handle, few, few, few, 8, 4, 1, 8, 8, 1, new long[2]));
        refused("size", () -> nativeDescribeYuv(handle, few, few, few, 8, 4, 1, 0, 8, 1, new long[2]));
        refused("descriptor", () -> nativeSearch(handle, new float[3], 1, new int[1], new long[1]));
        nativeClose(handle);
        refused("closed", () -> nativeInfo(0));
        refused("closed", () -> nativeDescribe(0, few, 2, 2, 1, new long[2]));
        refused("closed", () -> nativeSetAdded(0, -1, 0, 0));
    }

    /** The index searched together with itself: every photo twice, with equal cosines. */
    private static void twice(long handle) {
        int photos = nativeRows(handle) / 2;
        int[] rows = new int[4];
        float[] cosines = nativeSearch(handle, nativeDescriptor(handle, photos), 4, rows, new long[1]);
        System.out.println("twice " + Arrays.toString(rows) + " " + photos);
        System.out.println("equal " + (cosines[0] == cosines[1] && cosines[2] == cosines[3]));
        System.out.println("same " + nativeName(handle, 1).equals(nativeName(handle, photos + 1)));
    }

    private static void recognize(long handle, int width, int height, String file) throws Exception {
        System.out.println("info " + nativeInfo(handle));
        byte[] bytes = Files.readAllBytes(Paths.get(file));
        ByteBuffer rgba = ByteBuffer.allocateDirect(bytes.length).put(bytes);
        long[] nanos = new long[2];
        float[] descriptor = nativeDescribe(handle, rgba, width, height, 1, nanos);
        System.out.println("descriptor " + Arrays.toString(descriptor));
        int[] rows = new int[1000];
        long[] search = new long[1];
        float[] cosines = nativeSearch(handle, descriptor, 1000, rows, search);
        System.out.println("cosines " + Arrays.toString(cosines));
        System.out.println("rows " + Arrays.toString(Arrays.copyOf(rows, cosines.length)));
        System.out.println("timed " + (nanos[0] > 0 && nanos[1] > 0 && search[0] > 0));
        System.out.println("name " + nativeName(handle, rows[0]));
        System.out.println("label " + nativeLabel(handle, rows[0]));
        byte[] thumbnail = nativeThumbnail(handle, rows[0]);
        System.out.println("thumbnail " + thumbnail.length + " "
                + new String(thumbnail, 6, 4, StandardCharsets.US_ASCII));
        System.out.println("position " + Arrays.toString(nativePosition(handle, rows[0])));
    }

    static int number(FileDescriptor descriptor) throws ReflectiveOperationException {
        Field field = FileDescriptor.class.getDeclaredField("fd");
        field.setAccessible(true);
        return field.getInt(descriptor);
    }

    private static void refused(String what, Runnable call) {
        try {
            call.run();
            System.out.println("accepted " + what);
        } catch (IllegalStateException e) {
            System.out.println("refused " + what + ": " + e.getMessage());
        }
    }
}
