// Runs, their steps, and the audit log about them.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { type Agent, type Audit, bearer } from "./connection.js";
import { EventKindSchema } from "./gen/fairlead/v1/audit_record_pb.js";
import type { WatchEventsRequestSchema, WatchEventsResponse } from "./gen/fairlead/v1/audit_service_pb.js";
import { RunStateSchema, StepEffectSchema, StepStateSchema } from "./gen/fairlead/v1/run_pb.js";
import type { StepLease } from "./gen/fairlead/v1/worker_service_pb.js";
import type { WatchRunResponse } from "./gen/fairlead/v1/workflow_service_pb.js";
import { refusal } from "./refusal.js";
import { bytes, json, named, say } from "./talk.js";

export class Runs {
  readonly #agent: Agent;
  readonly #audit: Audit;
  readonly #as: ReturnType<typeof bearer>;

  constructor(agent: Agent, audit: Audit, token: string) {
    this.#agent = agent;
    this.#audit = audit;
    this.#as = bearer(token);
  }

  async run(): Promise<string> {
    const request = {
      requestId: "start-1",
      workflow: "two-steps",
      input: bytes('{"document":"d-1"}'),
      labels: { team: "desk" },
    };
    const { run } = await this.#agent.runs.startRun(request, this.#as);
    const again = await this.#agent.runs.startRun(request, this.#as);
    const name = run?.name ?? "";
    say("run", { run: name, again: again.run?.name, state: named(RunStateSchema, run?.state ?? 0) });
    // The stream is open while the steps are done; what it says in the meantime waits in it.
    const watch = this.#agent.runs.watchRun({ name }, this.#as)[Symbol.asyncIterator]();
    const seen: WatchRunResponse[] = [(await watch.next()).value];
    await this.#steps();
    for (let next = await watch.next(); !next.done; next = await watch.next()) seen.push(next.value);
    const resumed: WatchRunResponse[] = [];
    const rest = this.#agent.runs.watchRun({ name, afterSequence: seen[2]?.sequence ?? 0n }, this.#as);
    for await (const message of rest) resumed.push(message);
    say("watch_run", { seen: seen.map(told), resumed: resumed.map(told) });
    return name;
  }

  async #steps(): Promise<void> {
    const { work } = this.#agent;
    const found = await work.leaseSteps({ wish: wish("parser"), timeout: { seconds: 20n } }, this.#as);
    const parse = only(found.leases);
    const beat = await work.heartbeatStep({ attempt: attemptOf(parse), progress: "half of it" }, this.#as);
    // The result brings the next step along.
    const completed = await work.completeStep(
      { attempt: attemptOf(parse), output: bytes('{"pages":3}'), next: wish("scorer") },
      this.#as,
    );
    const score = only(completed.leases);
    const stale = await refusal(() =>
      work.failStep({ attempt: attemptOf(parse), code: "TOO_LATE" }, this.#as),
    );
    const failed = await work.failStep(
      { attempt: attemptOf(score), code: "BAD_INPUT", message: "no income", nonRetryable: true },
      this.#as,
    );
    say("work", {
      leased: lease(parse),
      extended: milliseconds(beat.expireTime) >= milliseconds(parse.expireTime),
      cancel_requested: beat.cancelRequested,
      next: lease(score),
      stale,
      step_state: named(StepStateSchema, failed.stepState),
      run_state: named(RunStateSchema, failed.runState),
    });
  }

  /** The audit log as an operator reads it: three records, a break, and on where it stood. */
  async events(run: string): Promise<void> {
    const filter = { run };
    const before = await this.#records({ fromStart: true, filter }, 3);
    const token = before.at(-1)?.resumeToken ?? "";
    const after = await this.#records({ resumeToken: token, filter }, 3);
    const kept = await this.#audit.acknowledgeEvents({
      requestId: "acknowledge-1",
      subscriber: "archive",
      resumeToken: token,
    });
    const [next] = await this.#records({ subscriber: "archive", filter }, 1);
    const records = [...before, ...after].map((message) => message.event?.record);
    const sequences = records.map((record) => record?.sequence ?? 0n);
    say("events", {
      kinds: records.map((record) => named(EventKindSchema, record?.kind ?? 0)),
      rising: sequences.every((sequence, at) => at === 0 || sequence > (sequences[at - 1] ?? 0n)),
      acknowledged: kept.resumeToken === token,
      next: named(EventKindSchema, next?.event?.record?.kind ?? 0),
    });
  }

  async #records(
    request: MessageInitShape<typeof WatchEventsRequestSchema>,
    count: number,
  ): Promise<WatchEventsResponse[]> {
    // Whoever has enough ends the stream with its signal.
    const stop = new AbortController();
    const found: WatchEventsResponse[] = [];
    try {
      for await (const message of this.#audit.watchEvents(request, { signal: stop.signal })) {
        found.push(message);
        if (found.length === count) break;
      }
    } finally {
      stop.abort();
    }
    return found;
  }
}

function wish(queue: string) {
  return { worker: "w-1", queues: [queue], maxSteps: 1 };
}

function attemptOf({ run, step, epoch, lease }: StepLease) {
  return { run, step, epoch, lease };
}

function lease(leased: StepLease) {
  return {
    run: leased.run,
    step: leased.step,
    epoch: leased.epoch,
    attempt: leased.attempt,
    queue: leased.queue,
    input: json(leased.input),
    effect: named(StepEffectSchema, leased.effect),
    labels: leased.labels,
  };
}

/** A message in one word: the state of the run, or the kind of the record. */
function told({ what }: WatchRunResponse): string {
  if (what.case === "run") return named(RunStateSchema, what.value.state);
  return named(EventKindSchema, what.value?.kind ?? 0);
}

function only(leases: StepLease[]): StepLease {
  const [first] = leases;
  if (first === undefined) throw new Error("no step was leased");
  return first;
}

function milliseconds(time: Timestamp | undefined): number {
  return time === undefined ? 0 : timestampMs(time);
}
