package org.pocketvlad.demo.recognizer;

import android.content.Context;
import android.net.Uri;
import java.io.File;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.List;
import org.pocketvlad.demo.R;

/** The program and index in use: the packaged ones, or files a person has opened instead, copied into the app. */
public final class Models {
    static final String PROGRAM = "model.pte";
    static final String INDEX = "places.pvix";
    private static final String[] BOTH = {PROGRAM, INDEX};

    private final Context context;
    private final File opened;
    private final File opening; // copies that nothing has accepted yet

    public Models(Context context) {
        this.context = context;
        opened = new File(context.getFilesDir(), "opened");
        opening = new File(context.getFilesDir(), "opening");
    }

    /** Whether something else than the packaged files is in use. */
    public boolean isOpened() {
        return new File(opened, PROGRAM).isFile() || new File(opened, INDEX).isFile();
    }

    /**
     * Opens what is in use.
     *
     * @throws IOException the APK lacks one of them
     * @throws IllegalStateException one is damaged, or they do not belong together
     * @throws UnsatisfiedLinkError the APK has no library for this processor
     */
    public Recognizer open() throws IOException {
        return open(new File(opened, PROGRAM), new File(opened, INDEX));
    }

    /** Opens the packaged files again, and drops the others. */
    public Recognizer openPackaged() throws IOException {
        clear(opened);
        return open();
    }

    /**
     * Opens another app's files instead: a program, an index or both; what is not among them stays as it is.
     *
     * @throws IllegalStateException with one clear line: damaged, or not of one model; nothing has changed
     */
    public Recognizer open(List<Uri> files) throws IOException {
        clear(opening);
        if (!opening.mkdirs() | !opened.isDirectory() && !opened.mkdirs()) throw new IOException("No room for the files");
        try {
            for (Uri file : files) copy(file);
            Recognizer recognizer = open(chosen(PROGRAM), chosen(INDEX));
            for (String name : BOTH) {
                File file = new File(opening, name);
                if (file.isFile() && !file.renameTo(new File(opened, name))) throw new IOException("Cannot keep " + name);
            }
            return recognizer;
        } finally {
            clear(opening);
        }
    }

    private File chosen(String name) {
        File file = new File(opening, name);
        return file.isFile() ? file : new File(opened, name);
    }

    private Recognizer open(File program, File index) throws IOException {
        try (MappableFile p = mapped(program, PROGRAM); MappableFile i = mapped(index, INDEX)) {
            return new NativeRecognizer(p, i);
        }
    }

    private MappableFile mapped(File file, String asset) throws IOException {
        return file.isFile() ? MappableFile.file(file) : MappableFile.asset(context, asset);
    }

    private void copy(Uri source) throws IOException {
        File copy = new File(opening, "copy");
        try (InputStream in = context.getContentResolver().openInputStream(source);
                FileOutputStream out = new FileOutputStream(copy)) {
            if (in == null) throw new IOException(context.getString(R.string.photo_gone));
            byte[] buffer = new byte[1 << 16];
            for (int n; (n = in.read(buffer)) > 0; ) out.write(buffer, 0, n);
            out.getFD().sync();
        }
        if (!copy.renameTo(new File(opening, kind(copy)))) throw new IOException("Cannot keep the file");
    }

    /** What a file is, by its first bytes. */
    private String kind(File file) throws IOException {
        byte[] head = new byte[8];
        try (InputStream in = new FileInputStream(file)) {
            int read = in.read(head);
            if (read == head.length && head[0] == 'P' && head[1] == 'V' && head[2] == 'I' && head[3] == 'X') return INDEX;
            if (read == head.length && head[4] == 'E' && head[5] == 'T') return PROGRAM;
        }
        throw new IllegalStateException(context.getString(R.string.file_unknown));
    }

    private static void clear(File folder) {
        File[] files = folder.listFiles();
        if (files != null) for (File file : files) file.delete();
        folder.delete();
    }
}
