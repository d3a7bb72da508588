// The example client in Go. It goes through the scenes of examples/clients/README.md and prints one JSON line for each.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"

	pb "example.com/fairlead-client/gen/fairlead/v1"
)

const timeout = 30 * time.Second

// object is a JSON object of a line that is printed.
type object map[string]any

// scenario is one pass through the scenes, against one sidecar.
type scenario struct {
	gate    pb.GateServiceClient
	tickets pb.ApprovalTicketServiceClient
	runs    pb.WorkflowServiceClient
	work    pb.WorkerServiceClient
	audit   pb.AuditServiceClient
	token   string
	said    *json.Encoder
	heard   *bufio.Reader
}

func main() {
	agent, err := connect(os.Getenv("FAIRLEAD_ENDPOINT"))
	exitOn(err)
	defer agent.Close()
	operator, err := connect("unix://" + os.Getenv("FAIRLEAD_OPERATOR_SOCKET"))
	exitOn(err)
	defer operator.Close()
	s := &scenario{
		gate:    pb.NewGateServiceClient(agent),
		tickets: pb.NewApprovalTicketServiceClient(agent),
		runs:    pb.NewWorkflowServiceClient(agent),
		work:    pb.NewWorkerServiceClient(agent),
		audit:   pb.NewAuditServiceClient(operator),
		token:   os.Getenv("FAIRLEAD_TOKEN"),
		said:    json.NewEncoder(os.Stdout),
		heard:   bufio.NewReader(os.Stdin),
	}
	if len(os.Args) == 3 && os.Args[1] == "--bench" {
		count, err := strconv.Atoi(os.Args[2])
		exitOn(err)
		exitOn(s.bench(count))
		return
	}
	exitOn(s.play())
}

// connect opens no connection yet: that happens with the first call, and again whenever it is gone.
func connect(target string) (*grpc.ClientConn, error) {
	return grpc.NewClient(
		target,
		// The sidecar is on the loopback of the same pod.
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		// Pings only where calls are open, and not more often than a server takes: it closes the connection of whoever
		// asks too often.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 5 * time.Minute}),
		// After a restart of the sidecar the default would be to wait a second and, in the end, two minutes.
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: restartBackoff, MinConnectTimeout: time.Second}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)),
	)
}

// play goes through all scenes in order.
func (s *scenario) play() error {
	invocation, err := s.admit()
	if err != nil {
		return err
	}
	if err := s.settle(invocation); err != nil {
		return err
	}
	if err := s.refusals(invocation); err != nil {
		return err
	}
	if err := s.tool(); err != nil {
		return err
	}
	run, err := s.run()
	if err != nil {
		return err
	}
	if err := s.events(run); err != nil {
		return err
	}
	if err := s.deadline(); err != nil {
		return err
	}
	return s.reconnect()
}

// call is the context of a call of the agent: its deadline, and who asks.
func (s *scenario) call() (context.Context, context.CancelFunc) {
	return s.callAs(s.token, timeout)
}

func (s *scenario) callAs(token string, limit time.Duration) (context.Context, context.CancelFunc) {
	ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+token)
	return context.WithTimeout(ctx, limit)
}

// bench measures round trips of Admit, one after the other; what was held is given back outside of the measurement.
func (s *scenario) bench(count int) error {
	took := make([]float64, 0, count)
	for number := -count / 10; number < count; number++ {
		ctx, cancel := s.call()
		began := time.Now()
		admitted, err := s.gate.Admit(ctx, admission(fmt.Sprintf("bench-%d", number)))
		elapsed := time.Since(began)
		cancel()
		if err != nil {
			return err
		}
		if number >= 0 {
			took = append(took, float64(elapsed.Nanoseconds())/1000)
		}
		ctx, cancel = s.call()
		_, err = s.gate.Release(ctx, &pb.ReleaseRequest{
			RequestId: fmt.Sprintf("free-%d", number), Invocation: admitted.GetInvocation(),
		})
		cancel()
		if err != nil {
			return err
		}
	}
	slices.Sort(took)
	return s.say("bench", object{"count": count, "p50_us": took[count/2], "p99_us": took[count*99/100]})
}

func (s *scenario) say(scene string, facts object) error {
	facts["scene"] = scene
	return s.said.Encode(facts)
}

// please asks whoever runs the example to do what a client cannot.
func (s *scenario) please(what string, facts object) error {
	facts["please"] = what
	return s.said.Encode(facts)
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
