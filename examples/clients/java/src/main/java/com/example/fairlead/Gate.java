package com.example.fairlead;

import static com.example.fairlead.Talk.amount;
import static com.example.fairlead.Talk.json;
import static com.example.fairlead.Talk.named;
import static com.example.fairlead.Talk.please;
import static com.example.fairlead.Talk.say;

import com.google.protobuf.ByteString;
import com.google.protobuf.Duration;
import com.google.protobuf.InvalidProtocolBufferException;
import fairlead.v1.AmountOuterClass.Usage;
import fairlead.v1.ApprovalServiceOuterClass.GetTicketRequest;
import fairlead.v1.ApprovalServiceOuterClass.Ticket;
import fairlead.v1.ApprovalServiceOuterClass.WaitTicketRequest;
import fairlead.v1.DecisionOuterClass.Attempt;
import fairlead.v1.DecisionOuterClass.AttemptOutcome;
import fairlead.v1.GateServiceOuterClass.AdmitRequest;
import fairlead.v1.GateServiceOuterClass.AdmitResponse;
import fairlead.v1.GateServiceOuterClass.AuthorizeToolRequest;
import fairlead.v1.GateServiceOuterClass.AuthorizeToolResponse;
import fairlead.v1.GateServiceOuterClass.CompleteToolRequest;
import fairlead.v1.GateServiceOuterClass.ReleaseRequest;
import fairlead.v1.GateServiceOuterClass.SettleRequest;
import fairlead.v1.GateServiceOuterClass.SettleResponse;
import fairlead.v1.GateServiceOuterClass.ToolGranted;
import fairlead.v1.GateServiceOuterClass.ToolOutcome;
import fairlead.v1.GateServiceOuterClass.ToolPending;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.util.Arrays;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** Model calls that the agent makes itself, tool calls, and what goes wrong with them. */
final class Gate {
  private static final ByteString REFUND = ByteString.copyFromUtf8("{\"amount\":250}");

  private final Connection connection;

  Gate(Connection connection) {
    this.connection = connection;
  }

  String admit() {
    AdmitResponse first = ask(admission("admit-1"));
    AdmitResponse again = ask(admission("admit-1"));
    say(
        "admit",
        Map.of(
            "invocation", first.getInvocation(),
            "again", again.getInvocation(),
            "model", first.getPlan(0).getModel(),
            "max_output_tokens", first.getMaxOutputTokens(),
            "held", amount(first.getReservation().getAmount())));
    return first.getInvocation();
  }

  void settle(String invocation) {
    Attempt attempt =
        Attempt.newBuilder()
            .setModel("small")
            .setOutcome(AttemptOutcome.ATTEMPT_OUTCOME_SUCCEEDED)
            .setStatusCode(200)
            .setUsage(Usage.newBuilder().setInput(100).setOutput(20))
            .build();
    SettleResponse done = connection.gate().settle(settlement("settle-1", invocation).addAttempts(attempt).build());
    say(
        "settle",
        Map.of("charged", amount(done.getCharged()), "released", amount(done.getReleased()), "late", done.getLate()));
  }

  void refusals(String settled) throws InvalidProtocolBufferException {
    ask(admission("paced-1").putLabels("pace", "slow"));
    say(
        "refusals",
        Map.of(
            "budget", Refusal.of(() -> ask(admission("tiny").putLabels("tier", "tiny"))),
            "policy", Refusal.of(() -> ask(admission("forbidden").setWorkload("forbidden"))),
            "rate", Refusal.of(() -> ask(admission("paced-2").putLabels("pace", "slow"))),
            "state", Refusal.of(() -> connection.gate().settle(settlement("settle-2", settled).build())),
            "argument", Refusal.of(() -> ask(AdmitRequest.newBuilder().setModel("small"))),
            "credential", Refusal.of(() -> connection.gateAs("wrong").admit(admission("stranger").build())),
            "missing",
                Refusal.of(
                    () -> connection.gate().settle(settlement("nowhere", "inv_" + "0".repeat(32)).build()))));
  }

