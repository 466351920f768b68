package org.pocketvlad.demo.ui;

import android.app.Activity;
import android.content.ActivityNotFoundException;
import android.content.ClipData;
import android.content.ContentResolver;
import android.content.Intent;
import android.net.Uri;
import android.os.Build;
import android.provider.MediaStore;
import org.pocketvlad.demo.R;
import org.pocketvlad.demo.photo.CaptureProvider;
import org.pocketvlad.demo.session.Session;

/** Photos from other apps: the system's picker, a gallery, the camera app, and what another app shares. */
final class PhotoSources {
    static final int PICK = 1;
    static final int TAKE = 2;

    private final Activity activity;
    private final Session session;

    PhotoSources(Activity activity, Session session) {
        this.activity = activity;
        this.session = session;
    }

    /** The system's photo picker, or a gallery app where there is none. */
    void pick() {
        if (Build.VERSION.SDK_INT >= 33) {
            if (start(new Intent(MediaStore.ACTION_PICK_IMAGES).setType("image/*"), PICK)) return;
        }
        Intent gallery = new Intent(Intent.ACTION_GET_CONTENT).setType("image/*");
        if (!start(gallery.addCategory(Intent.CATEGORY_OPENABLE), PICK)) refuse(R.string.no_gallery);
    }

    void take() {
        Intent intent = new Intent(MediaStore.ACTION_IMAGE_CAPTURE);
        intent.putExtra(MediaStore.EXTRA_OUTPUT, CaptureProvider.photo(activity));
        intent.setClipData(ClipData.newRawUri("", CaptureProvider.photo(activity))); // what the flags are about
        intent.addFlags(Intent.FLAG_GRANT_WRITE_URI_PERMISSION | Intent.FLAG_GRANT_READ_URI_PERMISSION);
        if (!start(intent, TAKE)) refuse(R.string.no_camera);
    }

    private boolean start(Intent intent, int request) {
        try {
            activity.startActivityForResult(intent, request);
            return true;
        } catch (ActivityNotFoundException | SecurityException e) {
            return false;
        }
    }

    private void refuse(int heading) {
        session.problem(heading, activity.getString(R.string.other_way));
    }

    void result(int request, int result, Intent data) {
        if (request == TAKE) {
            if (result == Activity.RESULT_OK) {
                session.recognizeCaptured();
            } else {
                session.forgetCaptured();
            }
        } else if (request == PICK && result == Activity.RESULT_OK && data != null && data.getData() != null) {
            session.recognize(data.getData());
        }
    }

    /** What another app shared, if the app was started for that. */
    @SuppressWarnings("deprecation") // of API 33: below it there is no other way
    void shared(Intent intent) {
        if (!Intent.ACTION_SEND.equals(intent.getAction())) return;
        Uri photo = null;
        try {
            photo = intent.getParcelableExtra(Intent.EXTRA_STREAM);
        } catch (RuntimeException e) {
            // an extra of another type, or of a class this app does not have
        }
        if (photo != null && ContentResolver.SCHEME_CONTENT.equals(photo.getScheme())) {
            session.recognize(photo);
        } else {
            session.problem(R.string.photo_unreadable, activity.getString(R.string.photo_none));
        }
    }
}
