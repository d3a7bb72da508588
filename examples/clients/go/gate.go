package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "example.com/fairlead-client/gen/fairlead/v1"
)

var restartBackoff = backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second}

func admission(requestID string) *pb.AdmitRequest {
	return &pb.AdmitRequest{
		RequestId: requestID, Model: "small", Input: &pb.AdmitRequest_InputTokens{InputTokens: 100}, MaxOutputTokens: 50,
	}
}

func labelled(requestID, label, value string) *pb.AdmitRequest {
	request := admission(requestID)
	request.Labels = map[string]string{label: value}
	return request
}

func (s *scenario) ask(request *pb.AdmitRequest) (*pb.AdmitResponse, error) {
	ctx, cancel := s.call()
	defer cancel()
	return s.gate.Admit(ctx, request)
}

func (s *scenario) admit() (string, error) {
	first, err := s.ask(admission("admit-1"))
	if err != nil {
		return "", err
	}
	again, err := s.ask(admission("admit-1"))
	if err != nil {
		return "", err
	}
	return first.GetInvocation(), s.say("admit", object{
		"invocation":        first.GetInvocation(),
		"again":             again.GetInvocation(),
		"model":             first.GetPlan()[0].GetModel(),
		"max_output_tokens": first.GetMaxOutputTokens(),
		"held":              amount(first.GetReservation().GetAmount()),
	})
}

func (s *scenario) settle(invocation string) error {
	ctx, cancel := s.call()
	defer cancel()
	done, err := s.gate.Settle(ctx, &pb.SettleRequest{
		RequestId:  "settle-1",
		Invocation: invocation,
		Attempts: []*pb.Attempt{{
			Model:      "small",
			Outcome:    pb.AttemptOutcome_ATTEMPT_OUTCOME_SUCCEEDED,
			StatusCode: 200,
			Usage:      &pb.Usage{Input: 100, Output: 20},
		}},
	})
	if err != nil {
		return err
	}
	return s.say("settle", object{
		"charged": amount(done.GetCharged()), "released": amount(done.GetReleased()), "late": done.GetLate(),
	})
}

func (s *scenario) refusals(settled string) error {
	forbidden := admission("forbidden")
	forbidden.Workload = "forbidden"
	if _, err := s.ask(labelled("paced-1", "pace", "slow")); err != nil {
		return err
	}
	refused := map[string]func() error{
		"budget":   func() error { _, err := s.ask(labelled("tiny", "tier", "tiny")); return err },
		"policy":   func() error { _, err := s.ask(forbidden); return err },
		"rate":     func() error { _, err := s.ask(labelled("paced-2", "pace", "slow")); return err },
		"argument": func() error { _, err := s.ask(&pb.AdmitRequest{Model: "small"}); return err },
		"state": func() error {
			ctx, cancel := s.call()
			defer cancel()
			_, err := s.gate.Settle(ctx, &pb.SettleRequest{RequestId: "settle-2", Invocation: settled})
			return err
		},
		"credential": func() error {
			ctx, cancel := s.callAs("wrong", timeout)
			defer cancel()
			_, err := s.gate.Admit(ctx, admission("stranger"))
			return err
		},
		"missing": func() error {
			ctx, cancel := s.call()
			defer cancel()
			nowhere := "inv_" + strings.Repeat("0", 32)
			_, err := s.gate.Settle(ctx, &pb.SettleRequest{RequestId: "nowhere", Invocation: nowhere})
			return err
		},
	}
	facts := object{}
	for name, call := range refused {
		said, err := refusal(call())
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		facts[name] = said
	}
	return s.say("refusals", facts)
}

func (s *scenario) authorize(requestID, key, ticket string) (*pb.AuthorizeToolResponse, error) {
	ctx, cancel := s.call()
	defer cancel()
	return s.gate.AuthorizeTool(ctx, &pb.AuthorizeToolRequest{
		RequestId:      requestID,
		Tool:           "payments.refund",
		Arguments:      []byte(`{"amount":250}`),
		IdempotencyKey: key,
		Ticket:         ticket,
	})
}

