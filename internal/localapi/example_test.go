package localapi_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

// A client needs the path of the agent's socket.
func ExampleClient() {
	dir, err := os.MkdirTemp("", "api")
	check(err)
	defer func() { _ = os.RemoveAll(dir) }()
	socket := filepath.Join(dir, "agent.sock")
	client := localapi.NewClient(socket)
	_, err = client.Status(context.Background())
	fmt.Println("without an agent:", err != nil)

	server, err := localapi.NewServer(localapi.Options{
		Socket: socket, Log: zap.NewNop(), Component: health.NewRegistry(time.Now).Component("", health.JobAPI),
		Agent: localapi.Agent{Snapshot: func() status.Snapshot { return status.Snapshot{Thing: "hub-1", Verdict: status.Healthy} }},
	})
	check(err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	defer func() { stop(); <-ended }()
	s, err := client.Status(ctx)
	check(err)
	fmt.Println(s.Thing, "is", s.Verdict)
	// Output:
	// without an agent: true
	// hub-1 is healthy
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
