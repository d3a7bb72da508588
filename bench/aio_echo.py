"""A bare grpc.aio server that answers an admission with a constant: what Python's own transport costs."""

from __future__ import annotations

import asyncio
import sys

import grpc

from fairlead.v1 import decision_pb2, gate_service_pb2, gate_service_pb2_grpc


class Echo(gate_service_pb2_grpc.GateServiceServicer):  # type: ignore[misc]
    """Answers like a real admission in size."""

    def __init__(self) -> None:
        plan = [
            decision_pb2.PlannedTarget(model=name, provider="provider-primary", upstream_model=name)
            for name in ("dev-large", "dev-small")
        ]
        decision = decision_pb2.Decision(config_version="0" * 64, route="classification", rules=["rule-000"])
        self._answer = gate_service_pb2.AdmitResponse(invocation="inv_" + "0" * 32, decision=decision, plan=plan)

    async def Admit(
        self, request: gate_service_pb2.AdmitRequest, context: grpc.aio.ServicerContext
    ) -> gate_service_pb2.AdmitResponse:
        return self._answer


async def main() -> None:
    server = grpc.aio.server()
    gate_service_pb2_grpc.add_GateServiceServicer_to_server(Echo(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"127.0.0.1:{port}", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(None)


if __name__ == "__main__":
    asyncio.run(main())
