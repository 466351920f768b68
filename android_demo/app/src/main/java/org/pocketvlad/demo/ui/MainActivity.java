package org.pocketvlad.demo.ui;

import android.Manifest;
import android.app.Activity;
import android.content.Intent;
import android.content.pm.PackageManager;
import android.os.Build;
import android.os.Bundle;
import android.view.View;
import android.view.ViewGroup;
import android.view.animation.DecelerateInterpolator;
import java.util.Collections;
import java.util.List;
import org.pocketvlad.demo.R;
import org.pocketvlad.demo.places.Snapshot;
import org.pocketvlad.demo.recognizer.Assets;
import org.pocketvlad.demo.session.Answered;
import org.pocketvlad.demo.session.Session;

/** Pick, take or share a photo, or look through the camera, and see the places it resembles. */
public final class MainActivity extends Activity {
    private static final int ALLOW_TAKE = 3;
    private static final int ALLOW_LIVE = 4;
    private static final String PHOTO = "photo";
    private static final String LICENCES = "NOTICE.txt";
    private static final int RISE = 24; // dp
    private static final int MOTION = 200; // milliseconds

    Session session;
    Page page; // over the first screen, or null
    private PhotoScreen screen;
    private PhotoSources sources;
    private Documents files;
    private Back back;

    @Override
    protected void onCreate(Bundle saved) {
        super.onCreate(saved);
        Insets.edgeToEdge(this);
        setContentView(R.layout.main);
        Insets.keepClear(findViewById(R.id.page));
        if (Build.VERSION.SDK_INT >= 33) back = new Back(this, this::close);
        session = (Session) getLastNonConfigurationInstance();
        boolean restarted = session == null;
        if (restarted) session = new Session(this);
        sources = new PhotoSources(this, session);
        files = new Documents(this, session);
        findViewById(R.id.pick).setOnClickListener(view -> sources.pick());
        findViewById(R.id.take).setOnClickListener(view -> allowed(ALLOW_TAKE));
        findViewById(R.id.live).setOnClickListener(view -> allowed(ALLOW_LIVE));
        findViewById(R.id.more).setOnClickListener(this::menu);
        findViewById(R.id.add_place).setOnClickListener(view -> addPlace());
        findViewById(R.id.threshold).setOnClickListener(view -> ThresholdDialog.show(this, session));
        screen = new PhotoScreen(this, session);
        session.attach(screen);
        if (saved == null) {
            sources.shared(getIntent());
        } else {
            if (restarted && saved.getBoolean(PHOTO)) session.restore();
            reopen(saved);
        }
    }

    @Override
    protected void onNewIntent(Intent intent) {
        super.onNewIntent(intent);
        close();
        sources.shared(intent);
    }

    @Override
    public Object onRetainNonConfigurationInstance() {
        return session;
    }

    @Override
    protected void onSaveInstanceState(Bundle state) {
        super.onSaveInstanceState(state);
        state.putBoolean(PHOTO, session.hasPhoto());
        if (page != null) page.save(state);
    }

    private void reopen(Bundle saved) {
        if (saved.getBoolean(LivePage.KEY)) open(new LivePage(this, session));
        if (saved.getBoolean(PlacesPage.KEY)) open(new PlacesPage(this, session, files));
        if (saved.getBoolean(CheckPage.KEY)) open(new CheckPage(this, session));
        if (saved.containsKey(ComparePage.KEY)) compare(saved.getInt(ComparePage.KEY));
    }

    @Override
    protected void onStart() {
        super.onStart();
        if (page != null) page.start();
    }

    @Override
    protected void onStop() {
        if (page != null) page.stop();
        super.onStop();
    }

    @Override
    protected void onDestroy() {
        if (isChangingConfigurations()) {
            session.detach(screen);
        } else {
            session.close();
        }
        super.onDestroy();
    }

    /** Opens a page over the first screen. */
    void open(Page opened) {
        close();
        page = opened;
        ViewGroup root = findViewById(R.id.root);
        findViewById(R.id.page).setVisibility(View.INVISIBLE);
        root.addView(page.view);
        page.view.requestApplyInsets();
        rise(page.view);
        page.start();
        if (back != null) back.take(true);
    }

