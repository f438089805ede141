package main

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

// servedDoor is an agent that has recordings of a door: with a gap, a damaged file, one that is uploaded and one that is being
// written. asked counts who asked for its state.
func servedDoor(t *testing.T) (dir, socket string, asked *atomic.Int64) {
	t.Helper()
	base := shortDir(t)
	dir, socket = filepath.Join(base, "recordings"), filepath.Join(base, "agent.sock")
	s := openStore(t, dir)
	for _, after := range []time.Duration{0, 10 * time.Second, 20 * time.Second, time.Minute} {
		if err := recordInto(t, s, after, 10, "sps").Seal(); err != nil {
			t.Fatal(err)
		}
	}
	upload(t, s, segment.Key{Stream: "door", Start: recordedAt.UnixMilli()})
	damaged := s.Path(segment.Key{Stream: "door", Start: recordedAt.Add(10 * time.Second).UnixMilli()})
	data, err := os.ReadFile(damaged)
	if err == nil {
		clear(data[6000:])
		err = os.WriteFile(damaged, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	w := recordInto(t, s, 2*time.Minute, 3, "sps")
	t.Cleanup(func() { _ = w.Seal() })
	asked = new(atomic.Int64)
	server, err := localapi.NewServer(localapi.Options{
		Socket: socket, Store: s, Log: zap.NewNop(), Component: health.NewRegistry(time.Now).Component("", health.JobAPI),
		Agent: localapi.Agent{Snapshot: func() status.Snapshot {
			asked.Add(1)
			return status.Snapshot{Verdict: status.Healthy, Disk: status.Disk{Directory: dir}}
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return dir, socket, asked
}

// TestTheAgentReadsWhatTheCommandReads: what comes out is the same, byte by byte.
func TestTheAgentReadsWhatTheCommandReads(t *testing.T) {
	t.Parallel()
	dir, socket, asked := servedDoor(t)
	for _, args := range [][]string{
		{"segments", "--all"}, {"segments", "--json"}, {"segments", "--json", "--stream", "door", "--from", "2026-11-21T04:20:15Z"},
		{"segments", "--stream", "yard"}, {"segments", "--json", "--to", "2026-11-20T04:20:15Z"},
		{"verify"}, {"verify", "--json"}, {"verify", "--stream", "door", "--from", "2026-11-21T04:21:00Z"},
		{"export", "--stream", "door", "-"}, {"export", "--stream", "door", "--from", "2027-11-21T04:21:00Z", "-"},
		{"export", "--stream", "door", "--from", "2026-11-21T04:20:55Z", "--to", "2026-11-21T04:21:05Z", "-"},
		{"export", "--stream", "door", "out.mkv"},
	} {
		var outputs, files [2]string
		var codes [2]int
		for i, from := range []string{"--dir=" + dir, "--socket=" + socket} {
			before, cwd := asked.Load(), t.TempDir()
			stdout, stderr, code := invocation{dir: cwd, args: append(args, from)}.run(t)
			outputs[i], codes[i] = stdout+stderr, code
			if file, err := os.ReadFile(filepath.Join(cwd, "out.mkv")); err == nil {
				files[i] = string(file)
			}
			if used := asked.Load() > before; used != (i == 1) {
				t.Errorf("%v %s: the agent was asked: %t", args, from, used)
			}
		}
		if outputs[0] != outputs[1] || codes[0] != codes[1] || files[0] != files[1] || outputs[0] == "" {
			t.Errorf("%v: the command ends with %d, the agent's answer with %d:\n%.1500q\n%.1500q\nfiles of %d and %d bytes", args, codes[0],
				codes[1], outputs[0], outputs[1], len(files[0]), len(files[1]))
		}
	}
}

// TestWhoReadsTheRecordings: the agent that has the directory, or else the command itself.
func TestWhoReadsTheRecordings(t *testing.T) {
	t.Parallel()
	dir, socket, asked := servedDoor(t)
	other, _ := recordedDoor(t)
	base := shortDir(t)
	older := filepath.Join(base, "older.sock")
	l, err := net.Listen("unix", older)
	if err != nil {
		t.Fatal(err)
	}
	released := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/status" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(`{"disk":{"directory":"` + dir + `"}}`))
	})}
	go func() { _ = released.Serve(l) }()
	t.Cleanup(func() { _ = released.Close() })
	for name, tc := range map[string]struct {
		socket, dir string // of the shell
		args        []string
		agent       bool
		code        int
		says        string
	}{
		"the agent that has the directory":        {socket, dir, nil, true, 0, "5 segments"},
		"one that has another":                    {socket, other, nil, true, 0, "2 segments"},
		"none that runs":                          {filepath.Join(base, "none.sock"), dir, nil, false, 0, "5 segments"},
		"one of an earlier version":               {older, dir, nil, false, 0, "5 segments"},
		"a directory that is named":               {socket, other, []string{"--dir", dir}, false, 0, "5 segments"},
		"a socket that is named":                  {older, other, []string{"--socket", socket}, true, 0, "5 segments"},
		"a named socket of an earlier version":    {socket, dir, []string{"--socket", older}, false, 1, "earlier version"},
		"a named socket on which nobody answers":  {socket, dir, []string{"--socket", base + "/none.sock"}, false, 1, "no agent is running"},
		"both":                                    {socket, dir, []string{"--socket", socket, "--dir", dir}, false, 2, "exclude each other"},
		"a stream of which there is nothing":      {socket, dir, []string{"--stream", "yard"}, true, 1, "no recordings of stream yard in " + dir},
		"a stream of which there is nothing, too": {older, dir, []string{"--stream", "yard"}, false, 1, "no recordings of stream yard in " + dir},
	} {
		before := asked.Load()
		stdout, stderr, code := invocation{dir: base, args: append([]string{"segments"}, tc.args...), env: []string{
			"AWS_KVS_EDGE_SOCKET=" + tc.socket, "AWS_KVS_EDGE_RECORDING_DIRECTORY=" + tc.dir,
		}}.run(t)
		if used := asked.Load() > before; used != tc.agent || code != tc.code || !strings.Contains(stdout+stderr, tc.says) {
			t.Errorf("%s: the agent was asked: %t; it ends with %d, want %d and %q:\n%s%s", name, used, code, tc.code, tc.says, stdout, stderr)
		}
	}
}
