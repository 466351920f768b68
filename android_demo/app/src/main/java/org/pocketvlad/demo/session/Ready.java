package org.pocketvlad.demo.session;

import java.util.List;
import org.pocketvlad.demo.recognizer.ProgramInfo;

/** The model is open and there is no photo yet. */
public final class Ready implements State {
    public final ProgramInfo info;
    /** Photos of both indices. */
    public final int photos;
    public final List<Example> examples;

    /** The places added on this phone are another model's and left out. */
    public final boolean aside;

    Ready(ProgramInfo info, int photos, List<Example> examples, boolean aside) {
        this.info = info;
        this.photos = photos;
        this.examples = examples;
        this.aside = aside;
    }

    @Override
    public void on(Viewer screen) {
        screen.show(this);
    }
}
