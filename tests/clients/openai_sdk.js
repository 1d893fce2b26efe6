// The stock openai SDK for Node: one picture, a stream, an edit, and two errors; prints what came as JSON.
import OpenAI, { toFile } from "openai";

const client = new OpenAI({
  baseURL: `${process.env.API_URL}/v1`,
  apiKey: process.env.API_TOKEN,
  maxRetries: 0,
});
const found = {};
const plain = await client.images.generate({ prompt: "a red apple", n: 2, steps: 4 });
found.plain = plain.data.length;
const png = Buffer.from(plain.data[0].b64_json, "base64");
const stream = await client.images.generate({
  prompt: "a green tree",
  stream: true,
  partial_images: 1,
  steps: 6,
});
found.events = [];
for await (const event of stream) found.events.push(event.type);
const edited = await client.images.edit({
  image: await toFile(png, "apple.png", { type: "image/png" }),
  prompt: "a yellow apple",
});
found.edited = edited.data.length;
found.models = (await client.models.list()).data.map((model) => model.id);
async function refusal(call) {
  try {
    await call();
    return "nothing";
  } catch (error) {
    return `${error.constructor.name} ${error.status} ${error.code} ${error.param ?? ""}`.trim();
  }
}
found.unknown = await refusal(() => client.images.generate({ prompt: "a cat", model: "dall-e-3" }));
found.empty = await refusal(() => client.images.generate({ prompt: " " }));
console.log(JSON.stringify(found));
