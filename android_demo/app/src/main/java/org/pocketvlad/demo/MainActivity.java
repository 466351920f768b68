package org.pocketvlad.demo;

import android.app.Activity;
import android.content.ActivityNotFoundException;
import android.content.Intent;
import android.graphics.Bitmap;
import android.net.Uri;
import android.os.Build;
import android.os.Bundle;
import android.provider.MediaStore;
import android.view.View;
import android.widget.ImageView;
import android.widget.ListView;
import android.widget.TextView;
import java.io.IOException;
import java.util.Collections;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** Pick or take a photo, see the places it resembles. The recogniser lives on one worker thread. */
public final class MainActivity extends Activity {
    static final int PICK = 1;
    static final int TAKE = 2;
    private static final int MATCHES = 5;
    private static final String SHOWN = "shown";

    final ExecutorService worker = Executors.newSingleThreadExecutor();
    private Recognizer recognizer;
    private AppConfig config;
    private MatchAdapter adapter;
    private View header;
    private Uri shown;

    @Override
    protected void onCreate(Bundle saved) {
        super.onCreate(saved);
        setContentView(R.layout.main);
        ListView list = findViewById(R.id.matches);
        header = getLayoutInflater().inflate(R.layout.header, list, false);
        list.addHeaderView(header, null, false);
        adapter = new MatchAdapter(this);
        list.setAdapter(adapter);
        findViewById(R.id.pick).setOnClickListener(view -> pick());
        findViewById(R.id.take).setOnClickListener(view -> take());
        worker.execute(this::open);
        shown = saved == null ? null : saved.getParcelable(SHOWN);
        if (shown != null) recognize(shown);
    }

    @Override
    protected void onSaveInstanceState(Bundle state) {
        super.onSaveInstanceState(state);
        state.putParcelable(SHOWN, shown);
    }

    @Override
    protected void onDestroy() {
        worker.execute(() -> {
            if (recognizer != null) recognizer.close();
        });
        worker.shutdown();
        super.onDestroy();
    }

    private void open() {
        try {
            config = AppConfig.read(this);
            recognizer = AppConfig.openRecognizer(this);
            runOnUiThread(() -> {
                ((TextView) findViewById(R.id.title)).setText(config.title);
                if (shown == null) say(getString(R.string.ready, recognizer.size()), "", R.color.text);
            });
        } catch (IOException | IllegalStateException e) {
            report(e.getMessage());
        } catch (UnsatisfiedLinkError e) {
            report(getString(R.string.error_library, Build.SUPPORTED_ABIS[0]));
        }
    }

    private void pick() {
        Intent intent = new Intent(Intent.ACTION_GET_CONTENT).setType("image/*");
        startActivityForResult(intent.addCategory(Intent.CATEGORY_OPENABLE), PICK);
    }

    private void take() {
        Intent intent = new Intent(MediaStore.ACTION_IMAGE_CAPTURE)
                .putExtra(MediaStore.EXTRA_OUTPUT, CaptureProvider.PHOTO)
                .addFlags(Intent.FLAG_GRANT_WRITE_URI_PERMISSION | Intent.FLAG_GRANT_READ_URI_PERMISSION);
        try {
            startActivityForResult(intent, TAKE);
        } catch (ActivityNotFoundException e) {
            say(getString(R.string.no_camera), "", R.color.unknown);
        }
    }

    @Override
    protected void onActivityResult(int request, int result, Intent data) {
        if (result != RESULT_OK) return;
        Uri photo = request == TAKE ? CaptureProvider.PHOTO : data == null ? null : data.getData();
        if (photo != null) recognize(photo);
    }

    private void recognize(Uri photo) {
        shown = photo;
        say(getString(R.string.recognising), "", R.color.text);
        worker.execute(() -> {
            if (recognizer == null) return; // opening failed and said why
            try {
                long start = System.nanoTime();
                PhotoReader read = PhotoReader.read(getContentResolver(), photo);
                long decode = System.nanoTime() - start;
                Recognizer.Recognition answer = recognizer.recognize(read.picture, MATCHES);
                Bitmap upright = read.upright();
                runOnUiThread(() -> show(upright, answer, decode));
            } catch (IOException e) {
                report(getString(R.string.error_photo, e.getMessage()));
            } catch (IllegalStateException e) {
                report(e.getMessage());
            }
        });
    }

    private void show(Bitmap photo, Recognizer.Recognition answer, long decodeNanos) {
        ImageView query = header.findViewById(R.id.query);
        query.setImageBitmap(photo);
        query.setVisibility(View.VISIBLE);
        Recognizer.Match best = answer.matches.get(0);
        if (answer.isKnown(config.threshold)) {
            String place = best.label.isEmpty() ? best.name : best.label;
            say(getString(R.string.known, place), getString(R.string.known_detail, best.cosine), R.color.known);
        } else {
            String detail = getString(R.string.unknown_detail, best.cosine, config.threshold);
            say(getString(R.string.unknown_place), detail, R.color.unknown);
        }
        ((TextView) header.findViewById(R.id.times)).setText(getString(R.string.times, decodeNanos / 1e6,
                answer.preprocessNanos / 1e6, answer.inferenceNanos / 1e6, answer.searchNanos / 1e6));
        adapter.show(answer.matches);
    }

    private void report(String problem) {
        runOnUiThread(() -> {
            adapter.show(Collections.emptyList());
            ((TextView) header.findViewById(R.id.times)).setText("");
            header.findViewById(R.id.query).setVisibility(View.GONE);
            say(problem, "", R.color.unknown);
        });
    }

    private void say(String verdict, String detail, int color) {
        TextView view = header.findViewById(R.id.verdict);
        view.setText(verdict);
        view.setTextColor(getColor(color));
        ((TextView) header.findViewById(R.id.detail)).setText(detail);
    }
}
