// The official OpenAI SDK for Node, one scenario per model: prints what it got as JSON.
import OpenAI from "openai";

const [baseURL, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: process.env.COMPAT_TOKEN, maxRetries: 0 });
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const tools = [{ type: "function", function: { name: "get_weather", description: "Weather", parameters } }];
const hello = [{ role: "user", content: "hello" }];

const whole = await client.chat.completions.create({ model, messages: hello, max_tokens: 100 });

let streamed = "";
let end = null;
for await (const chunk of await client.chat.completions.create({ model, messages: hello, max_tokens: 100, stream: true })) {
  streamed += chunk.choices[0]?.delta?.content ?? "";
  end = chunk.choices[0]?.finish_reason ?? end;
}

const messages = [{ role: "user", content: "weather in Paris" }];
const asked = await client.chat.completions.create({ model, messages, tools, max_tokens: 100 });
const call = asked.choices[0].message.tool_calls[0];
messages.push(asked.choices[0].message, { role: "tool", tool_call_id: call.id, content: "sunny in Paris" });
const told = await client.chat.completions.create({ model, messages, tools, max_tokens: 100 });

const response = await client.responses.create({ model, input: "hello", max_output_tokens: 100 });
let events = [];
for await (const event of await client.responses.create({ model, input: "hello", max_output_tokens: 100, stream: true })) {
  events.push(event.type);
}

console.log(JSON.stringify({
  whole: whole.choices[0].message.content,
  streamed,
  end,
  arguments: JSON.parse(call.function.arguments),
  told: told.choices[0].message.content,
  response: response.output_text,
  first: events[0],
  last: events.at(-1),
}));
