// The login, and the way out of it on every page.

import { byId } from "./dom.js";
import { ask } from "./server.js";

/** Sends a form's fields; says why where they are refused, and offers the last one again. */
function submits(form, fields, last) {
  form?.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    if (button.disabled) return;
    button.disabled = true;
    try {
      await ask("/login", fields());
      location.assign("/");
    } catch (refused) {
      byId("refused").textContent = refused.message;
      byId(last).select();
    } finally {
      button.disabled = false;
    }
  });
}

submits(byId("login"), () => ({ name: byId("name").value.trim(), password: byId("password").value }), "password");
submits(byId("login-key"), () => ({ key: byId("key").value.trim() }), "key");

// A form of its own would be refused: it sends no origin under the referrer policy of this port.
byId("logout")?.addEventListener("click", async () => {
  await ask("/login/out", {});
  location.assign("/login");
});
