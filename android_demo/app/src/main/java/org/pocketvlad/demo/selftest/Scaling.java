package org.pocketvlad.demo.selftest;

import android.content.Context;
import java.io.IOException;
import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;
import org.pocketvlad.demo.recognizer.Assets;
import org.pocketvlad.demo.recognizer.NativeRecognizer;
import org.pocketvlad.demo.recognizer.Pixels;
import org.pocketvlad.demo.recognizer.Recognition;
import org.pocketvlad.demo.recognizer.Recognizer;

/** One picture with one thread, with two and so on: what do more cores help? */
final class Scaling {
    private static final int MOST = 8;
    private static final int RUNS = 20;
    private static final int WARM = 2; // runs that do not count

    private Scaling() {}

    /** A row for each number of threads; none while another recogniser is open. */
    static JSONArray run(Context context, Pixels picture) throws JSONException, IOException {
        JSONArray rows = new JSONArray();
        int most = Math.min(MOST, Runtime.getRuntime().availableProcessors());
        try {
            for (int threads = 1; threads <= most && NativeRecognizer.setThreads(threads); threads++) {
                rows.put(row(context, picture).put("threads", threads));
            }
        } finally {
            NativeRecognizer.setThreads(0);
        }
        return rows;
    }

    private static JSONObject row(Context context, Pixels picture) throws JSONException, IOException {
        try (Recognizer recognizer = Assets.openRecognizer(context)) {
            for (int run = 0; run < WARM; run++) recognizer.recognize(picture, 1);
            Times.Runs runs = new Times.Runs();
            for (int run = 0; run < RUNS; run++) runs.add(recognizer.recognize(picture, 1));
            return runs.into(new JSONObject());
        }
    }
}
