package org.pocketvlad.demo;

import android.content.Context;
import android.graphics.Bitmap;
import android.graphics.BitmapFactory;
import android.os.Build;
import android.os.Debug;
import java.io.IOException;
import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;

/** Describes the pictures of assets/selftest and compares with what the workstation got for them. */
final class SelfTest {
    private static final int RUNS = 5;

    private SelfTest() {}

    /** The result as JSON; {@code passed} is false with reasons when anything differs. */
    static JSONObject run(Context context) throws JSONException, IOException {
        JSONObject manifest = new JSONObject(new String(AppConfig.bytes(context, "selftest/manifest.json"), "UTF-8"));
        double least = manifest.getJSONObject("tolerance").getDouble("cosine");
        JSONArray pictures = manifest.getJSONArray("pictures");
        JSONArray results = new JSONArray();
        boolean passed = true;
        JSONObject info;
        try (Recognizer recognizer = AppConfig.openRecognizer(context)) {
            info = new JSONObject(recognizer.info());
            for (int i = 0; i < pictures.length(); i++) {
                JSONObject result = check(context, recognizer, pictures.getJSONObject(i), least);
                passed &= result.getBoolean("passed");
                results.put(result);
            }
        }
        return new JSONObject().put("format", 1).put("passed", passed).put("device", device())
                .put("native", info).put("pictures", results).put("pss_kb", Debug.getPss());
    }

    private static JSONObject check(Context context, Recognizer recognizer, JSONObject expected, double least)
            throws JSONException, IOException {
        byte[] png = AppConfig.bytes(context, "selftest/" + expected.getString("file"));
        Bitmap bitmap = BitmapFactory.decodeByteArray(png, 0, png.length);
        Recognizer.Picture picture = PhotoReader.picture(bitmap, 1);
        JSONArray top = expected.getJSONArray("top");
        double[] inference = new double[RUNS];
        double[] preprocess = new double[RUNS];
        Recognizer.Recognition answer = null;
        for (int run = 0; run < RUNS; run++) {
            answer = recognizer.recognize(picture, top.length());
            inference[run] = answer.inferenceNanos / 1e6;
            preprocess[run] = answer.preprocessNanos / 1e6;
        }
        double cosine = cosine(answer.descriptor, expected.getJSONArray("descriptor"));
        boolean same = sameRows(answer, top);
        return new JSONObject().put("name", expected.getString("name")).put("cosine", cosine)
                .put("same_top", same).put("passed", same && cosine >= least)
                .put("preprocess_ms", median(preprocess)).put("inference_ms", median(inference))
                .put("search_ms", answer.searchNanos / 1e6);
    }

    static double cosine(float[] found, JSONArray expected) throws JSONException {
        if (found.length != expected.length()) return 0;
        double sum = 0;
        for (int i = 0; i < found.length; i++) sum += found[i] * expected.getDouble(i);
        return sum;
    }

    private static boolean sameRows(Recognizer.Recognition answer, JSONArray top) throws JSONException {
        if (answer.matches.size() != top.length()) return false;
        for (int i = 0; i < top.length(); i++) {
            if (answer.matches.get(i).row != top.getJSONObject(i).getInt("row")) return false;
        }
        return true;
    }

    static double median(double[] values) {
        double[] sorted = values.clone();
        java.util.Arrays.sort(sorted);
        return sorted[sorted.length / 2];
    }

    private static JSONObject device() throws JSONException {
        return new JSONObject().put("model", Build.MANUFACTURER + " " + Build.MODEL).put("sdk", Build.VERSION.SDK_INT)
                .put("abi", Build.SUPPORTED_ABIS.length > 0 ? Build.SUPPORTED_ABIS[0] : "");
    }
}
