package org.pocketvlad.demo.session;

/** One photo could not be recognised; the next may. */
public final class Problem implements State {
    /** A string resource. */
    public final int heading;
    /** A sentence. */
    public final String detail;

    Problem(int heading, String detail) {
        this.heading = heading;
        this.detail = detail;
    }

    @Override
    public void on(Viewer screen) {
        screen.show(this);
    }
}
