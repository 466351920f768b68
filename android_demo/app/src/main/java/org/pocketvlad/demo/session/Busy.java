package org.pocketvlad.demo.session;

/** A photo is being recognised; the last answer stays on the screen until then. */
public final class Busy implements State {
    @Override
    public void on(Viewer screen) {
        screen.show(this);
    }
}
