package org.pocketvlad.demo.ui;

import android.app.Activity;
import android.content.Intent;
import android.net.Uri;
import android.os.Build;
import android.provider.MediaStore;
import android.view.Menu;
import android.view.View;
import android.Manifest;
import org.junit.Assert;
import org.pocketvlad.demo.Fixture;
import org.pocketvlad.demo.R;
import org.robolectric.Robolectric;
import org.robolectric.RuntimeEnvironment;
import org.robolectric.Shadows;
import org.robolectric.shadows.ShadowActivity;
import org.robolectric.shadows.ShadowPopupMenu;

/** What a person does with the app, for its tests. */
final class App {
    private App() {}

    static MainActivity start() throws Exception {
        return start(new Intent());
    }

    static MainActivity start(Intent intent) throws Exception {
        MainActivity activity = Robolectric.buildActivity(MainActivity.class, intent).setup().get();
        settle(activity);
        return activity;
    }

    static void settle(MainActivity activity) throws Exception {
        Fixture.settle(activity.session);
    }

    static void allowCamera() {
        Shadows.shadowOf(RuntimeEnvironment.getApplication()).grantPermissions(Manifest.permission.CAMERA);
    }

    /** What the app asks another one for, or null. */
    static Intent press(Activity activity, int button) {
        activity.findViewById(button).performClick();
        ShadowActivity.IntentForResult asked = Shadows.shadowOf(activity).getNextStartedActivityForResult();
        return asked == null ? null : asked.intent;
    }

    static void answer(MainActivity activity, Intent asked, int result, Uri photo) throws Exception {
        reply(activity, asked, result, photo);
        settle(activity);
    }

    /** Without waiting for what the app makes of it. */
    static void reply(MainActivity activity, Intent asked, int result, Uri photo) {
        Intent data = photo == null ? null : new Intent().setData(photo);
        Shadows.shadowOf(activity).receiveResult(asked, result, data);
    }

    static void pick(MainActivity activity, byte[] content) throws Exception {
        pick(activity, Fixture.publish(content));
    }

    static void pick(MainActivity activity, Uri photo) throws Exception {
        Intent asked = press(activity, R.id.pick);
        boolean picker = Build.VERSION.SDK_INT >= 33;
        Assert.assertEquals(picker ? MediaStore.ACTION_PICK_IMAGES : Intent.ACTION_GET_CONTENT, asked.getAction());
        answer(activity, asked, Activity.RESULT_OK, photo);
    }

    /** Chooses an item of the menu a button opens. */
    static void choose(View more, int item) {
        more.performClick();
        Menu menu = ShadowPopupMenu.getLatestPopupMenu().getMenu();
        menu.performIdentifierAction(menu.getItem(item).getItemId(), 0);
    }

    static String verdict(Activity activity) {
        return Fixture.text(activity, R.id.verdict);
    }

    static String detail(Activity activity) {
        return Fixture.text(activity, R.id.detail);
    }
}
