// Conversations in other forms: JSON with messages, or a transcript.

const ROLES = new Map([
  ["user", "user"], ["human", "user"], ["assistant", "assistant"], ["ai", "assistant"], ["bot", "assistant"],
  ["system", "system"], ["developer", "developer"], ["tool", "tool"], ["function", "function"],
]);
const SPEAKER = /^\s*(user|human|assistant|ai|bot|system)\s*:\s?(.*)$/i;

/** Returns { turns, left } of a pasted text, null where it is an ordinary text; `left` counts what is no text. */
export function conversationOf(text) {
  return ofJson(text) ?? ofTranscript(text);
}

function ofJson(text) {
  const start = text.trimStart()[0];
  if (start !== "{" && start !== "[") return null;
  let document;
  try {
    document = JSON.parse(text);
  } catch {
    return null;
  }
  const messages = Array.isArray(document) ? document : document.messages ?? document.conversation;
  if (!Array.isArray(messages) || !messages.length) return null;
  let left = 0;
  const turns = [];
  for (const message of messages) {
    const role = ROLES.get(String(message?.role ?? message?.from ?? "").toLowerCase());
    if (role === undefined) return null;
    const content = message.content ?? message.value ?? "";
    const parts = Array.isArray(content) ? content : [{ text: content }];
    const texts = parts.map((part) => (typeof part === "string" ? part : part?.text)).filter((part) => typeof part === "string");
    left += parts.length - texts.length;
    turns.push({ role, content: texts.join("\n") });
  }
  return { turns, left };
}

function ofTranscript(text) {
  const lines = text.split(/\r?\n/);
  if (!SPEAKER.test(lines[0]) || lines.filter((line) => SPEAKER.test(line)).length < 2) return null;
  const turns = [];
  for (const line of lines) {
    const found = SPEAKER.exec(line);
    if (found) turns.push({ role: ROLES.get(found[1].toLowerCase()), content: found[2] });
    else turns.at(-1).content += `\n${line}`;
  }
  return { turns: turns.map(({ role, content }) => ({ role, content: content.trim() })), left: 0 };
}
