package com.example.fairlead;

import static com.example.fairlead.Talk.json;
import static com.example.fairlead.Talk.named;
import static com.example.fairlead.Talk.say;

import com.google.protobuf.ByteString;
import com.google.protobuf.Duration;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Timestamp;
import fairlead.v1.AuditRecordOuterClass.AuditRecord;
import fairlead.v1.AuditServiceOuterClass.AcknowledgeEventsRequest;
import fairlead.v1.AuditServiceOuterClass.EventFilter;
import fairlead.v1.AuditServiceOuterClass.WatchEventsRequest;
import fairlead.v1.AuditServiceOuterClass.WatchEventsResponse;
import fairlead.v1.RunOuterClass.Run;
import fairlead.v1.WorkerServiceOuterClass.AttemptRef;
import fairlead.v1.WorkerServiceOuterClass.CompleteStepRequest;
import fairlead.v1.WorkerServiceOuterClass.FailStepRequest;
import fairlead.v1.WorkerServiceOuterClass.FailStepResponse;
import fairlead.v1.WorkerServiceOuterClass.HeartbeatStepRequest;
import fairlead.v1.WorkerServiceOuterClass.HeartbeatStepResponse;
import fairlead.v1.WorkerServiceOuterClass.LeaseStepsRequest;
import fairlead.v1.WorkerServiceOuterClass.LeaseWish;
import fairlead.v1.WorkerServiceOuterClass.StepLease;
import fairlead.v1.WorkflowServiceOuterClass.StartRunRequest;
import fairlead.v1.WorkflowServiceOuterClass.WatchRunRequest;
import fairlead.v1.WorkflowServiceOuterClass.WatchRunResponse;
import io.grpc.Context;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** Runs, their steps, and the audit log about them. */
final class Runs {
  private final Connection connection;

  Runs(Connection connection) {
    this.connection = connection;
  }

  String run() throws InvalidProtocolBufferException {
    StartRunRequest request =
        StartRunRequest.newBuilder()
            .setRequestId("start-1")
            .setWorkflow("two-steps")
            .setInput(ByteString.copyFromUtf8("{\"document\":\"d-1\"}"))
            .putLabels("team", "desk")
            .build();
    Run run = connection.runs().startRun(request).getRun();
    Run again = connection.runs().startRun(request).getRun();
    say(
        "run",
        Map.of("run", run.getName(), "again", again.getName(), "state", named(run.getState(), run.getStateValue())));
    // The stream is open while the steps are done; what it says in the meantime waits in it.
    Iterator<WatchRunResponse> watch = watch(run.getName(), 0);
    List<WatchRunResponse> seen = new ArrayList<>();
    seen.add(watch.next());
    steps();
    watch.forEachRemaining(seen::add);
    List<WatchRunResponse> resumed = new ArrayList<>();
    watch(run.getName(), seen.get(2).getSequence()).forEachRemaining(resumed::add);
    say(
        "watch_run",
        Map.of(
            "seen", seen.stream().map(Runs::told).toList(), "resumed", resumed.stream().map(Runs::told).toList()));
    return run.getName();
  }

  private void steps() throws InvalidProtocolBufferException {
    LeaseStepsRequest lease =
        LeaseStepsRequest.newBuilder()
            .setWish(wish("parser"))
            .setTimeout(Duration.newBuilder().setSeconds(20))
            .build();
    StepLease parse = connection.work().leaseSteps(lease).getLeases(0);
    HeartbeatStepResponse beat =
        connection
            .work()
            .heartbeatStep(
                HeartbeatStepRequest.newBuilder().setAttempt(attempt(parse)).setProgress("half of it").build());
    // The result brings the next step along.
    CompleteStepRequest complete =
        CompleteStepRequest.newBuilder()
            .setAttempt(attempt(parse))
            .setOutput(ByteString.copyFromUtf8("{\"pages\":3}"))
            .setNext(wish("scorer"))
            .build();
    StepLease score = connection.work().completeStep(complete).getLeases(0);
    FailStepRequest late = FailStepRequest.newBuilder().setAttempt(attempt(parse)).setCode("TOO_LATE").build();
    Map<String, Object> stale = Refusal.of(() -> connection.work().failStep(late));
    FailStepRequest fail =
        FailStepRequest.newBuilder()
            .setAttempt(attempt(score))
            .setCode("BAD_INPUT")
            .setMessage("no income")
            .setNonRetryable(true)
            .build();
    FailStepResponse failed = connection.work().failStep(fail);
    say(
        "work",
        Map.of(
            "leased", told(parse),
            "extended", nanos(beat.getExpireTime()) >= nanos(parse.getExpireTime()),
            "cancel_requested", beat.getCancelRequested(),
            "next", told(score),
            "stale", stale,
            "step_state", named(failed.getStepState(), failed.getStepStateValue()),
            "run_state", named(failed.getRunState(), failed.getRunStateValue())));
  }

