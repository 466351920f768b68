package org.pocketvlad.demo;

import org.json.JSONException;
import org.json.JSONObject;

/** Single values of JSON texts this app writes itself. */
final class Json {
    private Json() {}

    static int integer(String text, String key) {
        try {
            return new JSONObject(text).getInt(key);
        } catch (JSONException e) {
            throw new IllegalStateException("The native library's description is damaged", e);
        }
    }
}
