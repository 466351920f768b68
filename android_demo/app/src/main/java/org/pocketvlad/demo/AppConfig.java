package org.pocketvlad.demo;

import org.json.JSONException;
import org.json.JSONObject;

/** The settings that packaging wrote into assets/app.json. */
final class AppConfig {
    static final String FILE = "app.json";

    final String title;
    /** Cosine under which a place is unknown; -1 accepts every match. */
    final double threshold;

    private AppConfig(String title, double threshold) {
        this.title = title;
        this.threshold = threshold;
    }

    /** @throws IllegalStateException the text is damaged */
    static AppConfig parse(String text) {
        try {
            JSONObject json = new JSONObject(text);
            return new AppConfig(json.getString("title"), json.isNull("threshold") ? -1 : json.getDouble("threshold"));
        } catch (JSONException e) {
            throw new IllegalStateException("The app's settings are damaged: " + e.getMessage(), e);
        }
    }
}