  /** The audit log as an operator reads it: three records, a break, and on where it stood. */
  void events(String run) throws Exception {
    EventFilter filter = EventFilter.newBuilder().setRun(run).build();
    WatchEventsRequest.Builder request = WatchEventsRequest.newBuilder().setFilter(filter);
    List<WatchEventsResponse> before = records(request.clone().setFromStart(true).build(), 3);
    String token = before.get(2).getResumeToken();
    List<WatchEventsResponse> after = records(request.clone().setResumeToken(token).build(), 3);
    AcknowledgeEventsRequest acknowledge =
        AcknowledgeEventsRequest.newBuilder()
            .setRequestId("acknowledge-1")
            .setSubscriber("archive")
            .setResumeToken(token)
            .build();
    String kept = connection.audit().acknowledgeEvents(acknowledge).getResumeToken();
    List<WatchEventsResponse> next = records(request.clone().setSubscriber("archive").build(), 1);
    List<AuditRecord> records =
        Stream.concat(before.stream(), after.stream()).map(message -> message.getEvent().getRecord()).toList();
    boolean rising = true;
    for (int at = 1; at < records.size(); at++) {
      rising &= Long.compareUnsigned(records.get(at - 1).getSequence(), records.get(at).getSequence()) < 0;
    }
    say(
        "events",
        Map.of(
            "kinds", records.stream().map(Runs::kind).toList(),
            "rising", rising,
            "acknowledged", kept.equals(token),
            "next", kind(next.get(0).getEvent().getRecord())));
  }

  private List<WatchEventsResponse> records(WatchEventsRequest request, int count) throws Exception {
    // Whoever has enough ends the stream with its context.
    try (Context.CancellableContext stop = Context.current().withCancellation()) {
      return stop.call(
          () -> {
            List<WatchEventsResponse> found = new ArrayList<>();
            Iterator<WatchEventsResponse> stream = connection.audit().watchEvents(request);
            while (found.size() < count) {
              found.add(stream.next());
            }
            return found;
          });
    }
  }

  private Iterator<WatchRunResponse> watch(String run, long after) {
    return connection.runs().watchRun(WatchRunRequest.newBuilder().setName(run).setAfterSequence(after).build());
  }

  private static LeaseWish wish(String queue) {
    return LeaseWish.newBuilder().setWorker("w-1").addQueues(queue).setMaxSteps(1).build();
  }

  private static AttemptRef attempt(StepLease leased) {
    return AttemptRef.newBuilder()
        .setRun(leased.getRun())
        .setStep(leased.getStep())
        .setEpoch(leased.getEpoch())
        .setLease(leased.getLease())
        .build();
  }

  private static Map<String, Object> told(StepLease leased) {
    return Map.of(
        "run", leased.getRun(),
        "step", leased.getStep(),
        "epoch", leased.getEpoch(),
        "attempt", leased.getAttempt(),
        "queue", leased.getQueue(),
        "input", json(leased.getInput()),
        "effect", named(leased.getEffect(), leased.getEffectValue()),
        "labels", leased.getLabelsMap());
  }

  /** A message in one word: the state of the run, or the kind of the record. */
  private static String told(WatchRunResponse message) {
    Run run = message.getRun();
    return message.hasRun() ? named(run.getState(), run.getStateValue()) : kind(message.getEvent());
  }

  private static String kind(AuditRecord record) {
    return named(record.getKind(), record.getKindValue());
  }

  private static long nanos(Timestamp time) {
    return time.getSeconds() * 1_000_000_000L + time.getNanos();
  }
}
