package org.pocketvlad.demo.recognizer;

/** One photo of the index that resembles a picture. */
public final class Match {
    /** In the packaged index, or after its rows in the one of places added on this phone. */
    public final int row;
    public final float cosine;
    public final String name;
    public final String label;
    /** JPEG, or null. */
    public final byte[] thumbnail;
    /** Latitude and longitude in degrees, or null. */
    public final double[] position;

    public Match(int row, float cosine, String name, String label, byte[] thumbnail, double[] position) {
        this.row = row;
        this.cosine = cosine;
        this.name = name;
        this.label = label;
        this.thumbnail = thumbnail;
        this.position = position;
    }

    /** The place, or the photo's name where the index names no place. */
    public String place() {
        return label.isEmpty() ? name : label;
    }
}
