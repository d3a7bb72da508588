// The example client in TypeScript. It goes through the scenes of examples/clients/README.md and prints one JSON line
// for each.
import { agent, audit } from "./connection.js";
import { Gate } from "./gate.js";
import { Runs } from "./runs.js";

function told(variable: string): string {
  const value = process.env[variable];
  if (value === undefined) throw new Error(`${variable} is not set`);
  return value;
}

const token = told("FAIRLEAD_TOKEN");
const connection = agent(told("FAIRLEAD_ENDPOINT"));
const gate = new Gate(connection, token);
if (process.argv[2] === "--bench") {
  await gate.bench(Number(process.argv[3]));
} else {
  const runs = new Runs(connection, audit(told("FAIRLEAD_OPERATOR_SOCKET")), token);
  const invocation = await gate.admit();
  await gate.settle(invocation);
  await gate.refusals(invocation);
  await gate.tool();
  await runs.events(await runs.run());
  await gate.deadline();
  await gate.reconnect();
}
// Idle connections would keep the process for a while.
process.exit(0);
