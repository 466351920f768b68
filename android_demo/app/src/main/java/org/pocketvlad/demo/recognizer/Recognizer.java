package org.pocketvlad.demo.recognizer;

/** Recognises places. Calls may take long and must come from one thread at a time. */
public interface Recognizer extends AutoCloseable {
    /**
     * The best {@code k} matches for a photo, or as many as there are.
     *
     * @throws IllegalStateException closed, or the model fails
     */
    Recognition recognize(Pixels photo, int k);

    /** The same for a frame of the camera, before the camera takes it back. */
    Recognition recognize(Frame frame, int k);

    /**
     * Searches another index together with the packaged one; its rows count on from there.
     *
     * @param index of the same model, or null for none
     * @throws IllegalStateException with one clear line: damaged, or of another model; nothing has changed
     */
    void setAdded(MappableFile index);

    /** Photos of both indices. */
    int rows();

    /** A photo of the indices; its cosine is 1. */
    Match photo(int row);

    /** Its descriptor. */
    float[] descriptor(int row);

    /** What was opened. */
    ProgramInfo info();

    @Override
    void close();
}
