package org.pocketvlad.demo.session;

/** The model is being opened. */
public final class Opening implements State {
    @Override
    public void on(Viewer screen) {
        screen.show(this);
    }
}
