package org.pocketvlad.demo.session;

import android.content.Context;
import android.os.Handler;
import java.util.concurrent.Executor;
import java.util.function.Consumer;
import org.json.JSONObject;
import org.pocketvlad.demo.selftest.SelfTest;

/** The self-test as a person runs it: at most one at a time, its last result kept while the app is open. */
public final class Check {
    private final Context context;
    private final Executor worker;
    private final Consumer<Runnable> alone;
    private final Handler main;
    private Consumer<Check> watcher; // all of it only of the main thread
    private JSONObject result;
    private boolean running;

    /** @param alone runs work of the worker's thread while no recogniser is open */
    Check(Context context, Executor worker, Handler main, Consumer<Runnable> alone) {
        this.context = context;
        this.worker = worker;
        this.main = main;
        this.alone = alone;
    }

    /** Tells of the present state and of every later one; null: nobody any more. */
    public void watch(Consumer<Check> shown) {
        watcher = shown;
        tell();
    }

    public boolean running() {
        return running;
    }

    /** As `pocketvlad phone test --json` prints it; null before the first. */
    public JSONObject result() {
        return result;
    }

    /** @param seconds of recognising without a pause behind the test, and with all numbers of threads; 0 for neither */
    public void run(int seconds) {
        if (running) return;
        running = true;
        tell();
        worker.execute(() -> alone.accept(() -> {
            JSONObject found = SelfTest.result(context, seconds, seconds > 0);
            main.post(() -> {
                running = false;
                result = found;
                tell();
            });
        }));
    }

    private void tell() {
        if (watcher != null) watcher.accept(this);
    }
}
