package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awsclient"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/site/played"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader"
)

// pipes is a network in memory, in which synctest's time passes.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

// sweepStreams is the control plane.
type sweepStreams struct{}

func (sweepStreams) Stream(name string) (media.StreamInfo, bool) {
	return media.StreamInfo{Name: name, RetentionHours: 1 << 20, Status: "ACTIVE"}, name == "door"
}

// uploadForReal has the agent's uploader and client upload to the media service of the local cloud.
func (r *sweepRun) uploadForReal() {
	dir := filepath.Join(filepath.Dir(r.dir), "cloud")
	must(r.t, os.Mkdir(dir, 0o700))
	service, err := media.New(media.Options{
		Dir: dir, Streams: sweepStreams{}, Limits: media.Limits{FragmentsPerSecond: 1e6, PutMediaPerSecond: 1e6, BytesPerSecond: 1e12},
	})
	must(r.t, err)
	network := newPipes()
	const url = "http://kinesis"
	server := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		switch q.URL.Path {
		case "/getDataEndpoint":
			_ = json.NewEncoder(w).Encode(map[string]string{"DataEndpoint": url})
		case "/describeStream":
			_ = json.NewEncoder(w).Encode(map[string]any{"StreamInfo": map[string]any{"StreamName": "door", "DataRetentionInHours": 1 << 20}})
		default:
			service.ServeHTTP(w, q)
		}
	})}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(network) })
	transport := &http.Transport{DialContext: network.dial}
	u := uploader.New(uploader.Options{
		Stream: "door", Store: r.store, Health: r.registry.Component("door", health.JobUploader),
		Cloud: kvs.New(kvs.Options{Config: awsclient.Of(aws.Config{
			Region: "us-west-2", BaseEndpoint: aws.String(url), HTTPClient: &http.Client{Transport: transport}, RetryMaxAttempts: 1,
			Credentials: credentials.NewStaticCredentialsProvider("id", "secret", "token"),
		})}),
	})
	stop := r.background(func(ctx context.Context) { _ = u.Run(ctx) })
	r.pass(12 * time.Minute) // a recording that cannot be read rests for 10 min
	stop()
	transport.CloseIdleConnections()
	must(r.t, errors.Join(server.Close(), network.Close()))
	serving.Wait()
	must(r.t, service.Close())
	played.Check(r.t, dir, nil)
	stored := make(map[time.Time]bool)
	for _, f := range service.Fragments("door") {
		stored[f.Producer] = true
	}
	if len(stored) != 9 {
		r.wrong = append(r.wrong, fmt.Sprintf("%d of 9 fragments are in the cloud", len(stored)))
	}
}
