package org.pocketvlad.demo.ui;

import android.graphics.Bitmap;
import android.graphics.Matrix;
import android.graphics.RectF;
import android.graphics.SurfaceTexture;
import android.os.Bundle;
import android.util.Size;
import android.view.Surface;
import android.view.TextureView;
import android.view.View;
import android.widget.ImageView;
import android.widget.TextView;
import org.pocketvlad.demo.R;
import org.pocketvlad.demo.camera.LiveCamera;
import org.pocketvlad.demo.recognizer.Frame;
import org.pocketvlad.demo.recognizer.Match;
import org.pocketvlad.demo.recognizer.ProgramInfo;
import org.pocketvlad.demo.recognizer.Recognition;
import org.pocketvlad.demo.recognizer.Recognizer;
import org.pocketvlad.demo.session.Milliseconds;
import org.pocketvlad.demo.session.Rate;
import org.pocketvlad.demo.session.Session;
import org.pocketvlad.demo.session.Verdict;
import org.pocketvlad.demo.session.Vote;

/** The camera's preview with the answer over it, while frames come. */
final class LivePage extends Page implements LiveCamera.Listener, TextureView.SurfaceTextureListener {
    static final String KEY = "live";
    private static final int[] DEGREES = {0, 90, 180, 270}; // by Surface.ROTATION_*

    private static final int PICTURE = 320; // pixels of a collected frame's longer side

    private final Session session;
    private final TextureView preview;
    private final Rate rate = new Rate(); // only of the worker, as is the vote
    private final Vote vote = new Vote();
    private LiveCamera camera;
    private Recognizer recognizer; // only of the worker
    private Match shown;
    private Collector collector; // null: no place is being added
    private boolean started;

    LivePage(MainActivity activity, Session session) {
        super(activity, R.layout.live);
        this.session = session;
        preview = view.findViewById(R.id.preview);
        announced(R.string.live_camera);
        Insets.keepClear(view.findViewById(R.id.live_controls));
        view.findViewById(R.id.live_add).setOnClickListener(button -> collect());
        say(activity.getString(R.string.live_looking), "");
    }

    private void collect() {
        collector = new Collector();
        view.findViewById(R.id.live_add).setEnabled(false);
    }

    @Override
    void save(Bundle state) {
        state.putBoolean(KEY, true);
    }

    @Override
    void start() {
        if (started) return;
        started = true;
        session.run(open -> {
            recognizer = open;
            ProgramInfo info = open.info();
            session.onMain(() -> find(Math.max(info.inputWidth, info.inputHeight)));
        });
    }

    @Override
    void stop() {
        started = false;
        preview.setSurfaceTextureListener(null);
        if (camera != null) camera.close();
        camera = null;
    }

    private void find(int inputLonger) {
        if (!started || camera != null) return;
        LiveCamera found = new LiveCamera(activity, session.worker, this::degrees, this);
        if (!found.find(inputLonger)) return;
        camera = found;
        preview.setSurfaceTextureListener(this);
        SurfaceTexture texture = preview.getSurfaceTexture();
        if (texture != null) onSurfaceTextureAvailable(texture, preview.getWidth(), preview.getHeight());
    }

    @SuppressWarnings("deprecation") // of API 30: below it there is no other way
    private int degrees() {
        return DEGREES[activity.getWindowManager().getDefaultDisplay().getRotation() & Surface.ROTATION_270];
    }

    @Override
    public void onSurfaceTextureAvailable(SurfaceTexture texture, int width, int height) {
        fill(width, height);
        if (camera != null) camera.open(texture);
    }

    @Override
    public void onSurfaceTextureSizeChanged(SurfaceTexture texture, int width, int height) {
        fill(width, height);
    }

    @Override
    public boolean onSurfaceTextureDestroyed(SurfaceTexture texture) {
        return true;
    }

    @Override
    public void onSurfaceTextureUpdated(SurfaceTexture texture) {}

