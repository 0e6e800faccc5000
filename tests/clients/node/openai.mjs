// OpenAI's SDK for JavaScript. Reads a question as JSON, prints answers as JSON.
import OpenAI, { APIError } from "openai";
import { text } from "node:stream/consumers";

const question = JSON.parse(await text(process.stdin));
const client = (key) => new OpenAI({ baseURL: question.base_url, apiKey: key, maxRetries: 0 });

async function plain(key, body) {
  const answer = await client(key).chat.completions.create(body);
  const [choice] = answer.choices;
  return {
    text: choice.message.content ?? "",
    calls: (choice.message.tool_calls ?? []).map((call) => [call.function.name, call.function.arguments]),
    finish: choice.finish_reason,
    tokens: answer.usage.completion_tokens,
  };
}

async function stream(key, body) {
  const told = { text: "", calls: [], finish: null, tokens: null };
  const chunks = await client(key).chat.completions.create({ ...body, stream: true, stream_options: { include_usage: true } });
  for await (const chunk of chunks) {
    told.tokens = chunk.usage?.completion_tokens ?? told.tokens;
    for (const choice of chunk.choices) {
      told.text += choice.delta.content ?? "";
      told.finish = choice.finish_reason ?? told.finish;
      for (const part of choice.delta.tool_calls ?? []) {
        if (part.index === told.calls.length) told.calls.push([part.function.name, ""]);
        told.calls[part.index][1] += part.function.arguments ?? "";
      }
    }
  }
  return told;
}

// The SDK's own helper, which builds the answer up from the chunks and is stricter about them.
async function gathered(key, body) {
  const runner = client(key).chat.completions.stream(body);
  const { choices } = await runner.finalChatCompletion();
  return { text: choices[0].message.content ?? "", calls: (choices[0].message.tool_calls ?? []).length, finish: choices[0].finish_reason };
}

async function refused(key, body) {
  try {
    return { answer: await client(key).chat.completions.create(body) };
  } catch (error) {
    if (!(error instanceof APIError)) throw error;
    const { status, code, param, type, requestID } = error;
    return { class: error.constructor.name, status, code, param, type, request_id: requestID };
  }
}

const chats = {};
for (const key of question.answering) {
  chats[key] = {};
  for (const [name, body] of Object.entries(question.chats)) {
    chats[key][name] = { plain: await plain(key, body), stream: await stream(key, body), gathered: await gathered(key, body) };
  }
}
const embeddings = {};
for (const key of question.embedding) {
  const answer = await client(key).embeddings.create(question.embeddings);
  embeddings[key] = answer.data.map((item) => item.embedding.slice(0, 4));
}
const errors = {};
for (const [name, { key, body }] of Object.entries(question.errors)) errors[name] = await refused(key, body);
const models = [];
for await (const model of client(question.keys[0]).models.list()) models.push(model.id);
console.log(JSON.stringify({ version: process.version, chats, embeddings, errors, models }));
