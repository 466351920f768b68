package org.pocketvlad.demo;

import android.app.Activity;
import android.os.Bundle;
import android.util.Log;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.json.JSONException;
import org.json.JSONObject;

/**
 * Runs the self-test for `pocketvlad phone test`: writes selftest.json to the app's external files folder and
 * to the log (tag pocketvlad, in numbered parts), then closes.
 */
public final class SelfTestActivity extends Activity {
    static final String FILE = "selftest.json";
    /** Intent extra that comes back in the result, to tell it from an older one. */
    static final String TOKEN = "token";
    private static final String TAG = "pocketvlad";
    private static final int PART = 3000; // characters; a log line holds about 4000 bytes

    Thread worker;

    @Override
    protected void onCreate(Bundle saved) {
        super.onCreate(saved);
        setContentView(R.layout.selftest);
        worker = new Thread(this::test, "selftest");
        worker.start();
    }

    private void test() {
        String token = getIntent().getStringExtra(TOKEN);
        JSONObject result = result();
        try {
            publish(token == null ? "" : token, result);
        } catch (JSONException e) {
            throw new IllegalStateException(e); // a string is always a JSON value
        }
        runOnUiThread(this::finish);
    }

    private JSONObject result() {
        try {
            return SelfTest.run(this);
        } catch (IOException | JSONException | IllegalStateException | LinkageError e) {
            JSONObject failure = new JSONObject();
            try {
                return failure.put("passed", false).put("error", String.valueOf(e.getMessage()));
            } catch (JSONException impossible) {
                throw new IllegalStateException(impossible);
            }
        }
    }

    private void publish(String token, JSONObject result) throws JSONException {
        String text = result.put(TOKEN, token).toString();
        try {
            write(text);
        } catch (IOException e) {
            Log.e(TAG, "cannot write " + FILE, e);
        }
        int parts = (text.length() + PART - 1) / PART;
        for (int i = 0; i < parts; i++) {
            String part = text.substring(i * PART, Math.min(text.length(), (i + 1) * PART));
            Log.i(TAG, "selftest " + token + " " + (i + 1) + "/" + parts + " " + part);
        }
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
