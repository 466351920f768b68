package org.pocketvlad.demo.camera;

import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * One answer at a time, always of the newest frame: frames that come while one is answered are dropped by the camera,
 * and one more look follows for the last of them.
 */
final class NewestFrame {
    private final Executor worker;
    private final Runnable answer;
    private final AtomicInteger asked = new AtomicInteger();

    /** @param answer takes the newest frame, if there is one, and answers it; called by the worker */
    NewestFrame(Executor worker, Runnable answer) {
        this.worker = worker;
        this.answer = answer;
    }

    /** A frame has come; from any thread. */
    void arrived() {
        if (asked.getAndIncrement() == 0) worker.execute(this::work);
    }

    private void work() {
        int seen = asked.get();
        try {
            answer.run();
        } finally {
            if (asked.addAndGet(-seen) > 0) worker.execute(this::work); // behind whatever else waits for the worker
        }
    }
}
