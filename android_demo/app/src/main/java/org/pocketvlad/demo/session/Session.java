package org.pocketvlad.demo.session;

import android.content.Context;
import android.net.Uri;
import android.os.Build;
import android.os.Handler;
import android.os.Looper;
import android.util.Log;
import java.io.IOException;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Consumer;
import org.json.JSONException;
import org.pocketvlad.demo.R;
import org.pocketvlad.demo.photo.Photo;
import org.pocketvlad.demo.photo.PhotoException;
import org.pocketvlad.demo.photo.PhotoReader;
import org.pocketvlad.demo.photo.PhotoStore;
import org.pocketvlad.demo.places.AddedPlaces;
import org.pocketvlad.demo.places.Snapshot;
import org.pocketvlad.demo.recognizer.AppConfig;
import org.pocketvlad.demo.recognizer.Assets;
import org.pocketvlad.demo.recognizer.Models;
import org.pocketvlad.demo.recognizer.Recognition;
import org.pocketvlad.demo.recognizer.Recognizer;

/** The open recogniser, its one thread and what there is to show. It outlives the activity when that turns. */
public final class Session {
    public static final String TAG = "pocketvlad"; // of the log
    public static final int MATCHES = 5;
    private static final int SHOWN = 2048; // pixels of a photo's longer side on the screen

    /** Work of the recogniser's thread. */
    public interface Job {
        void run(Recognizer recognizer) throws IOException;
    }

    /** Work on the places added on this phone, on the recogniser's thread. */
    public interface PlacesJob {
        void run(AddedPlaces places) throws IOException;
    }

    private interface Opener {
        Recognizer open() throws IOException;
    }

    private interface Source {
        void take(PhotoStore store) throws PhotoException;
    }

    public final ExecutorService worker = Executors.newSingleThreadExecutor();
    private final Context context;
    private final PhotoStore store;
    private final Settings settings;
    private final Models models;
    private final Check check;
    private final Handler main = new Handler(Looper.getMainLooper());
    private Recognizer recognizer; // only of the worker thread, as are the examples
    private List<Example> examples = Collections.emptyList();
    private AddedPlaces places;
    private boolean aside; // the added places are another model's
    private volatile AppConfig config; // null while it opens
    private volatile double suggested = -1; // threshold
    private volatile boolean opened; // files instead of the packaged ones
    private volatile int newest; // number of the photo asked for last: answers to others are dropped
    private State.Viewer screen; // only of the main thread, as is the state
    private State state = new Opening();

    public Session(Context context) {
        this.context = context.getApplicationContext();
        store = new PhotoStore(this.context);
        settings = new Settings(this.context);
        models = new Models(this.context);
        check = new Check(this.context, worker, main, this::alone);
        worker.execute(this::open);
    }

    /** Shows the present state and every later one, on the main thread. */
    public void attach(State.Viewer shown) {
        screen = shown;
        state.on(screen);
    }

    /** Forgets a screen, unless another one was attached since. */
    public void detach(State.Viewer gone) {
        if (screen == gone) screen = null;
    }

    public State state() {
        return state;
    }

    public Check check() {
        return check;
    }

    /** The app's title, or null while it opens. */
    public String title() {
        if (config == null) return null;
        return opened ? context.getString(R.string.opened_title) : config.title;
    }

    /** What runs programs, with its version. */
    public String runtime() {
        return config.runtime;
    }

    /** Whether files are open instead of the packaged ones. */
    public boolean hasOpened() {
        return opened;
    }

    /** Cosine under which a place is unknown. */
    public double threshold() {
        return settings.threshold(suggested);
    }

    /** What the index says, -1 where it says nothing. */
    public double suggestedThreshold() {
        return suggested;
    }

    /** @param threshold null: the index's own again */
    public void setThreshold(Double threshold) {
        settings.setThreshold(threshold);
        if (state instanceof Answered) show(((Answered) state).judged(threshold()));
    }

    /** Recognises another app's photo. */
    public void recognize(Uri photo) {
        ask(store -> store.take(photo), true);
    }

    public void recognize(Example example) {
        ask(store -> store.takeAsset(example.asset), true);
    }

    /** Recognises what the camera app has written. */
    public void recognizeCaptured() {
        ask(PhotoStore::takeCaptured, true);
    }

    /** The camera app was left without a photo. */
    public void forgetCaptured() {
        worker.execute(store::forgetCaptured);
    }

    /** Recognises the photo of an earlier process again, where it is still there. */
    public void restore() {
        ask(kept -> { }, false);
    }

    /** Whether the screen has a photo that {@link #restore} would show again. */
    public boolean hasPhoto() {
        return state instanceof Answered || state instanceof Busy;
    }

    public void problem(int heading, String detail) {
        show(new Problem(heading, detail));
    }

    /** Runs on the recogniser's thread, if it could be opened; what goes wrong is a line of the log. */
    public void run(Job job) {
        worker.execute(() -> {
            try {
                if (recognizer != null) job.run(recognizer);
            } catch (IOException | RuntimeException | OutOfMemoryError e) {
                Log.e(TAG, "a job failed", e);
            }
        });
    }

    /**
     * Looks at or changes the places added on this phone.
     *
     * @param failed gets a sentence on the main thread
     */
    public void places(PlacesJob job, Consumer<String> failed) {
        run(open -> {
            try {
                job.run(places);
            } catch (IOException | RuntimeException | OutOfMemoryError e) {
                Log.w(TAG, "the places stay as they were", e);
                main.post(() -> failed.accept(said(e)));
            }
        });
    }

