// The Vercel AI SDK's image call: pictures, and an error; prints what came as JSON.
import { createOpenAI } from "@ai-sdk/openai";
import * as ai from "ai";

globalThis.AI_SDK_LOG_WARNINGS = false; // they go to standard output
const generateImage = ai.generateImage ?? ai.experimental_generateImage;
const openai = createOpenAI({ baseURL: `${process.env.API_URL}/v1`, apiKey: process.env.API_TOKEN });
const found = {};
const made = await generateImage({
  model: openai.image("cuckoo-icons"),
  prompt: "a red apple",
  n: 2,
  size: "32x32",
  seed: 3,
  maxRetries: 0,
  providerOptions: { openai: { steps: 4 } },
});
found.media = made.images.map((image) => image.mediaType);
found.beginning = Buffer.from(made.images[0].base64, "base64").subarray(1, 4).toString();
try {
  await generateImage({ model: openai.image("dall-e-9"), prompt: "a cat", maxRetries: 0 });
  found.refusal = "nothing";
} catch (error) {
  found.refusal = `${error.statusCode} ${error.message}`;
}
console.log(JSON.stringify(found));
