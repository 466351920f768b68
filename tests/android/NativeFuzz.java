package org.pocketvlad.demo.recognizer;

import java.io.FileInputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.Arrays;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Supplier;

/**
 * Changed files, random calls and long use of the app's native library: an answer or an IllegalStateException, nothing else.
 *
 * <p>Arguments: libraries (comma-separated, loaded in order), {@code files}, {@code calls} or {@code memory}, program,
 * index, count, seed, threads. Prints what became of how many.
 */
public final class NativeFuzz {
    private static final int SIDE = 40;
    private static final int BUFFERS = 64;
    private static final TreeMap<String, Long> FOUND = new TreeMap<>();
    private static byte[] program;
    private static byte[] index;
    private static Path folder;

    private final Random random;
    private final ByteBuffer[] buffers = new ByteBuffer[BUFFERS];

    private NativeFuzz(long seed) {
        random = new Random(seed);
        for (int i = 0; i < BUFFERS; i++) { // each exactly as long as it says: behind it a sanitizer watches
            byte[] bytes = new byte[random.nextInt(i < BUFFERS / 2 ? 64 : 4 * SIDE * SIDE + 1)];
            random.nextBytes(bytes);
            buffers[i] = ByteBuffer.allocateDirect(bytes.length).put(bytes);
        }
    }

    public static void main(String[] args) throws Exception {
        for (String library : args[0].split(",")) System.load(library);
        program = Files.readAllBytes(Paths.get(args[2]));
        index = Files.readAllBytes(Paths.get(args[3]));
        folder = Files.createTempDirectory("fuzz");
        int count = Integer.parseInt(args[4]);
        long seed = Long.parseLong(args[5]);
        if (args[1].equals("files")) new NativeFuzz(seed).files(count);
        if (args[1].equals("calls")) calls(count, seed, Integer.parseInt(args[6]));
        if (args[1].equals("memory")) new NativeFuzz(seed).memory(count);
        synchronized (FOUND) {
            FOUND.forEach((what, times) -> System.out.println(what + " " + times));
        }
        try (var paths = Files.list(folder)) {
            for (Path path : (Iterable<Path>) paths::iterator) Files.delete(path);
        }
        Files.delete(folder);
    }

    private static void count(String what) {
        synchronized (FOUND) {
            FOUND.merge(what, 1L, Long::sum);
        }
    }

    private static <T> T tried(String what, Supplier<T> call) {
        try {
            T found = call.get();
            count(what + ": answered");
            return found;
        } catch (IllegalStateException e) {
            if (e.getMessage() == null || e.getMessage().isEmpty() || e.getMessage().contains("\n")) throw e;
            count(what + ": refused");
            return null;
        }
    }

    /** Of each kind of file {@code count}: programs, indices that are packaged and added, photos and frames. */
    private void files(int count) throws IOException {
        for (int i = 0; i < count; i++) {
            Long opened = tried("program", opening(changed(program), index));
            if (opened != null) use(opened, "changed program");
            Long other = tried("index", opening(program, changed(index)));
            if (other != null) use(other, "changed index");
        }
        long handle = opening(program, index).get();
        for (int i = 0; i < count; i++) {
            byte[] added = changed(index);
            tried("added index", () -> setAdded(handle, added));
            tried("photo", () -> photo(handle));
            tried("frame", () -> frame(handle));
        }
        NativeRecognizer.nativeClose(handle);
    }

    private void use(long handle, String what) {
        ByteBuffer pixels = ByteBuffer.allocateDirect(4 * 24 * 16);
        tried(what, () -> NativeRecognizer.nativeDescribe(handle, pixels, 24, 16, 1, new long[2]));
        readAll(handle);
        NativeRecognizer.nativeClose(handle);
    }

    private void readAll(long handle) {
        int rows = NativeRecognizer.nativeRows(handle);
        for (int row = 0; row < rows; row++) {
            NativeRecognizer.nativeName(handle, row);
            NativeRecognizer.nativeLabel(handle, row);
            NativeRecognizer.nativeThumbnail(handle, row);
            NativeRecognizer.nativePosition(handle, row);
            float[] descriptor = NativeRecognizer.nativeDescriptor(handle, row);
            NativeRecognizer.nativeSearch(handle, descriptor, 5, new int[5], new long[1]);
        }
    }

