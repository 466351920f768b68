package org.pocketvlad.demo.selftest;

import android.content.Context;
import android.graphics.Bitmap;
import android.graphics.BitmapFactory;
import android.os.Build;
import android.os.Debug;
import java.io.BufferedReader;
import java.io.FileReader;
import java.io.IOException;
import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;
import org.pocketvlad.demo.photo.Orientation;
import org.pocketvlad.demo.photo.PhotoReader;
import org.pocketvlad.demo.recognizer.Assets;
import org.pocketvlad.demo.recognizer.Pixels;
import org.pocketvlad.demo.recognizer.Recognition;
import org.pocketvlad.demo.recognizer.Recognizer;

/** Describes the pictures of assets/selftest and compares with what the workstation got for them. */
public final class SelfTest {
    private static final String FOLDER = "selftest/";
    private static final int MANIFEST_FORMAT = 1;
    private static final int RESULT_FORMAT = 2;
    private static final int RUNS = 5;

    private SelfTest() {}

    /** The result as JSON, described in the project's README. */
    static JSONObject run(Context context) throws JSONException, IOException {
        JSONObject manifest = new JSONObject(Assets.text(context, FOLDER + "manifest.json"));
        JSONArray pictures = pictures(manifest);
        double least = manifest.getJSONObject("tolerance").getDouble("cosine");
        JSONArray results = new JSONArray();
        JSONArray reasons = new JSONArray();
        JSONObject info;
        try (Recognizer recognizer = Assets.openRecognizer(context)) {
            info = recognizer.info().json;
            for (int i = 0; i < pictures.length(); i++) {
                results.put(check(context, recognizer, pictures.getJSONObject(i), least, reasons));
            }
        }
        JSONObject memory = new JSONObject().put("pss_kb", Debug.getPss()).put("peak_kb", peakKilobytes());
        return new JSONObject().put("format", RESULT_FORMAT).put("where", "phone").put("passed", reasons.length() == 0)
                .put("reasons", reasons).put("device", device()).put("native", info).put("runs", RUNS)
                .put("pictures", results).put("memory", memory);
    }

    /** @throws JSONException another version's manifest, or one without a picture */
    static JSONArray pictures(JSONObject manifest) throws JSONException {
        if (manifest.getInt("format") != MANIFEST_FORMAT) throw new JSONException("a self-test of another version");
        JSONArray pictures = manifest.getJSONArray("pictures");
        if (pictures.length() == 0) throw new JSONException("The APK's self-test has no pictures; package it again");
        return pictures;
    }

    private static JSONObject check(Context context, Recognizer recognizer, JSONObject expected, double least,
            JSONArray reasons) throws JSONException, IOException {
        String name = expected.getString("name");
        Pixels picture = picture(context, expected.getString("file"));
        Comparison.Top expectedTop = top(expected.getJSONArray("top"));
        JSONArray preprocess = new JSONArray();
        JSONArray inference = new JSONArray();
        JSONArray search = new JSONArray();
        Recognition answer = null;
        for (int run = 0; run < RUNS; run++) {
            answer = recognizer.recognize(picture, expectedTop.rows.length);
            preprocess.put(answer.preprocessNanos / 1e6);
            inference.put(answer.inferenceNanos / 1e6);
            search.put(answer.searchNanos / 1e6);
        }
        Comparison comparison = Comparison.of(answer.descriptor, floats(expected.getJSONArray("descriptor")),
                top(answer), expectedTop, least);
        for (String reason : comparison.reasons) reasons.put(name + ": " + reason);
        return new JSONObject().put("name", name).put("cosine", comparison.cosine)
                .put("max_difference", comparison.maxDifference).put("same_top", comparison.sameTop)
                .put("passed", comparison.reasons.isEmpty())
                .put("preprocess_ms", preprocess).put("inference_ms", inference).put("search_ms", search);
    }

    private static Pixels picture(Context context, String file) throws IOException {
        byte[] png = Assets.bytes(context, FOLDER + file);
        Bitmap bitmap = BitmapFactory.decodeByteArray(png, 0, png.length);
        if (bitmap == null) throw new IOException("The self-test's picture " + file + " is damaged");
        return PhotoReader.pixels(bitmap, Orientation.UPRIGHT);
    }

    private static Comparison.Top top(JSONArray matches) throws JSONException {
        Comparison.Top top = new Comparison.Top(matches.length());
        for (int i = 0; i < top.rows.length; i++) {
            top.rows[i] = matches.getJSONObject(i).getInt("row");
            top.cosines[i] = matches.getJSONObject(i).getDouble("cosine");
        }
        return top;
    }

    private static Comparison.Top top(Recognition answer) {
        Comparison.Top top = new Comparison.Top(answer.matches.size());
        for (int i = 0; i < top.rows.length; i++) {
            top.rows[i] = answer.matches.get(i).row;
            top.cosines[i] = answer.matches.get(i).cosine;
        }
        return top;
    }

    private static float[] floats(JSONArray values) throws JSONException {
        float[] floats = new float[values.length()];
        for (int i = 0; i < floats.length; i++) floats[i] = (float) values.getDouble(i);
        return floats;
    }

    private static JSONObject device() throws JSONException {
        return new JSONObject().put("model", Build.MANUFACTURER + " " + Build.MODEL).put("sdk", Build.VERSION.SDK_INT)
                .put("abi", Build.SUPPORTED_ABIS.length > 0 ? Build.SUPPORTED_ABIS[0] : "");
    }

    /** The most memory this process ever held, in kB, or JSON's null where the kernel does not say. */
    private static Object peakKilobytes() throws IOException {
        try (BufferedReader status = new BufferedReader(new FileReader("/proc/self/status"))) {
            for (String line; (line = status.readLine()) != null; ) {
                if (line.startsWith("VmHWM:")) return Long.parseLong(line.replaceAll("\\D", ""));
            }
        }
        return JSONObject.NULL;
    }
}