    /** A page comes from below, over the first screen. */
    private static void rise(View view) {
        view.setAlpha(0);
        view.setTranslationY(RISE * view.getResources().getDisplayMetrics().density);
        view.animate().alpha(1).translationY(0).setDuration(MOTION).setInterpolator(new DecelerateInterpolator());
    }

    /** Closes the page, if one is open. */
    void close() {
        if (page == null) return;
        page.stop();
        ((ViewGroup) findViewById(R.id.root)).removeView(page.view);
        page = null;
        findViewById(R.id.page).setVisibility(View.VISIBLE);
        if (back != null) back.take(false);
    }

    /** Puts the photo beside one of its matches, where they are on the screen. */
    void compare(int rank) {
        if (!(session.state() instanceof Answered)) return;
        Answered answer = (Answered) session.state();
        if (rank < answer.recognition.matches.size()) open(new ComparePage(this, answer, rank));
    }

    /** Asks for the name of the place on the screen. */
    private void addPlace() {
        if (!(session.state() instanceof Answered)) return;
        Answered answer = (Answered) session.state();
        String known = answer.verdict.known ? Labels.readable(answer.verdict.best.place()) : "";
        add(known, Collections.singletonList(
                new Snapshot(answer.photo, answer.position, answer.recognition.descriptor)));
    }

    /** Asks for the name of a place and gives it these photos. */
    void add(String suggested, List<Snapshot> photos) {
        NameDialog.show(this, R.string.add_place, suggested, name -> session.addPlace(name, photos,
                reason -> Notice.show(this, R.string.places_unchanged, reason)));
    }

    @Override
    @SuppressWarnings("deprecation") // of API 33: below it there is no other way
    public void onBackPressed() {
        if (page != null) {
            close();
        } else {
            super.onBackPressed();
        }
    }

    private void menu(View anchor) {
        Choices choices = new Choices(anchor).add(R.string.places, () -> open(new PlacesPage(this, session, files)))
                .add(R.string.threshold_title, () -> ThresholdDialog.show(this, session))
                .add(R.string.open_model, files::open);
        if (session.hasOpened()) {
            choices.add(R.string.packaged_model, () -> session.openPackaged(
                    reason -> Notice.show(this, R.string.model_unchanged, reason)));
        }
        choices.add(R.string.check, () -> open(new CheckPage(this, session))).add(R.string.about, this::about).show();
    }

    private void about() {
        session.run(recognizer -> {
            String text = PhotoScreen.about(this, recognizer.info(), session.runtime());
            String licences = Assets.text(this, LICENCES);
            session.onMain(() -> Notice.show(this, R.string.about, text, R.string.licences,
                    () -> Notice.show(this, R.string.licences, licences)));
        });
    }

    /** Goes on where the camera is allowed, and asks for it elsewhere. */
    private void allowed(int purpose) {
        if (checkSelfPermission(Manifest.permission.CAMERA) == PackageManager.PERMISSION_GRANTED) {
            withCamera(purpose);
        } else {
            requestPermissions(new String[] {Manifest.permission.CAMERA}, purpose);
        }
    }

    private void withCamera(int purpose) {
        if (purpose == ALLOW_TAKE) {
            sources.take();
        } else {
            open(new LivePage(this, session));
        }
    }

    @Override
    public void onRequestPermissionsResult(int purpose, String[] permissions, int[] results) {
        if (results.length == 0) return; // interrupted: nobody refused
        if (results[0] == PackageManager.PERMISSION_GRANTED) {
            withCamera(purpose);
        } else {
            session.problem(R.string.camera_refused, getString(R.string.camera_refused_detail));
        }
    }

    @Override
    protected void onActivityResult(int request, int result, Intent data) {
        if (Documents.asked(request)) {
            files.result(request, result, data);
        } else {
            sources.result(request, result, data);
        }
    }
}
