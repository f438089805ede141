package localapi

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/changes"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// follower reads server-sent events.
type follower struct {
	t     *testing.T
	close func()
	lines *bufio.Reader
	id    string // of the last event
}

// event is one that came; a heartbeat has no kind.
type event struct{ kind, id, data string }

func (a *api) follow(path, lastID string) *follower {
	a.t.Helper()
	ctx, cancel := context.WithCancel(a.t.Context())
	a.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://agent"+path, nil)
	if err != nil {
		a.t.Fatal(err)
	}
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	resp, err := a.http.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != typeEvents {
		a.t.Fatalf("%s %v %s", resp.Status, resp.Header, body(a.t, resp))
	}
	return &follower{t: a.t, close: cancel, lines: bufio.NewReader(resp.Body)}
}

// next reads the next event, or heartbeat.
func (f *follower) next() (e event, err error) {
	hung := time.AfterFunc(time.Minute, f.close)
	defer hung.Stop()
	for {
		line, err := f.lines.ReadString('\n')
		if err != nil {
			return e, err
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch {
		case line == "\n" && e.id != "":
			f.id = e.id
			return e, nil
		case line == "\n":
			return e, nil
		case name == "id":
			e.id = value
		case name == "event":
			e.kind = value
		case name == "data":
			e.data = value
		}
	}
}

// want fails when the next event is not of a kind, and returns it. Heartbeats are passed over.
func (f *follower) want(kind string) event {
	f.t.Helper()
	for {
		e, err := f.next()
		if err != nil || e.kind != "" && e.kind != kind {
			f.t.Fatalf("got %+v, %v; want an event of kind %s", e, err, kind)
		}
		if e.kind == kind {
			return e
		}
	}
}

// busy is an agent that changes when a test wants it.
type busy struct {
	feed *changes.Feed

	mu       sync.Mutex
	snapshot status.Snapshot // guarded by mu: the feed may look for a new follower
}

func newBusy() *busy {
	b := &busy{snapshot: status.Snapshot{Streams: []status.Stream{{Name: "door"}, {Name: "yard"}}}}
	b.feed = changes.New(changes.Options{Now: time.Now, Snapshot: func() status.Snapshot {
		b.mu.Lock()
		defer b.mu.Unlock()
		s := b.snapshot
		s.Streams = append([]status.Stream(nil), s.Streams...)
		return s
	}})
	b.feed.Compare()
	return b
}

// change has a stream's recorder come into a state.
func (b *busy) change(stream int, state string) {
	b.mu.Lock()
	b.snapshot.Streams[stream].Jobs = []status.NamedJob{{Name: health.JobRecorder, Job: status.Job{State: state}}}
	b.mu.Unlock()
	b.feed.Compare()
}

func (b *busy) options() Options {
	return Options{Agent: Agent{Changes: b.feed, Configured: func() []string { return []string{"door", "yard"} }}}
}

func TestChangesAreFollowed(t *testing.T) {
	t.Parallel()
	b := newBusy()
	a := serveOptions(t, b.options(), func(s *Server) { s.heartbeat = 10 * time.Millisecond })
	all, door := a.follow("/v1/changes", ""), a.follow("/v1/changes?stream=door", "")
	all.want(eventBegin)
	door.want(eventBegin)
	if e, err := all.next(); err != nil || e != (event{}) {
		t.Errorf("a heartbeat: %+v, %v", e, err)
	}
	b.change(1, "recording")
	b.change(0, "connecting")
	for _, want := range []string{"yard", "door"} {
		var c changes.Change
		if err := json.Unmarshal([]byte(all.want("job").data), &c); err != nil || c.Stream != want || c.Job != "recorder" {
			t.Errorf("%+v, %v", c, err)
		}
	}
	if e := door.want("job"); !strings.Contains(e.data, `"door"`) || !strings.Contains(e.data, "connecting") {
		t.Errorf("%+v", e)
	}
	for path, want := range map[string]int{"/v1/changes?stream=nosuch": 404, "/v1/changes?colour=red": 400} {
		if status, text := a.get(path); status != want {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	if _, status := send(t, a.http, http.MethodHead, "http://agent/v1/changes", ""); status != http.StatusOK {
		t.Errorf("HEAD: %d", status)
	}
}

// TestAFollowerThatComesBackMissesNothing, or is notified that it did.
func TestAFollowerThatComesBackMissesNothing(t *testing.T) {
	t.Parallel()
	b := newBusy()
	a := serveOptions(t, b.options())
	f := a.follow("/v1/changes", "")
	f.want(eventBegin)
	b.change(0, "state 0")
	f.want("job")
	f.close()
	for n := range 100 {
		b.change(0, fmt.Sprint("state ", n+1))
	}
	back := a.follow("/v1/changes", f.id)
	back.want(eventBegin)
	for n := range 100 {
		if e := back.want("job"); !strings.Contains(e.data, fmt.Sprintf(`"state %d"`, n+1)) {
			t.Fatalf("event %d is %s", n, e.data)
		}
	}
	back.close()
	for n := range 5000 { // more than are kept
		b.change(0, fmt.Sprint("later ", n))
	}
	for _, id := range []string{back.id, newBusy().feed.End().String(), "0-0", "nonsense"} {
		late := a.follow("/v1/changes", id)
		late.want(eventMissed)
		b.change(1, "after "+id)
		if e := late.want("job"); !strings.Contains(e.data, "after "+id) {
			t.Errorf("what follows is %s", e.data)
		}
		late.close()
	}
}

// TestASlowFollowerIsCutOff, and no other waits for it.
func TestASlowFollowerIsCutOff(t *testing.T) {
	t.Parallel()
	b := newBusy()
	a := serveOptions(t, b.options(), func(s *Server) { s.eventStall = 50 * time.Millisecond })
	conn, err := net.Dial("unix", a.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	fmt.Fprint(conn, "GET /v1/changes HTTP/1.1\r\nHost: agent\r\n\r\n")
	following := func() int {
		a.server.mu.Lock()
		defer a.server.mu.Unlock()
		return a.server.running[running{pathChanges, Operate}]
	}
	testtools.Eventually(t, time.Minute, func() error {
		if following() != 1 {
			return errors.New("it is not followed")
		}
		return nil
	})
	n := 0
	testtools.Eventually(t, time.Minute, func() error { // until the socket's buffer is full, and then for as long as the stall may last
		for range 100 {
			n++
			b.change(0, strings.Repeat("x", 400)+fmt.Sprint(n))
		}
		if following() != 0 {
			return errors.New("it is still served")
		}
		return nil
	})
	if _, err := io.Copy(io.Discard, conn); err != nil && !errors.Is(err, io.EOF) {
		t.Logf("the follower is notified: %v", err)
	}
}

func TestFollowersAreBoundedAndEndWithTheAgent(t *testing.T) {
	t.Parallel()
	a := serveOptions(t, newBusy().options())
	var list []*follower
	for range followers {
		f := a.follow("/v1/changes", "")
		f.want(eventBegin)
		list = append(list, f)
	}
	if status, text := a.get("/v1/changes"); status != http.StatusServiceUnavailable {
		t.Errorf("one more: %d %s", status, text)
	}
	watch := testtools.Stopwatch(t)
	if err := a.stop(); err != nil {
		t.Error(err)
	}
	if took := watch(); took > 5*time.Second {
		t.Errorf("the agent's stop takes %v", took)
	}
	for _, f := range list {
		if _, err := f.next(); err == nil {
			t.Error("an event comes after the end")
		}
	}
}
