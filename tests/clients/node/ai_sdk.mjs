// The AI SDK with its OpenAI and its OpenAI-compatible provider.
// Reads a question as JSON; prints {account: {"provider check": what was found, or {error: how it failed}}} as JSON.
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, Output, embedMany, generateText, isStepCount, streamText, tool } from "ai";
import { text as read } from "node:stream/consumers";
import { z } from "zod";

globalThis.AI_SDK_LOG_WARNINGS = false;
const question = JSON.parse(await read(process.stdin));
const maxRetries = 0;

const providers = {
  openai(apiKey) {
    const made = createOpenAI({ baseURL: question.base_url, apiKey });
    return { chat: (id) => made.chat(id), embedding: (id) => made.embedding(id) };
  },
  responses(apiKey) {
    const made = createOpenAI({ baseURL: question.base_url, apiKey });
    return { chat: (id) => made.responses(id), embedding: (id) => made.embedding(id) };
  },
  compatible(apiKey) {
    const options = { name: "banjia", baseURL: question.base_url, apiKey, includeUsage: true, supportsStructuredOutputs: true };
    const made = createOpenAICompatible(options);
    return { chat: (id) => made.chatModel(id), embedding: (id) => made.embeddingModel(id) };
  },
};

const get_weather = tool({
  description: "The weather of a city today",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `晴 in ${city}`,
});
const tools = { get_weather };
const person = z.object({ name: z.string(), age: z.number().int() });

// A result of generateText, or of streamText once it has ended.
async function report(run) {
  const [steps, text, usage, finish] = await Promise.all([run.steps, run.text, run.totalUsage, run.finishReason]);
  return {
    text,
    finish,
    steps: steps.length,
    calls: steps.flatMap((step) => step.toolCalls.map((call) => [call.toolName, call.input])),
    tokens: [usage.inputTokens, usage.outputTokens],
  };
}

async function streamed(options) {
  let said = "";
  const kinds = new Set();
  const run = streamText({ maxRetries, ...options, onError: ({ error }) => kinds.add(String(error)) });
  for await (const part of run.fullStream) {
    kinds.add(part.type);
    if (part.type === "text-delta") said += part.text;
  }
  return { ...(await report(run)), said, kinds: [...kinds] };
}

const checks = {
  plain: ({ chat }) => generateText({ model: chat("gpt-4o"), instructions: "Be kind.", prompt: question.text, maxRetries }).then(report),
  stream: ({ chat }) => streamed({ model: chat("gpt-4o"), instructions: "Be kind.", prompt: question.text }),
  tools: ({ chat }) =>
    generateText({ model: chat("gpt-4o"), tools, stopWhen: isStepCount(5), prompt: question.weather, maxRetries }).then(report),
  streamed_tools: ({ chat }) => streamed({ model: chat("gpt-4o"), tools, stopWhen: isStepCount(5), prompt: question.weather }),
  async forced({ chat }) {
    const toolChoice = { type: "tool", toolName: "get_weather" };
    return report(await generateText({ model: chat("gpt-4o"), tools, toolChoice, prompt: 'Hello "Oslo"', maxRetries }));
  },
  async unused({ chat }) {
    return report(await generateText({ model: chat("gpt-4o"), tools, toolChoice: "none", prompt: question.text, maxRetries }));
  },
  async object({ chat }) {
    const output = Output.object({ schema: person });
    return (await generateText({ model: chat("gpt-4o"), output, prompt: question.person, maxRetries })).output;
  },
  async streamed_object({ chat }) {
    const run = streamText({ model: chat("gpt-4o"), output: Output.object({ schema: person }), prompt: question.person, maxRetries });
    let last;
    for await (const part of run.partialOutputStream) last = part;
    return { last, output: await run.output };
  },
  async array({ chat }) {
    const output = Output.array({ element: person });
    return (await generateText({ model: chat("gpt-4o"), output, prompt: question.person, maxRetries })).output;
  },
  async choice({ chat }) {
    const output = Output.choice({ options: ["rain", "sun"] });
    return (await generateText({ model: chat("gpt-4o"), output, prompt: "Is it rain or sun? I see the sun.", maxRetries })).output;
  },
  async object_after_tools({ chat }) {
    const output = Output.object({ schema: z.object({ city: z.string() }) });
    const prompt = "What is the weather in Oslo?";
    const run = await generateText({ model: chat("gpt-4o"), tools, output, stopWhen: isStepCount(5), prompt, maxRetries });
    return { ...(await report(run)), text: run.output };
  },
  async sees({ chat }) {
    const image = Buffer.from(question.picture, "hex");
    const content = [
      { type: "text", text: "What is this?" },
      { type: "file", data: image, mediaType: "image/png" },
    ];
    return (await generateText({ model: chat("gpt-4-vision-preview"), messages: [{ role: "user", content }], maxRetries })).text;
  },
  async thinks({ chat }) {
    const run = await generateText({ model: chat("o3"), reasoning: "medium", prompt: question.text, maxRetries });
    return { ...(await report(run)), thought: Boolean(run.reasoningText) };
  },
  thinks_aloud: ({ chat }) => streamed({ model: chat("o3"), reasoning: "medium", prompt: question.text }),
  async embeds({ embedding }) {
    const { embeddings } = await embedMany({ model: embedding("text-embedding-3-small"), values: question.texts, maxRetries });
    return embeddings.map((numbers) => numbers.slice(0, 4));
  },
  async refused(_, { chat }) {
    try {
      await generateText({ model: chat("gpt-4o"), prompt: "Hello", maxRetries });
    } catch (error) {
      if (!APICallError.isInstance(error)) throw error;
      return { status: error.statusCode, code: error.data.error.code };
    }
  },
};

async function told(check, provider, troubled) {
  try {
    return await check(provider, troubled);
  } catch (error) {
    return { error: `${error.stack}\n${JSON.stringify(error).slice(0, 1500)}` };
  }
}

async function one(account) {
  const found = {};
  for (const [name, make] of Object.entries(providers)) {
    const [provider, troubled] = [make(account.key), make(`${account.key}-quota`)];
    for (const check of account.checks) found[`${name} ${check}`] = await told(checks[check], provider, troubled);
  }
  return [account.id, found];
}

console.log(JSON.stringify(Object.fromEntries(await Promise.all(question.accounts.map(one)))));
