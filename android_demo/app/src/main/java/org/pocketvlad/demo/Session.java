package org.pocketvlad.demo;

import android.content.Context;
import android.net.Uri;
import android.os.Build;
import android.os.Handler;
import android.os.Looper;
import android.os.SystemClock;
import java.io.IOException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** The open recogniser, its one thread and what there is to show. It outlives the activity when that turns. */
final class Session {
    private static final int MATCHES = 5;

    interface Screen {
        void show(State state);
    }

    final ExecutorService worker = Executors.newSingleThreadExecutor();
    private final Context context;
    private final Handler main = new Handler(Looper.getMainLooper());
    private Recognizer recognizer; // only of the worker thread
    private volatile AppConfig config; // null while it opens
    private Screen screen; // only of the main thread, as is the state
    private State state = State.opening();

    Session(Context context) {
        this.context = context.getApplicationContext();
        worker.execute(this::open);
    }

    /** Shows the present state and every later one, on the main thread. */
    void attach(Screen shown) {
        screen = shown;
        screen.show(state);
    }

    /** Forgets a screen, unless another one was attached since. */
    void detach(Screen gone) {
        if (screen == gone) screen = null;
    }

    /** The app's title, or null while it opens. */
    String title() {
        return config == null ? null : config.title;
    }

    void recognize(Uri photo) {
        if (state.kind == State.Kind.BROKEN) return; // its reason stays on the screen
        show(State.busy());
        worker.execute(() -> answer(photo));
    }

    void problem(int heading, String detail) {
        show(State.problem(heading, detail));
    }

    void close() {
        screen = null;
        worker.execute(() -> {
            if (recognizer != null) recognizer.close();
        });
        worker.shutdown();
    }

    private void open() {
        try {
            config = AppConfig.parse(Assets.text(context, AppConfig.FILE));
            recognizer = Assets.openRecognizer(context);
            State ready = State.ready(recognizer.info());
            main.post(() -> show(state.kind == State.Kind.OPENING ? ready : state));
        } catch (IOException e) {
            post(State.broken(R.string.broken, context.getString(R.string.broken_missing, e.getMessage())));
        } catch (IllegalStateException e) {
            post(State.broken(R.string.broken, e.getMessage()));
        } catch (UnsatisfiedLinkError e) {
            post(State.broken(R.string.broken, context.getString(R.string.broken_library, Build.SUPPORTED_ABIS[0])));
        }
    }

    private void answer(Uri uri) {
        if (recognizer == null) return; // opening failed and said why
        try {
            long start = SystemClock.elapsedRealtimeNanos();
            PhotoReader photo = PhotoReader.read(context.getContentResolver(), uri, recognizer.info());
            long decode = SystemClock.elapsedRealtimeNanos() - start;
            Recognizer.Recognition answer = recognizer.recognize(photo.picture, MATCHES);
            Verdict verdict = Verdict.of(answer.matches, config.threshold);
            post(State.answer(photo.upright(), answer, verdict, decode));
        } catch (PhotoException e) {
            post(State.problem(R.string.photo_unreadable, context.getString(e.reason)));
        } catch (IllegalStateException e) {
            post(State.problem(R.string.recognition_failed, e.getMessage()));
        }
    }

    private void post(State next) {
        main.post(() -> show(next));
    }

    private void show(State next) {
        if (state.kind == State.Kind.BROKEN) return;
        state = next;
        if (screen != null) screen.show(state);
    }
}
