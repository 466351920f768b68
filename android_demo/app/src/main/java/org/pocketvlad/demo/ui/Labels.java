package org.pocketvlad.demo.ui;

import java.util.Locale;

/** Names of files and folders as people read them: `p04_glass_office` is "Glass office". */
public final class Labels {
    private Labels() {}

    /** Names with a space in them are somebody's own words and stay; several places of a photo get commas. */
    public static String readable(String name) {
        String text = name.substring(name.lastIndexOf('/') + 1).replace(" | ", ", ");
        if (text.indexOf(' ') >= 0) return text;
        text = text.replaceFirst("\\.[A-Za-z0-9]{2,5}$", "");
        text = text.replaceFirst("^[A-Za-z]?\\d+[_-]+(?=\\D)", "").replaceAll("[_-]+", " ").trim();
        if (text.isEmpty()) return name;
        return text.substring(0, 1).toUpperCase(Locale.getDefault()) + text.substring(1);
    }

    /** What a photo's name says beyond its place, or all of it. */
    public static String detail(String name, String place) {
        String label = readable(place);
        String text = readable(name);
        if (!text.startsWith(label) || text.length() == label.length()) return text;
        return text.substring(label.length()).trim();
    }
}
