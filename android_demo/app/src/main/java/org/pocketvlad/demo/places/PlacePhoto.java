package org.pocketvlad.demo.places;

import org.pocketvlad.demo.recognizer.Match;

/** One photo of a place that was added on this phone. */
final class PlacePhoto {
    final String name;
    final String label;
    final byte[] thumbnail;
    final double[] position;
    final float[] descriptor;

    /**
     * @param name unique among the added photos
     * @param thumbnail JPEG, or null
     * @param position latitude and longitude in degrees, or null
     * @param descriptor of unit length
     */
    PlacePhoto(String name, String label, byte[] thumbnail, double[] position, float[] descriptor) {
        this.name = name;
        this.label = label;
        this.thumbnail = thumbnail;
        this.position = position;
        this.descriptor = descriptor;
    }

    static PlacePhoto of(Match row, float[] descriptor) {
        return new PlacePhoto(row.name, row.label, row.thumbnail, row.position, descriptor);
    }

    PlacePhoto labelled(String other) {
        return new PlacePhoto(name, other, thumbnail, position, descriptor);
    }
}