    /** Answers anew what is on the screen, after the places have changed. */
    public void refresh() {
        if (state instanceof Answered || state instanceof Ready) restore();
    }

    /**
     * Opens another app's program, index or both instead of the present ones.
     *
     * @param failed gets a sentence on the main thread; then everything is as it was
     */
    public void openFiles(List<Uri> files, Consumer<String> failed) {
        change(() -> models.open(files), failed);
    }

    /** Opens the packaged program and index again. */
    public void openPackaged(Consumer<String> failed) {
        change(models::openPackaged, failed);
    }

    private void change(Opener opener, Consumer<String> failed) {
        worker.execute(() -> {
            try {
                use(opener.open());
                Ready ready = ready();
                main.post(() -> show(ready));
            } catch (IOException | RuntimeException | OutOfMemoryError e) {
                Log.w(TAG, "what is open stays open", e);
                main.post(() -> failed.accept(said(e)));
            }
        });
    }

    /** Runs a job of the worker's thread while nothing is open: only then may the number of threads change. */
    private void alone(Runnable job) {
        if (recognizer != null) recognizer.close();
        recognizer = null;
        job.run();
        open();
    }

    /** Makes photos or frames photos of a place. */
    public void addPlace(String label, List<Snapshot> snapshots, Consumer<String> failed) {
        places(added -> {
            added.add(label, snapshots, System.currentTimeMillis());
            main.post(this::refresh);
        }, failed);
    }

    /** Runs on the main thread. */
    public void onMain(Runnable shown) {
        main.post(shown);
    }

    public void close() {
        screen = null;
        worker.execute(() -> {
            if (recognizer != null) recognizer.close();
        });
        worker.shutdown();
    }

    private void open() {
        try {
            config = AppConfig.parse(Assets.text(context, AppConfig.FILE));
            use(opened());
            Ready ready = ready();
            main.post(() -> show(state instanceof Opening ? ready : state));
        } catch (IOException e) {
            broken(context.getString(R.string.broken_missing, e.getMessage()), e);
        } catch (RuntimeException | OutOfMemoryError e) {
            broken(said(e), e);
        } catch (LinkageError e) {
            broken(context.getString(R.string.broken_library, Build.SUPPORTED_ABIS[0], e.getMessage()), e);
        }
    }

    /** What was in use last; the packaged files where an update has made the others unfit. */
    private Recognizer opened() throws IOException {
        try {
            return models.open();
        } catch (IOException | IllegalStateException e) {
            if (!models.isOpened()) throw e;
            Log.w(TAG, "the opened files do not fit any more", e);
            return models.openPackaged();
        }
    }

    private void use(Recognizer next) throws IOException {
        if (recognizer != null) recognizer.close();
        recognizer = next;
        opened = models.isOpened();
        suggested = opened ? next.info().threshold() : config.threshold;
        examples = examples();
        places = new AddedPlaces(context, next);
        aside = !places.open();
    }

    private Ready ready() {
        return new Ready(recognizer.info(), recognizer.rows(), examples, aside);
    }

    private List<Example> examples() {
        try {
            return Example.read(context, suggested);
        } catch (IOException | JSONException | OutOfMemoryError e) {
            Log.w(TAG, "no examples", e);
            return Collections.emptyList();
        }
    }

    private void broken(String detail, Throwable cause) {
        Log.e(TAG, "the app cannot recognise", cause);
        main.post(() -> show(new Broken(detail)));
    }

    private void ask(Source source, boolean must) {
        if (state instanceof Broken) return; // its reason stays on the screen
        int number = ++newest;
        show(new Busy());
        worker.execute(() -> {
            if (number != newest || recognizer == null) return; // another photo came, or opening failed and said why
            State next = outcome(source, must);
            main.post(() -> {
                if (number == newest) show(next);
            });
        });
    }

    private State outcome(Source source, boolean must) {
        if (!must && !store.file().isFile()) return ready();
        State next = answer(source);
        return !must && next instanceof Problem ? ready() : next;
    }

    private State answer(Source source) {
        try {
            long start = System.nanoTime();
            source.take(store);
            Photo photo = PhotoReader.read(store.file(), recognizer.info());
            long decoded = System.nanoTime();
            Recognition recognition = recognizer.recognize(photo.pixels, MATCHES);
            long end = System.nanoTime();
            Verdict verdict = Verdict.of(recognition.matches, threshold());
            return new Answered(photo.upright(SHOWN), photo.position, recognition, verdict, decoded - start,
                    end - start);
        } catch (PhotoException e) {
            Log.w(TAG, "a photo cannot be read", e);
            return new Problem(R.string.photo_unreadable, context.getString(e.reason));
        } catch (OutOfMemoryError e) {
            Log.w(TAG, "a photo needs too much memory", e);
            return new Problem(R.string.photo_unreadable, context.getString(R.string.photo_large));
        } catch (RuntimeException e) {
            Log.e(TAG, "recognition failed", e);
            return new Problem(R.string.recognition_failed, said(e));
        }
    }

    private static String said(Throwable e) {
        return e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
    }

    private void show(State next) {
        if (state instanceof Broken) return;
        state = next;
        if (screen != null) state.on(screen);
    }
}
