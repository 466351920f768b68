package org.pocketvlad.demo;

import android.app.Activity;
import android.content.ActivityNotFoundException;
import android.content.ClipData;
import android.content.Intent;
import android.net.Uri;
import android.os.Bundle;
import android.provider.MediaStore;

/** Pick or take a photo, see the places it resembles. */
public final class MainActivity extends Activity {
    static final int PICK = 1;
    static final int TAKE = 2;
    private static final String PHOTO = "photo";

    Session session;
    private Session.Screen screen;
    private Uri photo;

    @Override
    protected void onCreate(Bundle saved) {
        super.onCreate(saved);
        setContentView(R.layout.main);
        findViewById(R.id.pick).setOnClickListener(view -> pick());
        findViewById(R.id.take).setOnClickListener(view -> take());
        photo = saved == null ? null : saved.getParcelable(PHOTO);
        session = (Session) getLastNonConfigurationInstance();
        boolean restarted = session == null;
        if (restarted) session = new Session(this);
        screen = new AnswerScreen(this, findViewById(R.id.matches), session);
        session.attach(screen);
        if (restarted && photo != null) recognize(photo);
    }

    @Override
    public Object onRetainNonConfigurationInstance() {
        return session;
    }

    @Override
    protected void onSaveInstanceState(Bundle state) {
        super.onSaveInstanceState(state);
        state.putParcelable(PHOTO, photo);
    }

    @Override
    protected void onDestroy() {
        if (isChangingConfigurations()) {
            session.detach(screen);
        } else {
            session.close();
        }
        super.onDestroy();
    }

    private void pick() {
        Intent intent = new Intent(Intent.ACTION_GET_CONTENT).setType("image/*");
        start(intent.addCategory(Intent.CATEGORY_OPENABLE), PICK, R.string.no_gallery);
    }

    private void take() {
        CaptureProvider.file(this).delete(); // an old photo must not pass for the new one
        Intent intent = new Intent(MediaStore.ACTION_IMAGE_CAPTURE);
        intent.putExtra(MediaStore.EXTRA_OUTPUT, CaptureProvider.photo(this));
        intent.setClipData(ClipData.newRawUri("", CaptureProvider.photo(this))); // what the permission flags are about
        intent.addFlags(Intent.FLAG_GRANT_WRITE_URI_PERMISSION | Intent.FLAG_GRANT_READ_URI_PERMISSION);
        start(intent, TAKE, R.string.no_camera);
    }

    private void start(Intent intent, int request, int refusal) {
        try {
            startActivityForResult(intent, request);
        } catch (ActivityNotFoundException e) {
            session.problem(refusal, getString(R.string.other_way));
        }
    }

    @Override
    protected void onActivityResult(int request, int result, Intent data) {
        if (result != RESULT_OK) return;
        Uri chosen = request == TAKE ? CaptureProvider.photo(this) : data == null ? null : data.getData();
        if (chosen != null) recognize(chosen);
    }

    private void recognize(Uri chosen) {
        photo = chosen;
        session.recognize(chosen);
    }
}
