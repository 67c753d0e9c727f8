// What of a chat waits for a person, with the way to answer it.

import { byId, fill, make, spoken } from "../dom.js";
import { ask } from "../server.js";
import { wholeMoment } from "../time.js";

/** Shows the open items of a chat, for those who may answer them; `isCurrent` says whether the chat is still shown. */
export async function waiting({ chatId, decides }, isCurrent) {
  const list = byId("waiting");
  list.hidden = true;
  if (!decides) return;
  let items = [];
  try {
    ({ items } = await ask(`/review/waiting?${new URLSearchParams({ chat_id: chatId })}`));
  } catch {
    // The banner says what is away; the chat's history stands without it.
    return;
  }
  if (!isCurrent() || items.length === 0) return;
  fill(list, "Waits for a person: ", ...items.flatMap((one, i) => [i > 0 && ", ",
    make("a", { href: `/review?item=${one.item_id}` }, `${spoken(one.kind).toLowerCase()} ${one.item_id}`),
    ` (${one.queue}, since ${wholeMoment(one.arrived_ms)})`]));
  list.hidden = false;
}
