package org.pocketvlad.demo;

import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.lang.reflect.Field;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.Arrays;

/**
 * Calls every function of libpocketvlad.so as the app declares it and prints what comes back, a line each.
 * Arguments: preload library, APK, offsets and lengths of program and index, width, height, file of ARGB ints.
 */
public final class NativeRecognizer {
    static native long nativeOpen(int programFd, long programOffset, long programLength,
            int indexFd, long indexOffset, long indexLength);

    static native void nativeClose(long handle);

    static native float[] nativeDescribe(
            long handle, int[] argb, int width, int height, int orientation, long[] nanos);

    static native float[] nativeSearch(long handle, float[] descriptor, int k, int[] rows, long[] nanos);

    static native String nativeName(long handle, int row);

    static native String nativeLabel(long handle, int row);

    static native byte[] nativeThumbnail(long handle, int row);

    static native double[] nativePosition(long handle, int row);

    static native String nativeInfo(long handle);

    public static void main(String[] args) throws Exception {
        System.setOut(new java.io.PrintStream(System.out, true, "UTF-8"));
        System.load(args[0]);
        System.loadLibrary("pocketvlad");
        long[] at = Arrays.stream(args, 2, 6).mapToLong(Long::parseLong).toArray();
        long handle;
        try (FileInputStream apk = new FileInputStream(args[1])) {
            int fd = number(apk.getFD());
            refused("truncated program", () -> nativeOpen(fd, at[0], at[1] / 2, fd, at[2], at[3]));
            refused("no index", () -> nativeOpen(fd, at[0], at[1], fd, at[0], at[1]));
            handle = nativeOpen(fd, at[0], at[1], fd, at[2], at[3]);
        }
        System.out.println("info " + nativeInfo(handle));
        recognize(handle, Integer.parseInt(args[6]), Integer.parseInt(args[7]), args[8]);
        refused("row", () -> nativeName(handle, -1));
        refused("row", () -> nativeThumbnail(handle, 1000));
        refused("pixels", () -> nativeDescribe(handle, new int[5], 2, 3, 1, new long[2]));
        refused("orientation", () -> nativeDescribe(handle, new int[6], 2, 3, 9, new long[2]));
        refused("descriptor", () -> nativeSearch(handle, new float[3], 1, new int[1], new long[1]));
        nativeClose(handle);
        refused("closed", () -> nativeInfo(0));
        refused("closed", () -> nativeDescribe(0, new int[6], 2, 3, 1, new long[2]));
    }

    private static void recognize(long handle, int width, int height, String file) throws Exception {
        java.nio.ByteBuffer bytes = java.nio.ByteBuffer.wrap(Files.readAllBytes(Paths.get(file)));
        int[] argb = new int[width * height];
        bytes.order(java.nio.ByteOrder.LITTLE_ENDIAN).asIntBuffer().get(argb);
        long[] nanos = new long[2];
        float[] descriptor = nativeDescribe(handle, argb, width, height, 1, nanos);
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

    private static int number(FileDescriptor descriptor) throws ReflectiveOperationException {
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
