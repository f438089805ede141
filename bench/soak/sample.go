package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/bench/proc"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

// sample is what the agent takes at a time.
type sample struct {
	Seconds    float64 `json:"seconds"` // since everything began
	RSS        int64   `json:"rss_bytes"`
	Anonymous  int64   `json:"rss_anon_bytes"`
	HeapInUse  int64   `json:"heap_in_use_bytes"`
	Goroutines int64   `json:"goroutines"`
	Files      int64   `json:"file_descriptors"`
	Threads    int64   `json:"threads"`
	CPU        float64 `json:"cpu_s"` // since its start
	Recordings int64   `json:"recordings_bytes"`
	Segments   int64   `json:"segments"`
	State      int64   `json:"state_bytes"`
	Logs       int64   `json:"log_bytes"`
	Backlog    int64   `json:"backlog_bytes"`
	StatusMS   float64 `json:"status_ms"`      // in which status was answered
	Rest       int     `json:"rest,omitempty"` // in which rest, from 1 on; 0 = in none
}

// sample adds a sample, of a rest unless that is 0. One that cannot be taken completely is left out: the agent is being asked too
// much, or ends.
func (s *soak) sample(ctx context.Context, rest int) {
	pid := s.agent.Process.Pid
	figures, err := proc.Read(pid)
	if err != nil {
		return
	}
	one := sample{Seconds: time.Since(s.began).Seconds(), Rest: rest, RSS: figures.RSS, CPU: figures.CPU(),
		Anonymous: proc.Keyed(pid, "status", "RssAnon") * 1024, Threads: proc.Keyed(pid, "status", "Threads")}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return
	}
	one.Files = int64(len(files))
	asking, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	asked := time.Now()
	if err := s.lookAtStatus(asking); err != nil {
		if ctx.Err() == nil {
			s.found("status was not answered: %v", err)
		}
		return
	}
	one.StatusMS = float64(time.Since(asked).Microseconds()) / 1000
	one.Backlog, one.Segments = s.last.backlog, s.last.segments
	metrics, err := s.api.Metrics(asking)
	if err != nil {
		return
	}
	one.Goroutines, one.HeapInUse = metric(metrics, "go_goroutines"), metric(metrics, "go_memstats_heap_inuse_bytes")
	one.Recordings, one.State, one.Logs = diskUse(s.path("recordings")), diskUse(s.path("state")), diskUse(s.path("log"))
	s.mu.Lock()
	s.samples = append(s.samples, one)
	s.mu.Unlock()
	if err := s.keepLine(one); err != nil {
		s.found("the samples cannot be kept: %v", err)
	}
}

// metric finds the value of a metric without labels in Prometheus text; 0 = it is not there.
func metric(text []byte, name string) int64 {
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			n, _ := strconv.ParseFloat(strings.TrimSpace(value), 64)
			return int64(n)
		}
	}
	return 0
}

// diskUse is what the files below a directory take on the disk. Those that go meanwhile do not count.
func diskUse(dir string) (bytes int64) {
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return nil //nolint:nilerr // gone meanwhile
		}
		if info, err := entry.Info(); err == nil {
			if stat, ok := info.Sys().(*syscall.Stat_t); ok {
				bytes += stat.Blocks * 512
			}
		}
		return nil
	})
	return bytes
}

// overview is what a status says of all streams together.
type overview struct {
	backlog, segments  int64
	lost, deletedEarly int64
	conditions         []string // but those for information
	recording          []string // streams that are being recorded
	lostOf             map[string]int64
}

// lookAtStatus reads the status.
func (s *soak) lookAtStatus(ctx context.Context) error {
	snapshot, err := s.api.Status(ctx)
	if err != nil {
		return err
	}
	o := overview{lostOf: map[string]int64{}}
	complain := func(who string, list []status.Condition) {
		for _, c := range list {
			if c.Severity > health.Info {
				o.conditions = append(o.conditions, who+": "+c.Text)
			}
		}
	}
	complain("the agent", snapshot.Agent)
	for _, st := range snapshot.Streams {
		o.backlog += st.Uploader.BacklogBytes
		o.segments += int64(st.Space.Segments)
		o.deletedEarly += st.Space.DeletedBeforeUpload
		o.lostOf[st.Name] = st.Recorder.FramesLost
		o.lost += st.Recorder.FramesLost
		if st.Recorder.State == "recording" {
			o.recording = append(o.recording, st.Name)
		}
		complain(st.Name, st.Conditions)
	}
	s.mu.Lock()
	s.last = o
	s.mu.Unlock()
	return nil
}

// healthy returns the conditions that there are.
func (s *soak) healthy(ctx context.Context) error {
	if err := s.lookAtStatus(ctx); err != nil {
		return err
	}
	if len(s.last.conditions) > 0 {
		return fmt.Errorf("%s", strings.Join(s.last.conditions, " | "))
	}
	return nil
}

// noneRecorded returns which streams are still being recorded: what was received last is not on the disk before.
func (s *soak) noneRecorded(ctx context.Context) error {
	if err := s.lookAtStatus(ctx); err != nil {
		return err
	}
	if len(s.last.recording) > 0 {
		return fmt.Errorf("still recorded are %s", strings.Join(s.last.recording, ", "))
	}
	return nil
}

// allUploaded returns how much is left to upload.
func (s *soak) allUploaded(ctx context.Context) error { return s.leftAtMost(ctx, 0) }

// leftAtMost returns how much is left to upload if that is more than most, in bytes.
func (s *soak) leftAtMost(ctx context.Context, most int64) error {
	if err := s.lookAtStatus(ctx); err != nil {
		return err
	}
	if s.last.backlog > most {
		return fmt.Errorf("%d bytes are left", s.last.backlog)
	}
	return nil
}
