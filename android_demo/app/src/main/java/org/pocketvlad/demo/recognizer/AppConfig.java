package org.pocketvlad.demo.recognizer;

import org.json.JSONException;
import org.json.JSONObject;

/** The settings that packaging wrote into assets/app.json. */
public final class AppConfig {
    public static final String FILE = "app.json";

    public final String title;
    /** Cosine under which a place is unknown; -1 accepts every match. */
    public final double threshold;

    private AppConfig(String title, double threshold) {
        this.title = title;
        this.threshold = threshold;
    }

    /** @throws IllegalStateException the text is damaged */
    public static AppConfig parse(String text) {
        try {
            JSONObject json = new JSONObject(text);
            return new AppConfig(json.getString("title"), json.isNull("threshold") ? -1 : json.getDouble("threshold"));
        } catch (JSONException e) {
            throw new IllegalStateException("The app's settings are damaged: " + e.getMessage(), e);
        }
    }
}
