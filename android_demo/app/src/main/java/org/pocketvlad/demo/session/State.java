package org.pocketvlad.demo.session;

/** What there is to show of the current photo: one class per kind, a new object for every change. */
public interface State {
    /** Shows itself on a screen. */
    void on(Viewer screen);

    /** One method per state, on the main thread. */
    interface Viewer {
        void show(Opening state);

        void show(Ready state);

        void show(Busy state);

        void show(Answered state);

        void show(Problem state);

        void show(Broken state);
    }
}
