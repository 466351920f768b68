package org.pocketvlad.demo.places;

import android.content.ContentResolver;
import android.content.Context;
import android.net.Uri;
import android.util.Log;
import java.io.File;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.pocketvlad.demo.recognizer.MappableFile;
import org.pocketvlad.demo.recognizer.Recognizer;

/**
 * The places added on this phone: an index of its own in the app's storage for each model, searched with the one
 * that is open, which stays as it is. Every method belongs to the recogniser's thread.
 */
public final class AddedPlaces {
    private static final String KIND = ".pvix";
    private static final int DIGITS = 16; // of the program's fingerprint, in a file's name
    private static final int LONGEST = 200; // characters of a place's name

    private final Context context;
    private final Recognizer recognizer;
    private final int packaged; // rows
    private final File file;

    public AddedPlaces(Context context, Recognizer recognizer) {
        this.context = context;
        this.recognizer = recognizer;
        packaged = recognizer.info().photos;
        String model = recognizer.info().json.optString("fingerprint");
        file = new File(folder(), model.substring(0, Math.min(DIGITS, model.length())) + KIND);
    }

    private File folder() {
        return new File(context.getFilesDir(), "places");
    }

    /**
     * Searches them from now on.
     *
     * @return false where all there are belong to other models, as after an update, or the file is damaged and put aside
     */
    public boolean open() throws IOException {
        if (!file.isFile()) {
            File[] others = folder().listFiles((folder, name) -> name.endsWith(KIND));
            return others == null || others.length == 0;
        }
        try {
            use(file);
            return true;
        } catch (IllegalStateException e) {
            Log.w("pocketvlad", "the added places are put aside", e);
            if (!file.renameTo(new File(file.getPath() + ".damaged"))) throw new IOException("Cannot keep the places");
            return false;
        }
    }

    /** The photos of every place, in the order they were added. */
    public Map<String, List<Integer>> rows() {
        Map<String, List<Integer>> places = new LinkedHashMap<>();
        for (int row = packaged; row < recognizer.rows(); row++) {
            places.computeIfAbsent(recognizer.photo(row).label, label -> new ArrayList<>()).add(row);
        }
        return places;
    }

    /**
     * Adds photos to a place, which may be there already.
     *
     * @param milliseconds of the clock; the photos are named by it
     */
    public void add(String place, List<Snapshot> snapshots, long milliseconds) throws IOException {
        List<PlacePhoto> all = photos();
        for (int i = 0; i < snapshots.size(); i++) {
            Snapshot snapshot = snapshots.get(i);
            String name = "phone-" + milliseconds + "-" + (i + 1) + ".jpg"; // none is there already
            all.add(new PlacePhoto(name, place, Thumbnail.jpeg(snapshot.picture), snapshot.position,
                    snapshot.descriptor));
        }
        replace(all);
    }

    /** Gives a place another name; it joins a place that has it already. */
    public void rename(String place, String other) throws IOException {
        List<PlacePhoto> all = photos();
        for (int i = 0; i < all.size(); i++) {
            if (all.get(i).label.equals(place)) all.set(i, all.get(i).labelled(other));
        }
        replace(all);
    }

    public void delete(String place) throws IOException {
        List<PlacePhoto> all = photos();
        all.removeIf(photo -> photo.label.equals(place));
        replace(all);
    }

    /** Copies the index to another app's file. */
    public void export(Uri target) throws IOException {
        ContentResolver resolver = context.getContentResolver();
        try (InputStream in = new FileInputStream(file); OutputStream out = resolver.openOutputStream(target, "wt")) {
            if (out == null) throw new IOException("The file cannot be written");
            copy(in, out);
        }
    }

    /**
     * Adds the photos of another app's file; those of a name that is there already take its place.
     *
     * @return how many
     * @throws IllegalStateException with one clear line: damaged, or of another model; nothing has changed
     */
    public int importFrom(Uri source) throws IOException {
        List<PlacePhoto> all = photos();
        List<PlacePhoto> more = read(source);
        for (PlacePhoto photo : more) all.removeIf(old -> old.name.equals(photo.name));
        all.addAll(more);
        replace(all);
        return more.size();
    }

    /** The rows of a file, verified by the library before anything of it is read. */
    private List<PlacePhoto> read(Uri source) throws IOException {
        File copy = File.createTempFile("import", ".pvix", context.getCacheDir());
        try {
            try (InputStream in = context.getContentResolver().openInputStream(source);
                    OutputStream out = new FileOutputStream(copy)) {
                if (in == null) throw new IOException("The file cannot be opened");
                copy(in, out);
            }
            use(copy);
            return photos();
        } finally {
            copy.delete();
            useOwn();
        }
    }

    private void useOwn() throws IOException {
        if (file.isFile()) {
            use(file);
        } else {
            recognizer.setAdded(null);
        }
    }

    private List<PlacePhoto> photos() {
        List<PlacePhoto> photos = new ArrayList<>();
        for (int row = packaged; row < recognizer.rows(); row++) {
            photos.add(PlacePhoto.of(recognizer.photo(row), recognizer.descriptor(row)));
        }
        return photos;
    }

    private void replace(List<PlacePhoto> photos) throws IOException {
        if (photos.isEmpty()) {
            recognizer.setAdded(null); // an index has one photo or more
            file.delete();
            return;
        }
        if (!folder().isDirectory() && !folder().mkdirs()) throw new IOException("Cannot keep the places");
        PvixWriter.write(file, recognizer.info().fingerprint(), photos);
        use(file);
    }

    private void use(File index) throws IOException {
        try (MappableFile mapped = MappableFile.file(index)) {
            recognizer.setAdded(mapped);
        }
    }

    private static void copy(InputStream in, OutputStream out) throws IOException {
        byte[] buffer = new byte[1 << 16];
        for (int n; (n = in.read(buffer)) > 0; ) out.write(buffer, 0, n);
    }

    /** A place's name as the index may hold it: without control characters and outer spaces; empty for none. */
    public static String label(String text) {
        String plain = text.replaceAll("\\p{Cntrl}+", " ").trim();
        String part = plain.substring(0, Math.min(LONGEST, plain.length()));
        return part.replaceAll("\\p{Cs}", "").trim(); // half a character, which is no UTF-8
    }
}
