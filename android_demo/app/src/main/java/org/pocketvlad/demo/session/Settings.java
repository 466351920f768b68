package org.pocketvlad.demo.session;

import android.content.Context;
import android.content.SharedPreferences;

/** What a person has set: the threshold, where it is not the packaged one. */
final class Settings {
    private static final String THRESHOLD = "threshold";
    private final SharedPreferences preferences;

    Settings(Context context) {
        preferences = context.getSharedPreferences("settings", Context.MODE_PRIVATE);
    }

    double threshold(double packaged) {
        return preferences.getFloat(THRESHOLD, (float) packaged);
    }

    /** @param threshold null: the packaged one again */
    void setThreshold(Double threshold) {
        SharedPreferences.Editor editor = preferences.edit();
        if (threshold == null) {
            editor.remove(THRESHOLD);
        } else {
            editor.putFloat(THRESHOLD, threshold.floatValue());
        }
        editor.apply();
    }
}
