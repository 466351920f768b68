package org.pocketvlad.demo.recognizer;

import org.json.JSONException;
import org.json.JSONObject;

/** The settings that packaging wrote into assets/app.json. */
public final class AppConfig {
    public static final String FILE = "app.json";

    public final String title;
    /** Cosine under which a place is unknown; -1 accepts every match. */
    public final double threshold;
    /** What runs programs, and its version; empty where the packager did not say. */
    public final String runtime;

    private AppConfig(JSONObject json) throws JSONException {
        title = json.getString("title");
        threshold = json.isNull("threshold") ? -1 : json.getDouble("threshold");
        runtime = json.optString("runtime");
    }

    /** @throws IllegalStateException the text is damaged */
    public static AppConfig parse(String text) {
        try {
            return new AppConfig(new JSONObject(text));
        } catch (JSONException e) {
            throw new IllegalStateException("The app's settings are damaged: " + e.getMessage(), e);
        }
    }
}
