package org.pocketvlad.demo;

import android.content.Context;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import org.json.JSONException;
import org.json.JSONObject;

/** What packaging wrote into assets/app.json. */
final class AppConfig {
    static final String PROGRAM = "model.pte";
    static final String INDEX = "places.pvix";

    final String title;
    /** Cosine under which a place is unknown; -1 accepts every match. */
    final double threshold;

    private AppConfig(String title, double threshold) {
        this.title = title;
        this.threshold = threshold;
    }

    static AppConfig read(Context context) throws IOException {
        try {
            JSONObject json = new JSONObject(new String(bytes(context, "app.json"), "UTF-8"));
            return new AppConfig(json.getString("title"), json.isNull("threshold") ? -1 : json.getDouble("threshold"));
        } catch (JSONException e) {
            throw new IOException("The app's settings are damaged", e);
        }
    }

    /** A whole asset. */
    static byte[] bytes(Context context, String asset) throws IOException {
        try (InputStream in = context.getAssets().open(asset)) {
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            byte[] buffer = new byte[1 << 14];
            for (int n; (n = in.read(buffer)) > 0; ) out.write(buffer, 0, n);
            return out.toByteArray();
        }
    }

    /** Opens the packaged program and index. */
    static Recognizer openRecognizer(Context context) throws IOException {
        try (MappableFile program = MappableFile.asset(context, PROGRAM);
                MappableFile index = MappableFile.asset(context, INDEX)) {
            return new NativeRecognizer(program, index);
        }
    }
}