    /** One to four bytes changed, a part cut out, repeated, or everything behind it lost. */
    private byte[] changed(byte[] sound) {
        byte[] found = sound.clone();
        for (int i = random.nextInt(4); i >= 0 && found.length > 0; i--) {
            int at = random.nextInt(found.length);
            int end = Math.min(found.length, at + 1 + random.nextInt(64));
            int kind = random.nextInt(20);
            if (kind < 15) {
                int[] values = {0, 1, 127, 128, 255, found[at] ^ (1 << random.nextInt(8)), random.nextInt()};
                found[at] = (byte) values[random.nextInt(values.length)];
            } else if (kind == 19) {
                found = Arrays.copyOf(found, at);
            } else {
                byte[] tail = Arrays.copyOfRange(found, kind < 17 ? end : at, found.length);
                int kept = kind < 17 ? at : end;
                found = Arrays.copyOf(found, kept + tail.length);
                System.arraycopy(tail, 0, found, kept, tail.length);
            }
        }
        return found;
    }

    private Supplier<Long> opening(byte[] programBytes, byte[] indexBytes) {
        return () -> withFile("p", programBytes, p -> withFile("i", indexBytes, i ->
                NativeRecognizer.nativeOpen(p, 0, programBytes.length, i, 0, indexBytes.length)));
    }

    private Boolean setAdded(long handle, byte[] bytes) {
        return withFile("a", bytes, fd -> {
            NativeRecognizer.nativeSetAdded(handle, fd, 0, bytes.length);
            readAll(handle);
            return true;
        });
    }

    private interface Use<T> {
        T of(int fd);
    }

