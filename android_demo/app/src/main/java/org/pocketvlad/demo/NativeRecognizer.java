package org.pocketvlad.demo;

import java.util.ArrayList;
import java.util.List;

/** The recogniser of libpocketvlad.so: program and index stay mapped, nothing is copied. */
final class NativeRecognizer implements Recognizer {
    private long handle;
    private final ProgramInfo info;

    /**
     * Opens a program and the index that belongs to it. The files may be closed afterwards.
     *
     * @throws IllegalStateException with one clear line: damaged, or of another model
     * @throws UnsatisfiedLinkError the APK has no library for this processor
     */
    NativeRecognizer(MappableFile program, MappableFile index) {
        System.loadLibrary("pocketvlad");
        handle = nativeOpen(program.descriptor(), program.offset, program.length,
                index.descriptor(), index.offset, index.length);
        info = ProgramInfo.parse(nativeInfo(handle));
    }

    @Override
    public Recognition recognize(Picture picture, int k) {
        long[] nanos = new long[2];
        float[] descriptor = nativeDescribe(
                handle, picture.argb, picture.width, picture.height, picture.orientation, nanos);
        int[] rows = new int[k];
        long[] search = new long[1];
        float[] cosines = nativeSearch(handle, descriptor, k, rows, search);
        List<Match> matches = new ArrayList<>();
        for (int i = 0; i < cosines.length; i++) {
            matches.add(new Match(rows[i], cosines[i], nativeName(handle, rows[i]), nativeLabel(handle, rows[i]),
                    nativeThumbnail(handle, rows[i]), nativePosition(handle, rows[i])));
        }
        return new Recognition(descriptor, matches, nanos[0], nanos[1], search[0]);
    }

    @Override
    public ProgramInfo info() {
        return info;
    }

    @Override
    public void close() {
        long closing = handle;
        handle = 0;
        if (closing != 0) nativeClose(closing);
    }

    private static native long nativeOpen(int programFd, long programOffset, long programLength,
            int indexFd, long indexOffset, long indexLength);

    private static native void nativeClose(long handle);

    private static native float[] nativeDescribe(
            long handle, int[] argb, int width, int height, int orientation, long[] nanos);

    private static native float[] nativeSearch(
            long handle, float[] descriptor, int k, int[] rows, long[] nanos);

    private static native String nativeName(long handle, int row);

    private static native String nativeLabel(long handle, int row);

    private static native byte[] nativeThumbnail(long handle, int row);

    private static native double[] nativePosition(long handle, int row);

    private static native String nativeInfo(long handle);
}
