// The login, and the way out of it on every page.

import { byId } from "./dom.js";
import { ask } from "./server.js";

byId("login")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await ask("/login", { key: byId("key").value.trim() });
    location.assign("/");
  } catch (refused) {
    byId("refused").textContent = refused.message;
    byId("key").select();
  }
});

// A form of its own would be refused: it sends no origin under the referrer policy of this port.
byId("logout")?.addEventListener("click", async () => {
  await ask("/login/out", {});
  location.assign("/login");
});