    /** A file of its own each time: an earlier one may still be mapped. */
    private static <T> T withFile(String name, byte[] bytes, Use<T> use) {
        try {
            Path path = Files.createTempFile(folder, name, "");
            Files.write(path, bytes);
            try (FileInputStream file = new FileInputStream(path.toFile())) {
                return use.of(NativeRecognizer.number(file.getFD()));
            } catch (ReflectiveOperationException e) {
                throw new AssertionError(e);
            } finally {
                Files.delete(path);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private int number(int... usual) {
        int kind = random.nextInt(150);
        int[] odd = {-1, 0, 1, Integer.MIN_VALUE, Integer.MAX_VALUE, random.nextInt(), random.nextInt(70000)};
        return kind < odd.length ? odd[kind] : usual[random.nextInt(usual.length)];
    }

    private float[] photo(long handle) {
        ByteBuffer rgba = buffers[random.nextInt(BUFFERS)];
        int width = 1 + random.nextInt(SIDE);
        int height = Math.max(1, rgba.capacity() / 4 / width) + random.nextInt(2);
        return NativeRecognizer.nativeDescribe(
                handle, rgba, number(width), number(height), number(1, 2, 3, 4, 5, 6, 7, 8), new long[2]);
    }

    private float[] frame(long handle) {
        ByteBuffer y = buffers[random.nextInt(BUFFERS)];
        ByteBuffer u = buffers[random.nextInt(BUFFERS)];
        ByteBuffer v = buffers[random.nextInt(BUFFERS)];
        int width = 1 + random.nextInt(SIDE);
        int stride = width + random.nextInt(4);
        int pixel = 1 + random.nextInt(2);
        int chroma = (width + 1) / 2 * pixel + random.nextInt(2);
        int least = Math.min(y.capacity() / stride, 2 * (Math.min(u.capacity(), v.capacity()) / chroma));
        int height = Math.max(1, least) + random.nextInt(2);
        return NativeRecognizer.nativeDescribeYuv(handle, y, u, v, number(stride), number(chroma), number(pixel),
                number(width), number(height), number(1, 2, 3, 4, 5, 6, 7, 8), new long[2]);
    }

    /** A recogniser, or none; as in the app, one thread at a time calls it. */
    private static final class Slot {
        private long handle;
    }

    private static void calls(int sequences, long seed, int threads) throws InterruptedException {
        Slot[] slots = new Slot[2 * threads];
        for (int i = 0; i < slots.length; i++) slots[i] = new Slot();
        AtomicReference<Throwable> failed = new AtomicReference<>();
        Thread[] running = new Thread[threads];
        for (int i = 0; i < threads; i++) {
            NativeFuzz fuzz = new NativeFuzz(seed * 1000 + i);
            int share = sequences / threads + (i < sequences % threads ? 1 : 0);
            running[i] = new Thread(() -> {
                for (int j = 0; j < share && failed.get() == null; j++) fuzz.sequence(slots);
            });
            running[i].setUncaughtExceptionHandler((thread, error) -> failed.compareAndSet(null, error));
            running[i].start();
        }
        for (Thread thread : running) thread.join();
        for (Slot slot : slots) NativeRecognizer.nativeClose(slot.handle);
        if (failed.get() != null) throw new AssertionError(failed.get());
    }

    private void sequence(Slot[] slots) {
        Slot slot = slots[random.nextInt(slots.length)];
        synchronized (slot) {
            for (int calls = 1 + random.nextInt(8); calls > 0; calls--) call(slot);
        }
        count("sequences");
    }

    private void call(Slot slot) {
        int kind = random.nextInt(1000);
        long handle = slot.handle;
        if (kind < 2 || (handle == 0 && kind < 100)) {
            open(slot);
        } else if (kind < 4) {
            slot.handle = 0;
            NativeRecognizer.nativeClose(handle);
        } else if (kind < 8) {
            byte[] bytes = random.nextInt(3) > 0 ? index : changed(index);
            tried("added index", () -> setAdded(handle, bytes));
        } else if (kind < 10) {
            NativeRecognizer.nativeSetThreads(number(random.nextInt(4)));
        } else if (kind < 40) {
            tried("added index", () -> {
                NativeRecognizer.nativeSetAdded(handle, number(-1), number(0), number(0));
                return true;
            });
        } else if (kind < 100) {
            tried("photo", () -> photo(handle));
        } else if (kind < 160) {
            tried("frame", () -> frame(handle));
        } else if (kind < 300) {
            tried("search", () -> search(handle));
        } else {
            tried("reading", () -> read(handle, kind % 6));
        }
    }

    private void open(Slot slot) {
        byte[] programBytes = random.nextInt(4) > 0 ? program : changed(program);
        byte[] indexBytes = random.nextInt(4) > 0 ? index : changed(index);
        Long opened = tried("opening", opening(programBytes, indexBytes));
        NativeRecognizer.nativeClose(slot.handle);
        slot.handle = opened == null ? 0 : opened;
    }

    private float[] search(long handle) {
        float[] descriptor = {};
        if (handle != 0 && random.nextInt(20) > 0) descriptor = NativeRecognizer.nativeDescriptor(handle, 0);
        float[] odd = {Float.NaN, Float.POSITIVE_INFINITY, 0, -1e38f, Float.MIN_VALUE};
        if (descriptor.length > 0 && random.nextInt(10) == 0) {
            descriptor[random.nextInt(descriptor.length)] = odd[random.nextInt(odd.length)];
        }
        return NativeRecognizer.nativeSearch(handle, descriptor, number(1, 5, 1000), new int[random.nextInt(2000)], new long[1]);
    }

    private Object read(long handle, int kind) {
        int rows = handle == 0 ? 1 : NativeRecognizer.nativeRows(handle);
        int row = number(random.nextInt(rows), rows - 1, rows);
        switch (kind) {
            case 0: return NativeRecognizer.nativeName(handle, row);
            case 1: return NativeRecognizer.nativeLabel(handle, row);
            case 2: return NativeRecognizer.nativeThumbnail(handle, row);
            case 3: return NativeRecognizer.nativePosition(handle, row);
            case 4: return NativeRecognizer.nativeDescriptor(handle, row);
            default: return NativeRecognizer.nativeInfo(handle);
        }
    }

    /** {@code count} photos and five times as many frames are recognised; prints the process's memory on the way. */
    private void memory(int count) throws IOException {
        long handle = opening(program, index).get();
        ByteBuffer pixels = ByteBuffer.allocateDirect(4 * 320 * 240);
        ByteBuffer chroma = ByteBuffer.allocateDirect(160 * 120);
        for (int i = 0; i <= 10; i++) {
            if (i > 0) System.out.println("kilobytes " + residentKilobytes());
            for (int j = 0; j < count / 10; j++) {
                recognised(handle, NativeRecognizer.nativeDescribe(handle, pixels, 320, 240, 1 + j % 8, new long[2]));
                for (int k = 0; k < 5; k++) {
                    recognised(handle, NativeRecognizer.nativeDescribeYuv(
                            handle, pixels, chroma, chroma, 320, 160, 1, 320, 240, 1 + k, new long[2]));
                }
            }
        }
        NativeRecognizer.nativeClose(handle);
    }

    private static void recognised(long handle, float[] descriptor) {
        int[] rows = new int[5];
        float[] cosines = NativeRecognizer.nativeSearch(handle, descriptor, 5, rows, new long[1]);
        for (int i = 0; i < cosines.length; i++) {
            NativeRecognizer.nativeName(handle, rows[i]);
            NativeRecognizer.nativeThumbnail(handle, rows[i]);
        }
        count("recognised");
    }

    private static long residentKilobytes() throws IOException {
        for (String line : Files.readAllLines(Paths.get("/proc/self/status"))) {
            if (line.startsWith("VmRSS:")) return Long.parseLong(line.replaceAll("\\D", ""));
        }
        throw new IOException("no VmRSS");
    }
}
