// What the example says to whoever runs it, one JSON line at a time.
import type { DescEnum } from "@bufbuild/protobuf";
import { createInterface } from "node:readline";
import type { Amount } from "./gen/fairlead/v1/amount_pb.js";

export function say(scene: string, facts: object): void {
  process.stdout.write(`${JSON.stringify({ scene, ...facts })}\n`);
}

/** Asks for what a client cannot do. */
export function please(what: string, facts: object = {}): void {
  process.stdout.write(`${JSON.stringify({ please: what, ...facts })}\n`);
}

/** The answer: one line. */
export async function heard(): Promise<void> {
  const lines = createInterface({ input: process.stdin });
  for await (const _ of lines) {
    break;
  }
  lines.close();
}

/** The name of an enum's value; of one that this client does not know yet, its number. */
export function named(schema: DescEnum, value: number): string {
  return schema.value[value]?.name ?? String(value);
}

export function json(bytes: Uint8Array): unknown {
  return JSON.parse(new TextDecoder().decode(bytes));
}

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function amount(value: Amount | undefined) {
  return {
    nano_usd: Number(value?.nanoUsd ?? 0),
    tokens: Number(value?.tokens ?? 0),
    requests: Number(value?.requests ?? 0),
  };
}
