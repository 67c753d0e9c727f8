import { byId } from "./dom.js";
import { ask } from "./server.js";

byId("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await ask("/login", { key: byId("key").value.trim() });
    location.assign("/");
  } catch (refused) {
    byId("refused").textContent = refused.message;
    byId("key").select();
  }
});