func (s *scenario) wait(ticket string, limit time.Duration) (*pb.WaitTicketResponse, error) {
	ctx, cancel := s.callAs(s.token, limit)
	defer cancel()
	return s.tickets.WaitTicket(ctx, &pb.WaitTicketRequest{Ticket: ticket, Timeout: durationpb.New(time.Minute)})
}

func (s *scenario) tool() error {
	answer, err := s.authorize("refund-1", "refund/4711", "")
	if err != nil {
		return err
	}
	pending := answer.GetPending()
	if err := s.please("approve", object{"approval": pending.GetApproval()}); err != nil {
		return err
	}
	ticket, err := s.wait(pending.GetTicket(), timeout)
	if err != nil {
		return err
	}
	if answer, err = s.authorize("refund-2", "refund/4711", pending.GetTicket()); err != nil {
		return err
	}
	granted := answer.GetGranted()
	ctx, cancel := s.call()
	defer cancel()
	if _, err := s.gate.CompleteTool(ctx, &pb.CompleteToolRequest{
		RequestId: "refund-3",
		Grant:     granted.GetGrant(),
		Outcome:   pb.ToolOutcome_TOOL_OUTCOME_SUCCEEDED,
		Result:    []byte(`{"paid":250}`),
	}); err != nil {
		return err
	}
	if answer, err = s.authorize("refund-4", "refund/4711", ""); err != nil {
		return err
	}
	return s.say("tool", object{
		"approval":       pending.GetApproval(),
		"ticket":         ticket.GetTicket().GetState().String(),
		"grant":          granted.GetGrant(),
		"arguments":      json.RawMessage(granted.GetConstraints().GetArguments()),
		"key":            granted.GetIdempotencyKey(),
		"replayed":       json.RawMessage(answer.GetReplayed().GetResult()),
		"replayed_grant": answer.GetReplayed().GetGrant(),
	})
}

func (s *scenario) deadline() error {
	answer, err := s.authorize("slow-1", "", "")
	if err != nil {
		return err
	}
	ticket := answer.GetPending().GetTicket()
	_, err = s.wait(ticket, 300*time.Millisecond)
	code := status.Code(err)
	ctx, cancel := s.call()
	defer cancel()
	found, err := s.tickets.GetTicket(ctx, &pb.GetTicketRequest{Ticket: ticket})
	if err != nil {
		return err
	}
	return s.say("deadline", object{"code": int(code), "ticket": found.GetTicket().GetState().String()})
}

// reconnect: the sidecar is killed, and comes back on the same address. The connection finds it by itself.
func (s *scenario) reconnect() error {
	before, err := s.ask(admission("reconnect-1"))
	if err != nil {
		return err
	}
	if err := s.please("kill", object{}); err != nil {
		return err
	}
	if _, err := s.heard.ReadString('\n'); err != nil {
		return err
	}
	_, err = s.ask(admission("reconnect-1"))
	whileDown := status.Code(err)
	if err := s.please("start", object{}); err != nil {
		return err
	}
	after, err := s.untilAnswered(admission("reconnect-1"))
	if err != nil {
		return err
	}
	return s.say("reconnect", object{
		"before": before.GetInvocation(), "while_down": int(whileDown), "after": after.GetInvocation(),
	})
}

// untilAnswered repeats UNAVAILABLE with the same request id; everything else is an answer.
func (s *scenario) untilAnswered(request *pb.AdmitRequest) (*pb.AdmitResponse, error) {
	for until := time.Now().Add(timeout); ; time.Sleep(100 * time.Millisecond) {
		answer, err := s.ask(request)
		if status.Code(err) != codes.Unavailable || time.Now().After(until) {
			return answer, err
		}
	}
}

func amount(value *pb.Amount) object {
	return object{"nano_usd": value.GetNanoUsd(), "tokens": value.GetTokens(), "requests": value.GetRequests()}
}
