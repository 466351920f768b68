package org.pocketvlad.demo.ui;

import android.app.Activity;
import android.content.ActivityNotFoundException;
import android.content.ClipData;
import android.content.Intent;
import android.net.Uri;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.pocketvlad.demo.R;
import org.pocketvlad.demo.session.Session;

/** Files that the system's file picker names: the added places, and programs and indices to open. */
final class Documents {
    static final int EXPORT = 5;
    static final int IMPORT = 6;
    static final int OPEN = 7;

    private final MainActivity activity;
    private final Session session;

    Documents(MainActivity activity, Session session) {
        this.activity = activity;
        this.session = session;
    }

    void export() {
        ask(new Intent(Intent.ACTION_CREATE_DOCUMENT).putExtra(Intent.EXTRA_TITLE, "places.pvix"), EXPORT);
    }

    void importPlaces() {
        ask(new Intent(Intent.ACTION_OPEN_DOCUMENT), IMPORT);
    }

    /** A program, an index or both. */
    void open() {
        ask(new Intent(Intent.ACTION_OPEN_DOCUMENT).putExtra(Intent.EXTRA_ALLOW_MULTIPLE, true), OPEN);
    }

    /** Whether a request is one of these. */
    static boolean asked(int request) {
        return request >= EXPORT && request <= OPEN;
    }

    private void ask(Intent intent, int request) {
        intent.setType(request == EXPORT ? "application/octet-stream" : "*/*").addCategory(Intent.CATEGORY_OPENABLE);
        try {
            activity.startActivityForResult(intent, request);
        } catch (ActivityNotFoundException e) {
            failed(activity.getString(R.string.no_file_picker));
        }
    }

    void result(int request, int result, Intent data) {
        List<Uri> files = result == Activity.RESULT_OK && data != null ? files(data) : Collections.emptyList();
        if (files.isEmpty()) return;
        if (request == OPEN) {
            session.openFiles(files, reason -> Notice.show(activity, R.string.model_unchanged, reason));
            return;
        }
        Uri file = files.get(0);
        session.places(places -> {
            if (request == EXPORT) {
                places.export(file);
                said(R.string.exported, null);
            } else {
                int photos = places.importFrom(file);
                said(R.string.imported, photos);
            }
        }, this::failed);
    }

    private static List<Uri> files(Intent data) {
        List<Uri> files = new ArrayList<>();
        ClipData several = data.getClipData();
        for (int i = 0; several != null && i < several.getItemCount(); i++) files.add(several.getItemAt(i).getUri());
        if (files.isEmpty() && data.getData() != null) files.add(data.getData());
        return files;
    }

    private void said(int title, Integer photos) {
        session.onMain(() -> {
            String text = photos == null ? activity.getString(R.string.exported_detail)
                    : activity.getResources().getQuantityString(R.plurals.photos, photos, photos);
            Notice.show(activity, title, text);
            if (activity.page != null) activity.page.start();
            if (photos != null) session.refresh();
        });
    }

    private void failed(String reason) {
        Notice.show(activity, R.string.places_unchanged, reason);
    }
}
