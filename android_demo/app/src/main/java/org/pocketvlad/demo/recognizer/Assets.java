package org.pocketvlad.demo.recognizer;

import android.content.Context;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;

/** The files packaged with the app. */
public final class Assets {
    private static final String PROGRAM = "model.pte";
    private static final String INDEX = "places.pvix";

    private Assets() {}

    /** A whole small asset. */
    public static byte[] bytes(Context context, String name) throws IOException {
        try (InputStream in = context.getAssets().open(name)) {
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            byte[] buffer = new byte[1 << 14];
            for (int n; (n = in.read(buffer)) > 0; ) out.write(buffer, 0, n);
            return out.toByteArray();
        }
    }

    public static String text(Context context, String name) throws IOException {
        return new String(bytes(context, name), StandardCharsets.UTF_8);
    }

    /**
     * Opens the packaged program and index.
     *
     * @throws IOException the APK lacks one of them
     * @throws IllegalStateException one is damaged, or they do not belong together
     * @throws UnsatisfiedLinkError the APK has no library for this processor
     */
    public static Recognizer openRecognizer(Context context) throws IOException {
        try (MappableFile program = MappableFile.asset(context, PROGRAM);
                MappableFile index = MappableFile.asset(context, INDEX)) {
            return new NativeRecognizer(program, index);
        }
    }
}
