// Model calls that the agent makes itself, tool calls, and what goes wrong with them.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { setTimeout as sleep } from "node:timers/promises";
import { type Agent, bearer, TIMEOUT_MS } from "./connection.js";
import { ApprovalStateSchema } from "./gen/fairlead/v1/approval_service_pb.js";
import { AttemptOutcome } from "./gen/fairlead/v1/decision_pb.js";
import { type AdmitRequestSchema, ToolOutcome } from "./gen/fairlead/v1/gate_service_pb.js";
import { codeOf, refusal } from "./refusal.js";
import { amount, bytes, heard, json, named, please, say } from "./talk.js";

type Admission = MessageInitShape<typeof AdmitRequestSchema>;

export function admission(requestId: string, facts: Admission = {}): Admission {
  return {
    requestId,
    model: "small",
    input: { case: "inputTokens", value: 100n },
    maxOutputTokens: 50n,
    ...facts,
  };
}

export class Gate {
  readonly #agent: Agent;
  readonly #as: ReturnType<typeof bearer>;

  constructor(agent: Agent, token: string) {
    this.#agent = agent;
    this.#as = bearer(token);
  }

  async admit(): Promise<string> {
    const first = await this.#admit("admit-1");
    const again = await this.#admit("admit-1");
    say("admit", {
      invocation: first.invocation,
      again: again.invocation,
      model: first.plan[0]?.model,
      max_output_tokens: Number(first.maxOutputTokens),
      held: amount(first.reservation?.amount),
    });
    return first.invocation;
  }

  async settle(invocation: string): Promise<void> {
    const attempt = {
      model: "small",
      outcome: AttemptOutcome.SUCCEEDED,
      statusCode: 200,
      usage: { input: 100n, output: 20n },
    };
    const done = await this.#agent.gate.settle(
      { requestId: "settle-1", invocation, attempts: [attempt] },
      this.#as,
    );
    say("settle", { charged: amount(done.charged), released: amount(done.released), late: done.late });
  }

  async refusals(settled: string): Promise<void> {
    const { gate } = this.#agent;
    await this.#admit("paced-1", { labels: { pace: "slow" } });
    say("refusals", {
      budget: await refusal(() => this.#admit("tiny", { labels: { tier: "tiny" } })),
      policy: await refusal(() => this.#admit("forbidden", { workload: "forbidden" })),
      rate: await refusal(() => this.#admit("paced-2", { labels: { pace: "slow" } })),
      state: await refusal(() => gate.settle({ requestId: "settle-2", invocation: settled }, this.#as)),
      argument: await refusal(() => gate.admit({ model: "small" }, this.#as)),
      credential: await refusal(() => gate.admit(admission("stranger"), bearer("wrong"))),
      missing: await refusal(() =>
        gate.settle({ requestId: "nowhere", invocation: `inv_${"0".repeat(32)}` }, this.#as),
      ),
    });
  }

  async tool(): Promise<void> {
    const key = "refund/4711";
    const asked = await this.#authorize("refund-1", key);
    if (asked.case !== "pending") throw new Error(`not pending but ${asked.case}`);
    const pending = asked.value;
    please("approve", { approval: pending.approval });
    const { ticket } = await this.#agent.tickets.waitTicket(
      { ticket: pending.ticket, timeout: { seconds: 60n } },
      this.#as,
    );
    const agreed = await this.#authorize("refund-2", key, pending.ticket);
    if (agreed.case !== "granted") throw new Error(`not granted but ${agreed.case}`);
    const granted = agreed.value;
    const result = bytes('{"paid":250}');
    await this.#agent.gate.completeTool(
      { requestId: "refund-3", grant: granted.grant, outcome: ToolOutcome.SUCCEEDED, result },
      this.#as,
    );
    const repeated = await this.#authorize("refund-4", key);
    if (repeated.case !== "replayed") throw new Error(`not replayed but ${repeated.case}`);
    say("tool", {
      approval: pending.approval,
      ticket: named(ApprovalStateSchema, ticket?.state ?? 0),
      grant: granted.grant,
      arguments: json(granted.constraints?.arguments ?? bytes("null")),
      key: granted.idempotencyKey,
      replayed: json(repeated.value.result),
      replayed_grant: repeated.value.grant,
    });
  }

  async deadline(): Promise<void> {
    const asked = await this.#authorize("slow-1");
    if (asked.case !== "pending") throw new Error(`not pending but ${asked.case}`);
    const { ticket } = asked.value;
    const wait = { ticket, timeout: { seconds: 60n } };
    const code = await codeOf(this.#agent.tickets.waitTicket(wait, { ...this.#as, timeoutMs: 300 }));
    const found = await this.#agent.tickets.getTicket({ ticket }, this.#as);
    say("deadline", { code, ticket: named(ApprovalStateSchema, found.ticket?.state ?? 0) });
  }

  /** The sidecar is killed, and comes back on the same address: the transport finds it by itself. */
  async reconnect(): Promise<void> {
    const before = await this.#admit("reconnect-1");
    please("kill");
    await heard();
    const whileDown = await codeOf(this.#admit("reconnect-1"));
    please("start");
    const after = await untilAnswered(() => this.#admit("reconnect-1"));
    say("reconnect", { before: before.invocation, while_down: whileDown, after: after.invocation });
  }

  /** Round trips of Admit, one after the other; what was held is given back outside of the measurement. */
  async bench(count: number): Promise<void> {
    const took: number[] = [];
    for (let number = -Math.floor(count / 10); number < count; number++) {
      const began = process.hrtime.bigint();
      const admitted = await this.#admit(`bench-${number}`);
      if (number >= 0) took.push(Number(process.hrtime.bigint() - began) / 1000);
      const release = { requestId: `free-${number}`, invocation: admitted.invocation };
      await this.#agent.gate.release(release, this.#as);
    }
    took.sort((one, other) => one - other);
    say("bench", {
      count,
      p50_us: took[Math.floor(count / 2)],
      p99_us: took[Math.floor((count * 99) / 100)],
    });
  }

  #admit(requestId: string, facts: Admission = {}) {
    return this.#agent.gate.admit(admission(requestId, facts), this.#as);
  }

  async #authorize(requestId: string, idempotencyKey = "", ticket = "") {
    const request = {
      requestId,
      tool: "payments.refund",
      arguments: bytes('{"amount":250}'),
      idempotencyKey,
      ticket,
    };
    return (await this.#agent.gate.authorizeTool(request, this.#as)).outcome;
  }
}

/** Repeats UNAVAILABLE with the same request id; everything else is an answer. */
async function untilAnswered<T>(call: () => Promise<T>): Promise<T> {
  const until = Date.now() + TIMEOUT_MS;
  for (;;) {
    const answer = call();
    if ((await codeOf(answer)) !== Code.Unavailable || Date.now() > until) return answer;
    await sleep(100);
  }
}
