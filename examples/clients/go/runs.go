package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "example.com/fairlead-client/gen/fairlead/v1"
)

func (s *scenario) run() (string, error) {
	ctx, cancel := s.call()
	defer cancel()
	request := &pb.StartRunRequest{
		RequestId: "start-1",
		Workflow:  "two-steps",
		Input:     []byte(`{"document":"d-1"}`),
		Labels:    map[string]string{"team": "desk"},
	}
	started, err := s.runs.StartRun(ctx, request)
	if err != nil {
		return "", err
	}
	again, err := s.runs.StartRun(ctx, request)
	if err != nil {
		return "", err
	}
	name := started.GetRun().GetName()
	if err := s.say("run", object{
		"run": name, "again": again.GetRun().GetName(), "state": started.GetRun().GetState().String(),
	}); err != nil {
		return "", err
	}
	// The stream is open while the steps are done; what it says in the meantime waits in it.
	watch, err := s.runs.WatchRun(ctx, &pb.WatchRunRequest{Name: name})
	if err != nil {
		return "", err
	}
	first, err := watch.Recv()
	if err != nil {
		return "", err
	}
	if err := s.steps(); err != nil {
		return "", err
	}
	rest, err := all(watch)
	if err != nil {
		return "", err
	}
	messages := append([]*pb.WatchRunResponse{first}, rest...)
	watch, err = s.runs.WatchRun(ctx, &pb.WatchRunRequest{Name: name, AfterSequence: messages[2].GetSequence()})
	if err != nil {
		return "", err
	}
	resumed, err := all(watch)
	if err != nil {
		return "", err
	}
	return name, s.say("watch_run", object{"seen": told(messages), "resumed": told(resumed)})
}

func (s *scenario) steps() error {
	ctx, cancel := s.call()
	defer cancel()
	found, err := s.work.LeaseSteps(ctx, &pb.LeaseStepsRequest{Wish: wish("parser"), Timeout: durationpb.New(20 * time.Second)})
	if err != nil {
		return err
	}
	parse := found.GetLeases()[0]
	beat, err := s.work.HeartbeatStep(ctx, &pb.HeartbeatStepRequest{Attempt: attemptOf(parse), Progress: "half of it"})
	if err != nil {
		return err
	}
	// The result brings the next step along.
	completed, err := s.work.CompleteStep(ctx, &pb.CompleteStepRequest{
		Attempt: attemptOf(parse), Output: []byte(`{"pages":3}`), Next: wish("scorer"),
	})
	if err != nil {
		return err
	}
	score := completed.GetLeases()[0]
	_, err = s.work.FailStep(ctx, &pb.FailStepRequest{Attempt: attemptOf(parse), Code: "TOO_LATE"})
	stale, err := refusal(err)
	if err != nil {
		return err
	}
	failed, err := s.work.FailStep(ctx, &pb.FailStepRequest{
		Attempt: attemptOf(score), Code: "BAD_INPUT", Message: "no income", NonRetryable: true,
	})
	if err != nil {
		return err
	}
	return s.say("work", object{
		"leased":           lease(parse),
		"extended":         !beat.GetExpireTime().AsTime().Before(parse.GetExpireTime().AsTime()),
		"cancel_requested": beat.GetCancelRequested(),
		"next":             lease(score),
		"stale":            stale,
		"step_state":       failed.GetStepState().String(),
		"run_state":        failed.GetRunState().String(),
	})
}

// events reads the audit log as an operator: three records, a break, and on where it stood.
func (s *scenario) events(run string) error {
	filter := &pb.EventFilter{Run: run}
	before, err := s.records(&pb.WatchEventsRequest{FromStart: true, Filter: filter}, 3)
	if err != nil {
		return err
	}
	token := before[len(before)-1].GetResumeToken()
	after, err := s.records(&pb.WatchEventsRequest{ResumeToken: token, Filter: filter}, 3)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	kept, err := s.audit.AcknowledgeEvents(ctx, &pb.AcknowledgeEventsRequest{
		RequestId: "acknowledge-1", Subscriber: "archive", ResumeToken: token,
	})
	if err != nil {
		return err
	}
	next, err := s.records(&pb.WatchEventsRequest{Subscriber: "archive", Filter: filter}, 1)
	if err != nil {
		return err
	}
	kinds, last, rising := []string{}, uint64(0), true
	for _, message := range append(before, after...) {
		record := message.GetEvent().GetRecord()
		kinds = append(kinds, record.GetKind().String())
		rising = rising && record.GetSequence() > last
		last = record.GetSequence()
	}
	return s.say("events", object{
		"kinds":        kinds,
		"rising":       rising,
		"acknowledged": kept.GetResumeToken() == token,
		"next":         next[0].GetEvent().GetRecord().GetKind().String(),
	})
}

func (s *scenario) records(request *pb.WatchEventsRequest, count int) ([]*pb.WatchEventsResponse, error) {
	// Whoever has enough ends the stream with its context.
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	stream, err := s.audit.WatchEvents(ctx, request)
	if err != nil {
		return nil, err
	}
	found := make([]*pb.WatchEventsResponse, 0, count)
	for len(found) < count {
		message, err := stream.Recv()
		if err != nil {
			return nil, err
		}
		found = append(found, message)
	}
	return found, nil
}

// all reads a stream to its end.
func all[T any](stream grpc.ServerStreamingClient[T]) ([]*T, error) {
	found := []*T{}
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return nil, err
		}
		found = append(found, message)
	}
}

func wish(queue string) *pb.LeaseWish {
	return &pb.LeaseWish{Worker: "w-1", Queues: []string{queue}, MaxSteps: 1}
}

func attemptOf(leased *pb.StepLease) *pb.AttemptRef {
	return &pb.AttemptRef{
		Run: leased.GetRun(), Step: leased.GetStep(), Epoch: leased.GetEpoch(), Lease: leased.GetLease(),
	}
}

func lease(leased *pb.StepLease) object {
	return object{
		"run":     leased.GetRun(),
		"step":    leased.GetStep(),
		"epoch":   leased.GetEpoch(),
		"attempt": leased.GetAttempt(),
		"queue":   leased.GetQueue(),
		"input":   json.RawMessage(leased.GetInput()),
		"effect":  leased.GetEffect().String(),
		"labels":  leased.GetLabels(),
	}
}

// told says each message in one word: the state of the run, or the kind of the record. A value that this client does
// not know yet is its number.
func told(messages []*pb.WatchRunResponse) []string {
	words := []string{}
	for _, message := range messages {
		switch what := message.GetWhat().(type) {
		case *pb.WatchRunResponse_Run:
			words = append(words, what.Run.GetState().String())
		case *pb.WatchRunResponse_Event:
			words = append(words, what.Event.GetKind().String())
		}
	}
	return words
}
