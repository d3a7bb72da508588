// Connections to the two endpoints of a sidecar.
import { connect } from "node:net";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { ApprovalTicketService } from "./gen/fairlead/v1/approval_service_pb.js";
import { AuditService } from "./gen/fairlead/v1/audit_service_pb.js";
import { GateService } from "./gen/fairlead/v1/gate_service_pb.js";
import { WorkerService } from "./gen/fairlead/v1/worker_service_pb.js";
import { WorkflowService } from "./gen/fairlead/v1/workflow_service_pb.js";

export const TIMEOUT_MS = 30_000;

/** The services that an agent calls, over one connection. It is made with the first call, and again when it is gone. */
export function agent(endpoint: string) {
  const transport = createGrpcTransport({
    // The sidecar is on the loopback of the same pod.
    baseUrl: `http://${endpoint}`,
    defaultTimeoutMs: TIMEOUT_MS,
    readMaxBytes: 64 << 20,
  });
  return {
    gate: createClient(GateService, transport),
    tickets: createClient(ApprovalTicketService, transport),
    runs: createClient(WorkflowService, transport),
    work: createClient(WorkerService, transport),
  };
}

/** The audit log, over the operators' socket. Access to the socket is the credential. */
export function audit(socket: string) {
  const transport = createGrpcTransport({
    baseUrl: "http://localhost",
    defaultTimeoutMs: TIMEOUT_MS,
    readMaxBytes: 64 << 20,
    nodeOptions: { createConnection: () => connect(socket) },
  });
  return createClient(AuditService, transport);
}

export type Agent = ReturnType<typeof agent>;
export type Audit = ReturnType<typeof audit>;

/** Metadata of every call of an agent. */
export function bearer(token: string) {
  return { headers: { authorization: `Bearer ${token}` } };
}
