package org.pocketvlad.demo.session;

/** Nothing works: the app was packaged wrongly, or the phone does not suit it. */
public final class Broken implements State {
    /** A sentence. */
    public final String detail;

    Broken(String detail) {
        this.detail = detail;
    }

    @Override
    public void on(Viewer screen) {
        screen.show(this);
    }
}
