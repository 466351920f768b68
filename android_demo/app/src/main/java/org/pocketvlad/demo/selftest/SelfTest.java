package org.pocketvlad.demo.selftest;

import android.content.Context;
import android.graphics.Bitmap;
import android.graphics.BitmapFactory;
import android.os.Build;
import android.os.Debug;
import android.util.Log;
import java.io.BufferedReader;
import java.io.FileReader;
import java.io.IOException;
import java.util.HashMap;
import java.util.Map;
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
    static final String TAG = "pocketvlad"; // of the log
    private static final String FOLDER = "selftest/";
    private static final int MANIFEST_FORMAT = 1;
    private static final int RESULT_FORMAT = 2;
    private static final int RUNS = 5;

    private SelfTest() {}

    /**
     * The result as JSON, described in the project's README; where the test cannot run, why.
     *
     * @param seconds of recognising without a pause at its end; 0 for none
     * @param threads whether to measure with one thread, two and so on as well
     */
    public static JSONObject result(Context context, int seconds, boolean threads) {
        try {
            return run(context, seconds, threads);
        } catch (IOException | JSONException | RuntimeException | LinkageError | OutOfMemoryError e) {
            Log.e(TAG, "the self-test cannot run", e);
            Map<String, Object> failure = new HashMap<>();
            failure.put("passed", false);
            failure.put("error", e.getMessage() == null ? e.toString() : e.getMessage());
            return new JSONObject(failure);
        }
    }

    private static JSONObject run(Context context, int seconds, boolean threads) throws JSONException, IOException {
        JSONObject manifest = new JSONObject(Assets.text(context, FOLDER + "manifest.json"));
        JSONArray pictures = pictures(manifest);
        double least = manifest.getJSONObject("tolerance").getDouble("cosine");
        JSONArray results = new JSONArray();
        JSONArray reasons = new JSONArray();
        JSONObject info;
        Object sustained = JSONObject.NULL;
        Pixels first = picture(context, pictures.getJSONObject(0).getString("file"));
        JSONArray scaling = threads ? Scaling.run(context, first) : new JSONArray(); // before the phone is warm
        try (Recognizer recognizer = Assets.openRecognizer(context)) {
            info = recognizer.info().json;
            for (int i = 0; i < pictures.length(); i++) {
                results.put(check(context, recognizer, pictures.getJSONObject(i), least, reasons));
            }
            if (seconds > 0) sustained = Sustained.run(context, recognizer, first, seconds);
        }
        JSONObject memory = new JSONObject().put("pss_kb", Debug.getPss()).put("peak_kb", peakKilobytes());
        return new JSONObject().put("format", RESULT_FORMAT).put("where", "phone").put("passed", reasons.length() == 0)
                .put("reasons", reasons).put("device", device()).put("native", info).put("runs", RUNS)
                .put("pictures", results).put("memory", memory).put("scaling", scaling).put("sustained", sustained);
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
        Times.Runs times = new Times.Runs();
        Recognition answer = recognizer.recognize(picture, expectedTop.rows.length); // cold: not timed
        for (int run = 0; run < RUNS; run++) {
            answer = recognizer.recognize(picture, expectedTop.rows.length);
            times.add(answer);
        }
        Comparison comparison = Comparison.of(answer.descriptor, floats(expected.getJSONArray("descriptor")),
                top(answer), expectedTop, least);
        for (String reason : comparison.reasons) reasons.put(name + ": " + reason);
        return times.into(new JSONObject()).put("name", name).put("cosine", comparison.cosine)
                .put("max_difference", comparison.maxDifference).put("same_top", comparison.sameTop)
                .put("passed", comparison.reasons.isEmpty());
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
                .put("abi", Build.SUPPORTED_ABIS.length > 0 ? Build.SUPPORTED_ABIS[0] : "")
                .put("features", features());
    }

    /** What the kernel says of the processor (asimddp is the dot product), or JSON's null. */
    private static Object features() {
        try {
            String line = after("/proc/cpuinfo", Build.SUPPORTED_ABIS[0].startsWith("arm") ? "Features" : "flags");
            return line == null ? JSONObject.NULL : line.replaceFirst("^\\s*:\\s*", "");
        } catch (IOException e) {
            return JSONObject.NULL;
        }
    }

    /** The most memory this process ever held, in kB, or JSON's null where the kernel does not say. */
    private static Object peakKilobytes() throws IOException {
        String line = after("/proc/self/status", "VmHWM:");
        return line == null ? JSONObject.NULL : (Object) Long.parseLong(line.replaceAll("\\D", ""));
    }

    /** The rest of the first line of a file that begins so, or null. */
    private static String after(String file, String head) throws IOException {
        try (BufferedReader lines = new BufferedReader(new FileReader(file))) {
            for (String line; (line = lines.readLine()) != null; ) {
                if (line.startsWith(head)) return line.substring(head.length());
            }
        }
        return null;
    }
}
