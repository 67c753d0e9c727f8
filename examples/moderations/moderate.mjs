/* Ask the console as one asks OpenAI: the official client, and nothing of this project.

   usage: node moderate.mjs BASE_URL TEXT...        a text that begins with image: is the address of an image

   Prints one JSON line per result. One text is sent as a string, several as a list, and with an image among them all
   of them as the parts of one message. Exit codes: 0 done, 1 the server refused, 2 wrong usage. */
import OpenAI, { APIError } from "openai";

const IMAGE = "image:";
const [baseURL, ...texts] = process.argv.slice(2);
if (baseURL === undefined || texts.length === 0) {
  console.error("usage: node moderate.mjs BASE_URL TEXT...");
  process.exit(2);
}

const part = (text) =>
  text.startsWith(IMAGE)
    ? { type: "image_url", image_url: { url: text.slice(IMAGE.length) } }
    : { type: "text", text };
const hasImage = texts.some((text) => text.startsWith(IMAGE));
const input = hasImage ? texts.map(part) : texts.length === 1 ? texts[0] : texts;

const client = new OpenAI({ baseURL, apiKey: process.env.CONSOLE_KEY ?? "none", maxRetries: 0 });
try {
  const answer = await client.moderations.create({ input });
  for (const result of answer.results) {
    const { decision, flagged_names, unevaluated } = result.verdictstream;
    console.log(
      JSON.stringify({
        model: answer.model,
        flagged: result.flagged,
        decision,
        flagged_names,
        unevaluated,
        n_names: Object.keys(result.category_scores).length,
        violence: result.category_scores.violence,
      }),
    );
  }
} catch (error) {
  if (!(error instanceof APIError)) throw error;
  const { status, code, type, param, requestID } = error;
  console.log(JSON.stringify({ error: error.constructor.name, status, code, type, param, has_request_id: !!requestID }));
  process.exitCode = 1;
}