    /** The preview covers the view without being stretched, whichever way the phone is held. */
    private void fill(int width, int height) {
        if (camera == null || width == 0 || height == 0) return;
        preview.setTransform(transform(width, height, camera.size(), camera.sensor(), degrees()));
    }

    /** The texture is the frame turned upright for an upright phone and stretched over the view. */
    static Matrix transform(int width, int height, Size frame, int sensor, int turned) {
        boolean across = sensor % 180 != 0;
        float frameWidth = across ? frame.getHeight() : frame.getWidth();
        float frameHeight = across ? frame.getWidth() : frame.getHeight();
        Matrix matrix = new Matrix();
        RectF view = new RectF(0, 0, width, height);
        RectF whole = new RectF(0, 0, frameWidth, frameHeight);
        whole.offset(view.centerX() - whole.centerX(), view.centerY() - whole.centerY());
        matrix.setRectToRect(view, whole, Matrix.ScaleToFit.FILL);
        boolean lies = turned % 180 != 0;
        float scale = Math.max(width / (lies ? frameHeight : frameWidth), height / (lies ? frameWidth : frameHeight));
        matrix.postScale(scale, scale, view.centerX(), view.centerY());
        matrix.postRotate(-turned, view.centerX(), view.centerY());
        return matrix;
    }

    @Override
    public void frame(Frame frame) {
        Recognition answer = recognizer.recognize(frame, Session.MATCHES);
        double threshold = session.threshold();
        vote.add(Verdict.of(answer.matches, threshold));
        rate.tick(System.nanoTime());
        Match place = vote.place();
        String detail = place == null
                ? activity.getString(R.string.live_unknown, answer.matches.get(0).cosine, Math.max(0, threshold))
                : activity.getString(R.string.live_votes, vote.votes(), vote.frames(), place.cosine);
        String times = activity.getString(R.string.live_times, rate.perSecond(),
                Milliseconds.text(answer.preprocessNanos), Milliseconds.text(answer.inferenceNanos),
                Milliseconds.text(answer.searchNanos));
        session.onMain(() -> show(place, detail, times, answer.descriptor));
    }

    private void show(Match place, String detail, String times, float[] descriptor) {
        if (!started) return;
        add(descriptor);
        say(place == null ? activity.getString(R.string.unknown_place) : Labels.readable(place.place()), detail);
        ((TextView) view.findViewById(R.id.live_times)).setText(times);
        if (place == shown) return;
        boolean another = place == null || shown == null || place.row != shown.row;
        shown = place;
        ImageView thumbnail = view.findViewById(R.id.live_thumbnail);
        thumbnail.setVisibility(place == null || place.thumbnail == null ? View.GONE : View.VISIBLE);
        if (another && place != null) thumbnail.setImageBitmap(Thumbnails.of(place));
    }

    private void add(float[] descriptor) {
        if (collector == null || !collector.add(System.nanoTime(), descriptor, this::picture)) return;
        activity.add("", collector.snapshots());
        collector = null;
        view.findViewById(R.id.live_add).setEnabled(true);
    }

    /** What the preview shows, in the frame's own shape. */
    private Bitmap picture() {
        Size size = camera.size();
        boolean across = camera.sensor() % 180 != 0;
        int width = across ? size.getHeight() : size.getWidth();
        int height = across ? size.getWidth() : size.getHeight();
        return preview.getBitmap(PICTURE * width / Math.max(width, height), PICTURE * height / Math.max(width, height));
    }

    @Override
    public void failed(int reason) {
        session.onMain(() -> say(activity.getString(reason), ""));
    }

    private void say(String place, String detail) {
        TextView name = view.findViewById(R.id.live_place);
        if (!place.contentEquals(name.getText())) name.setText(place); // an equal text would be read out again
        TextView line = view.findViewById(R.id.live_detail);
        line.setText(detail);
        line.setVisibility(detail.isEmpty() ? View.GONE : View.VISIBLE);
    }
}
