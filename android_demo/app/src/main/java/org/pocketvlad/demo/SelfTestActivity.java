package org.pocketvlad.demo;

import android.app.Activity;
import android.os.Bundle;
import android.util.Log;
import android.widget.TextView;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.json.JSONException;
import org.json.JSONObject;

/**
 * Runs the self-test, for `pocketvlad phone test`: writes selftest.json to the app's external files folder and
 * to the log (tag pocketvlad, in numbered parts), then closes.
 */
public final class SelfTestActivity extends Activity {
    static final String FILE = "selftest.json";
    static final String TAG = "pocketvlad";
    private static final int PART = 3000; // characters; a log line holds about 4000

    Thread worker;

    @Override
    protected void onCreate(Bundle saved) {
        super.onCreate(saved);
        TextView text = new TextView(this);
        text.setText(R.string.selftest_running);
        setContentView(text);
        worker = new Thread(this::test, "selftest");
        worker.start();
    }

    private void test() {
        String token = getIntent().getStringExtra("token");
        String result = result(token == null ? "" : token);
        try {
            write(result);
        } catch (IOException e) {
            Log.e(TAG, "cannot write " + FILE, e);
        }
        int parts = (result.length() + PART - 1) / PART;
        for (int i = 0; i < parts; i++) {
            String part = result.substring(i * PART, Math.min(result.length(), (i + 1) * PART));
            Log.i(TAG, "selftest " + token + " " + (i + 1) + "/" + parts + " " + part);
        }
        runOnUiThread(this::finish);
    }

    private String result(String token) {
        try {
            try {
                return SelfTest.run(this).put("token", token).toString();
            } catch (IOException | JSONException | IllegalStateException | UnsatisfiedLinkError e) {
                return new JSONObject().put("token", token).put("passed", false)
                        .put("error", String.valueOf(e.getMessage())).toString();
            }
        } catch (JSONException e) {
            throw new IllegalStateException(e);
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
