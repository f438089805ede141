package running

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/agent"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/preflight"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/site"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// collected are the lines that a peer gets.
type collected []localapi.CheckProgress

func (c *collected) each(p localapi.CheckProgress) { *c = append(*c, p) }

func (c *collected) String() string {
	var b strings.Builder
	for _, p := range *c {
		fmt.Fprintf(&b, "%s|%s|%v|%s|waiting %s|%v|%s\n", p.Check, p.Stream, p.OK, p.Text, p.Waiting, p.Finished, p.Error)
	}
	return b.String()
}

func TestAPeerGetsResultsAndWhatIsAwaited(t *testing.T) {
	t.Parallel()
	c := New(Options{Version: "1.2"})
	var late func() func()
	c.check = func(_ context.Context, o preflight.Options) bool {
		first := o.Waiting("the disk")
		second := o.Waiting("the camera")
		o.Report(preflight.Finding{Check: "camera", Stream: "door", OK: true, Text: "It sends."})
		second()
		first()
		late = func() func() { return o.Waiting("what was given up") }
		return o.Version == "1.2"
	}
	var got collected
	must(t, c.ForPeer(t.Context(), got.each))
	late()() // has nobody to tell
	want := "||false||waiting the disk|false|\n||false||waiting the camera|false|\ncamera|door|true|It sends.|waiting |false|\n" +
		"||false||waiting the disk|false|\n||true||waiting |true|\n"
	if got.String() != want {
		t.Errorf("a peer gets\n%swant\n%s", &got, want)
	}
}

func TestThereIsOneCheckAtATime(t *testing.T) {
	t.Parallel()
	c := New(Options{})
	var stuck func()
	c.check = func(ctx context.Context, o preflight.Options) bool {
		if err := c.ForPeer(t.Context(), func(localapi.CheckProgress) {}); !errors.Is(err, ErrBusy) {
			t.Errorf("a second check ends with %v", err)
		}
		o.Parts.Add(1)
		stuck = func() { o.Parts.Add(-1) }
		return true
	}
	must(t, c.ForPeer(t.Context(), func(localapi.CheckProgress) {}))
	c.check = func(context.Context, preflight.Options) bool { return true }
	if err := c.ForPeer(t.Context(), func(localapi.CheckProgress) {}); !errors.Is(err, ErrBusy) {
		t.Errorf("while a part of the last one is stuck, a check ends with %v", err)
	}
	stuck()
	must(t, c.ForPeer(t.Context(), func(localapi.CheckProgress) {}))
}

func TestACheckEndsWithItsPeer(t *testing.T) {
	t.Parallel()
	c := New(Options{})
	ctx, disconnect := context.WithCancel(t.Context())
	c.check = func(ctx context.Context, _ preflight.Options) bool {
		disconnect()
		<-ctx.Done()
		return false
	}
	var got collected
	if err := c.ForPeer(ctx, got.each); !errors.Is(err, context.Canceled) || len(got) > 0 {
		t.Errorf("it ends with %v and %s", err, &got)
	}
}

func TestAFileThatCannotBeReadIsAResult(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "agent.env")
	must(t, os.WriteFile(path, []byte("not a line of settings\n"), 0o600))
	var got collected
	must(t, New(Options{Source: settings.NewEnvSource(path, nil)}).ForPeer(t.Context(), got.each))
	if len(got) != 2 || got[0].OK || got[0].Check != "settings" || !strings.Contains(got[0].Text, "line 1") || got[1].OK || !got[1].Finished {
		t.Errorf("a peer gets\n%s", &got)
	}
}

// TestARunningAgentChecksItself over its socket, and records on.
func TestARunningAgentChecksItself(t *testing.T) {
	h := site.New(t)
	camera := h.Camera(fakecam.Options{User: "admin", Pass: "hunter2"})
	h.Configure("door", h.Secret("door", camera.URL()), site.Always)
	source := settings.NewEnvSource("", os.Environ())
	initial, err := source.Read()
	must(t, err)
	a, err := agent.New(h.Settings(), agent.Options{Version: "test", Source: source, Initial: initial,
		Check: New(Options{Source: source, Initial: initial, Version: "test"}).ForPeer})
	must(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	defer func() {
		stop()
		must(t, <-ended)
	}()
	must(t, h.Cloud.AwaitSyncStatus(t.Context(), "door", "IN_SYNC"))
	must(t, h.Cloud.Media().AwaitFragments(t.Context(), "door", 1))
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", h.Env[settings.EnvSocket])
	}}}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://agent/v1/check", nil)
	must(t, err)
	answer, err := client.Do(request)
	must(t, err)
	defer func() { _ = answer.Body.Close() }()
	var got collected
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		var p localapi.CheckProgress
		decoder := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		decoder.DisallowUnknownFields()
		must(t, decoder.Decode(&p))
		got.each(p)
	}
	for _, want := range []string{"agent||true|The agent runs, version test", "camera|door|true|", "retention|door|true|", "disk||true|",
		"waiting the camera at 127.0.0.1", "||true||waiting |true|\n"} {
		if !strings.Contains(got.String(), want) {
			t.Errorf("a peer does not get %q:\n%s", want, &got)
		}
	}
	if strings.Contains(got.String(), "hunter2") {
		t.Error("a password is shown")
	}
	snapshot, err := localapi.NewClient(h.Env[settings.EnvSocket]).Status(t.Context())
	must(t, err)
	if r := snapshot.Streams[0].Recorder; r.Reconnects != 0 || r.Gaps != 0 || r.FramesLost != 0 || r.FramesRecorded == 0 {
		t.Errorf("the check disturbed the recorder: %+v", r)
	}
}
