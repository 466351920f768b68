package org.pocketvlad.demo.recognizer;

import android.content.Context;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;

/** The files packaged with the app. */
public final class Assets {
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

    /** Opens the packaged program and index, whatever a person has opened; throws as {@link Models#open()}. */
    public static Recognizer openRecognizer(Context context) throws IOException {
        try (MappableFile program = MappableFile.asset(context, Models.PROGRAM);
                MappableFile index = MappableFile.asset(context, Models.INDEX)) {
            return new NativeRecognizer(program, index);
        }
    }
}
