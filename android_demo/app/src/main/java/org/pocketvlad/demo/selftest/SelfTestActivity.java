package org.pocketvlad.demo.selftest;

import android.app.Activity;
import android.os.Bundle;
import android.util.Log;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Executor;
import java.util.concurrent.Executors;
import java.util.concurrent.FutureTask;
import org.json.JSONException;
import org.json.JSONObject;
import org.pocketvlad.demo.R;

/**
 * Runs the self-test for `pocketvlad phone test`: writes selftest.json to the app's external files folder and
 * to the log (tag pocketvlad, in numbered parts), then closes.
 */
public final class SelfTestActivity extends Activity {
    static final String FILE = "selftest.json";
    /** Intent extra that comes back in the result, to tell it from an older one. */
    static final String TOKEN = "token";
    /** Intent extra: how long to recognise without a pause behind the test. */
    static final String SECONDS = "seconds";
    /** Intent extra: whether to measure with one thread, two and so on. */
    static final String THREADS = "threads";
    private static final int MOST_SECONDS = 600;
    private static final int PART = 1200; // UTF-16 units, of 3 bytes at most; a log line holds 4068 bytes
    private static final Executor ONE = Executors.newSingleThreadExecutor(); // two at once would disturb their times

    final FutureTask<Void> test = new FutureTask<>(this::test, null);

    @Override
    protected void onCreate(Bundle saved) {
        super.onCreate(saved);
        setContentView(R.layout.selftest);
        ONE.execute(test);
    }

    private void test() {
        String asked = getIntent().getStringExtra(TOKEN);
        String token = asked != null && asked.matches("\\w{1,32}") ? asked : ""; // it becomes part of log lines
        int seconds = Math.max(0, Math.min(MOST_SECONDS, getIntent().getIntExtra(SECONDS, 0)));
        JSONObject result = SelfTest.result(this, seconds, getIntent().getBooleanExtra(THREADS, false));
        try {
            publish(token, result);
        } catch (JSONException e) {
            throw new IllegalStateException(e); // a string is always a JSON value
        }
        runOnUiThread(this::finish);
    }

    private void publish(String token, JSONObject result) throws JSONException {
        String text = result.put(TOKEN, token).toString();
        try {
            write(text);
        } catch (IOException e) {
            Log.e(SelfTest.TAG, "cannot write " + FILE, e);
        }
        List<String> parts = parts(text);
        for (int i = 0; i < parts.size(); i++) {
            Log.i(SelfTest.TAG, "selftest " + token + " " + (i + 1) + "/" + parts.size() + " " + parts.get(i));
        }
    }

    /** Pieces that fit a line of the log; none ends between the halves of a character. */
    static List<String> parts(String text) {
        List<String> parts = new ArrayList<>();
        for (int start = 0, end; start < text.length(); start = end) {
            end = Math.min(text.length(), start + PART);
            if (end < text.length() && Character.isHighSurrogate(text.charAt(end - 1))) end--;
            parts.add(text.substring(start, end));
        }
        return parts;
    }

    private void write(String result) throws IOException {
        File folder = getExternalFilesDir(null);
        if (folder == null) throw new IOException("no external files folder");
        File partial = new File(folder, FILE + ".part");
        try (FileOutputStream out = new FileOutputStream(partial)) {
            out.write(result.getBytes(StandardCharsets.UTF_8));
        }
        if (!partial.renameTo(new File(folder, FILE))) throw new IOException("cannot rename " + partial);
    }
}