  void tool() {
    String key = "refund/4711";
    ToolPending pending = authorize("refund-1", key, "").getPending();
    please("approve", Map.of("approval", pending.getApproval()));
    Ticket ticket = connection.tickets().waitTicket(wait(pending.getTicket())).getTicket();
    ToolGranted granted = authorize("refund-2", key, pending.getTicket()).getGranted();
    CompleteToolRequest happened =
        CompleteToolRequest.newBuilder()
            .setRequestId("refund-3")
            .setGrant(granted.getGrant())
            .setOutcome(ToolOutcome.TOOL_OUTCOME_SUCCEEDED)
            .setResult(ByteString.copyFromUtf8("{\"paid\":250}"))
            .build();
    connection.gate().completeTool(happened);
    AuthorizeToolResponse repeated = authorize("refund-4", key, "");
    say(
        "tool",
        Map.of(
            "approval", pending.getApproval(),
            "ticket", named(ticket.getState(), ticket.getStateValue()),
            "grant", granted.getGrant(),
            "arguments", json(granted.getConstraints().getArguments()),
            "key", granted.getIdempotencyKey(),
            "replayed", json(repeated.getReplayed().getResult()),
            "replayed_grant", repeated.getReplayed().getGrant()));
  }

  void deadline() {
    String ticket = authorize("slow-1", "", "").getPending().getTicket();
    int code =
        Refusal.codeOf(
            () -> connection.tickets().withDeadlineAfter(300, TimeUnit.MILLISECONDS).waitTicket(wait(ticket)));
    Ticket found = connection.tickets().getTicket(GetTicketRequest.newBuilder().setTicket(ticket).build()).getTicket();
    say("deadline", Map.of("code", code, "ticket", named(found.getState(), found.getStateValue())));
  }

  /** The sidecar is killed, and comes back on the same address: the channel finds it by itself. */
  void reconnect() throws IOException, InterruptedException {
    String before = ask(admission("reconnect-1")).getInvocation();
    please("kill", Map.of());
    Talk.heard();
    int whileDown = Refusal.codeOf(() -> ask(admission("reconnect-1")));
    please("start", Map.of());
    String after = untilAnswered(admission("reconnect-1")).getInvocation();
    say("reconnect", Map.of("before", before, "while_down", whileDown, "after", after));
  }

  /** Round trips of Admit, one after the other; what was held is given back outside of the measurement. */
  void bench(int count) {
    double[] took = new double[count];
    for (int number = -count / 10; number < count; number++) {
      long began = System.nanoTime();
      AdmitResponse admitted = ask(admission("bench-" + number));
      if (number >= 0) {
        took[number] = (System.nanoTime() - began) / 1000.0;
      }
      connection
          .gate()
          .release(
              ReleaseRequest.newBuilder()
                  .setRequestId("free-" + number)
                  .setInvocation(admitted.getInvocation())
                  .build());
    }
    Arrays.sort(took);
    say("bench", Map.of("count", count, "p50_us", took[count / 2], "p99_us", took[count * 99 / 100]));
  }

  /** Repeats UNAVAILABLE with the same request id; everything else is an answer. */
  private AdmitResponse untilAnswered(AdmitRequest.Builder request) throws InterruptedException {
    long until = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(Connection.TIMEOUT_MILLIS);
    while (true) {
      try {
        return ask(request);
      } catch (StatusRuntimeException error) {
        if (error.getStatus().getCode() != Status.Code.UNAVAILABLE || System.nanoTime() > until) {
          throw error;
        }
      }
      Thread.sleep(100);
      connection.dialAgain();
    }
  }

  private AdmitResponse ask(AdmitRequest.Builder request) {
    return connection.gate().admit(request.build());
  }

  private AuthorizeToolResponse authorize(String requestId, String key, String ticket) {
    return connection
        .gate()
        .authorizeTool(
            AuthorizeToolRequest.newBuilder()
                .setRequestId(requestId)
                .setTool("payments.refund")
                .setArguments(REFUND)
                .setIdempotencyKey(key)
                .setTicket(ticket)
                .build());
  }

  private static AdmitRequest.Builder admission(String requestId) {
    return AdmitRequest.newBuilder()
        .setRequestId(requestId)
        .setModel("small")
        .setInputTokens(100)
        .setMaxOutputTokens(50);
  }

  private static SettleRequest.Builder settlement(String requestId, String invocation) {
    return SettleRequest.newBuilder().setRequestId(requestId).setInvocation(invocation);
  }

  private static WaitTicketRequest wait(String ticket) {
    return WaitTicketRequest.newBuilder().setTicket(ticket).setTimeout(Duration.newBuilder().setSeconds(60)).build();
  }
}
