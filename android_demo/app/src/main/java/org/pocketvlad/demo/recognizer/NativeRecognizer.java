package org.pocketvlad.demo.recognizer;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

/** The recogniser of libpocketvlad.so: program and index stay mapped, nothing is copied. */
public final class NativeRecognizer implements Recognizer {
    private static final String LIBRARY = "pocketvlad";

    private long handle;
    private final ProgramInfo info;

    /**
     * Opens a program and the index that belongs to it. The files may be closed afterwards.
     *
     * @throws IllegalStateException with one clear line: damaged, or of another model
     * @throws UnsatisfiedLinkError the APK's library does not load here
     */
    public NativeRecognizer(MappableFile program, MappableFile index) {
        System.loadLibrary(LIBRARY);
        handle = nativeOpen(program.descriptor(), program.offset, program.length,
                index.descriptor(), index.offset, index.length);
        try {
            info = ProgramInfo.parse(nativeInfo(handle));
        } catch (RuntimeException e) {
            close();
            throw e;
        }
    }

    /**
     * Threads of every recogniser opened from now on.
     *
     * @param count 0: as many as the runtime chose at first
     * @return whether it is so; not while a recogniser is open anywhere in this process
     */
    public static boolean setThreads(int count) {
        System.loadLibrary(LIBRARY);
        return nativeSetThreads(count);
    }

    @Override
    public Recognition recognize(Pixels photo, int k) {
        long[] nanos = new long[2];
        return matched(nativeDescribe(handle, photo.rgba, photo.width, photo.height, photo.orientation, nanos), k, nanos);
    }

    @Override
    public Recognition recognize(Frame frame, int k) {
        long[] nanos = new long[2];
        return matched(nativeDescribeYuv(handle, frame.y, frame.u, frame.v, frame.yRowStride, frame.chromaRowStride,
                frame.chromaPixelStride, frame.width, frame.height, frame.orientation, nanos), k, nanos);
    }

    private Recognition matched(float[] descriptor, int k, long[] nanos) {
        int[] rows = new int[k];
        long[] search = new long[1];
        float[] cosines = nativeSearch(handle, descriptor, k, rows, search);
        List<Match> matches = new ArrayList<>();
        for (int i = 0; i < cosines.length; i++) matches.add(match(rows[i], cosines[i]));
        return new Recognition(descriptor, matches, nanos[0], nanos[1], search[0]);
    }

    private Match match(int row, float cosine) {
        return new Match(row, cosine, nativeName(handle, row), nativeLabel(handle, row), nativeThumbnail(handle, row),
                nativePosition(handle, row));
    }

    @Override
    public void setAdded(MappableFile index) {
        if (index == null) {
            nativeSetAdded(handle, -1, 0, 0);
        } else {
            nativeSetAdded(handle, index.descriptor(), index.offset, index.length);
        }
    }

    @Override
    public int rows() {
        return nativeRows(handle);
    }

    @Override
    public Match photo(int row) {
        return match(row, 1);
    }

    @Override
    public float[] descriptor(int row) {
        return nativeDescriptor(handle, row);
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

    private static native void nativeSetAdded(long handle, int fd, long offset, long length);

    private static native void nativeClose(long handle);

    private static native float[] nativeDescribe(
            long handle, ByteBuffer rgba, int width, int height, int orientation, long[] nanos);

    private static native float[] nativeDescribeYuv(long handle, ByteBuffer y, ByteBuffer u, ByteBuffer v,
            int yRowStride, int chromaRowStride, int chromaPixelStride, int width, int height, int orientation,
            long[] nanos);

    private static native float[] nativeSearch(
            long handle, float[] descriptor, int k, int[] rows, long[] nanos);

    private static native int nativeRows(long handle);

    private static native float[] nativeDescriptor(long handle, int row);

    private static native String nativeName(long handle, int row);

    private static native String nativeLabel(long handle, int row);

    private static native byte[] nativeThumbnail(long handle, int row);

    private static native double[] nativePosition(long handle, int row);

    private static native boolean nativeSetThreads(int count);

    private static native String nativeInfo(long handle);
}
