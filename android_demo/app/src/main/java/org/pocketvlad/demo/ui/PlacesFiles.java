package org.pocketvlad.demo.ui;

import android.app.Activity;
import android.content.ActivityNotFoundException;
import android.content.Intent;
import android.net.Uri;
import org.pocketvlad.demo.R;
import org.pocketvlad.demo.session.Session;

/** The added places as a file that the system's file picker names. */
final class PlacesFiles {
    static final int EXPORT = 5;
    static final int IMPORT = 6;

    private final MainActivity activity;
    private final Session session;

    PlacesFiles(MainActivity activity, Session session) {
        this.activity = activity;
        this.session = session;
    }

    void export() {
        ask(new Intent(Intent.ACTION_CREATE_DOCUMENT).putExtra(Intent.EXTRA_TITLE, "places.pvix"), EXPORT);
    }

    void importPlaces() {
        ask(new Intent(Intent.ACTION_OPEN_DOCUMENT), IMPORT);
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
        if (result != Activity.RESULT_OK || data == null || data.getData() == null) return;
        Uri file = data.getData();
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
