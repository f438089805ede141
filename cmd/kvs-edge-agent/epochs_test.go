package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo/types"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// A clock that was two hours ahead for ten seconds, and then a year for one segment, of which nobody knows how much.
func recordEpochs(t *testing.T, dir string) {
	t.Helper()
	s := openStore(t, dir)
	at := func(after time.Duration) {
		t.Helper()
		if err := recordInto(t, s, after, 10, "sps").Seal(); err != nil {
			t.Fatal(err)
		}
	}
	const ahead, year = 2 * time.Hour, 365 * 24 * time.Hour
	at(0)
	at(ahead + 10*time.Second)
	if err := s.BeginEpoch("door", recordedAt.Add(ahead), time.Time{}, -ahead, recordedAt.Add(20*time.Second)); err != nil {
		t.Fatal(err)
	}
	at(20 * time.Second)
	at(year)
	if err := s.BeginEpoch("door", time.Time{}, time.Time{}, 0, recordedAt.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	at(time.Minute)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestSegmentsOfEpochsAreListedByWhenTheyWereRecorded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	recordEpochs(t, dir)
	got, err := command(newSegmentsCommand(), "--dir", dir, "--json")
	var list []storedSegment
	if err = errors.Join(err, json.Unmarshal([]byte(got), &list)); err != nil || len(list) != 5 {
		t.Fatalf("%v in %s", err, got)
	}
	for i, want := range []struct {
		epoch         uint32
		ahead, known  bool
		recorded, gap time.Duration
	}{
		{0, false, false, 0, 0},
		{0, true, true, 10 * time.Second, 0},
		{1, false, false, 20 * time.Second, 0},
		{1, true, false, time.Minute - 9900*time.Millisecond, 20200 * time.Millisecond},
		{2, false, false, time.Minute, 0},
	} {
		l := list[i]
		from, to := l.Recorded()
		if l.Epoch != want.epoch || l.ClockAhead != want.ahead || l.ClockUnset || (l.RealStart != nil) != want.known ||
			l.GapSeconds != want.gap.Seconds() ||
			from.Sub(recordedAt) != want.recorded || to.Sub(from) != 9900*time.Millisecond || (l.RecordedFrom != nil) != want.ahead {
			t.Errorf("%d: %+v", i, l)
		}
	}
	got, err = command(newSegmentsCommand(), "--dir", dir, "--from", "2026-11-21T04:20:10Z", "--to", "2026-11-21T04:20:59Z")
	for _, want := range []string{
		"not uploaded; the clock was ahead, it started ", "not uploaded; the clock was ahead, it ended before ", "3 segments", "gaps: 1",
	} {
		if err != nil || !strings.Contains(got, want) {
			t.Errorf("%q is missing (%v) in\n%s", want, err, got)
		}
	}
	if got, _ = command(newSegmentsCommand(), "--dir", dir, "--from", "2026-11-21T06:00Z"); !strings.Contains(got, "Nothing is recorded") {
		t.Errorf("of what only files date so there is\n%s", got)
	}
	if got, err = command(newVerifyCommand(), "--dir", dir); err != nil || !strings.HasPrefix(got, "5 files, 50 fragments") {
		t.Errorf("%v %s", err, got)
	}
}

func TestAnExportOfEpochsGoesByWhenTheyWereRecorded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	recordEpochs(t, dir)
	out := filepath.Join(t.TempDir(), "out.mkv")
	export := func(from, to, out string) (string, error) {
		return command(newExportCommand(), "--dir", dir, "--stream", "door", "--from", from, "--to", to, out)
	}
	got, err := export("2026-11-21T04:20:05Z", "2026-11-21T04:21:02.5Z", out)
	if err != nil || !strings.Contains(got, shown(5*time.Second)+" to "+shown(62900*time.Millisecond)) ||
		!strings.Contains(got, "38 fragments") ||
		!strings.Contains(got, "nothing was recorded from "+shown(29900*time.Millisecond)) ||
		strings.Count(got, "nothing was recorded") != 1 {
		t.Errorf("%v %s", err, got)
	}
	f, err := os.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	r, err := mkv.Open(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	list, err := r.Fragments()
	if err != nil || len(list) != 38 {
		t.Fatalf("%d fragments: %v", len(list), err)
	}
	for i := 1; i < len(list); i++ {
		if list[i].Start <= list[i-1].Last {
			t.Errorf("fragment %d begins at %s, and the previous one ends at %s", i, list[i].Start, list[i-1].Last)
		}
	}
	if last := list[37]; last.Start != 57*time.Second {
		t.Errorf("the last one begins at %s", last.Start)
	}
	if _, err := export("2026-11-21T06:00Z", "2026-11-21T07:00Z", out+"2"); err == nil {
		t.Error("what only files date so was exported")
	}
}

// recordEpochs records three fragments that are right, three that are dated ahead, and three that are right again. It
// returns the times that they have in the cloud.
func (s *demandSite) recordEpochs(ahead time.Duration) {
	s.t.Helper()
	store, err := segment.Open(segment.Options{Dir: s.recordings()})
	if err != nil {
		s.t.Fatal(err)
	}
	begin := time.Now().Add(-time.Minute).Truncate(time.Second)
	add := func(after, dated time.Duration) {
		s.t.Helper()
		w, err := store.Create("door", mkv.Header{Start: begin.Add(after + dated), Title: "door", Tracks: []mkv.Track{backlogTrack}})
		if err != nil {
			s.t.Fatal(err)
		}
		for n := range 3 {
			at := time.Duration(n) * backlogFragment
			err := errors.Join(w.BeginFragment(at, true), w.WriteFrame(1, at, true, [][]byte{{0x65, 1, 2, 3}}),
				w.WriteFrame(1, at+backlogFragment-time.Millisecond, false, [][]byte{{0x41, 1, 2, 3}}))
			if err != nil {
				s.t.Fatal(err)
			}
			s.want = append(s.want, begin.Add(after+at).UnixMilli())
		}
		if err := w.Seal(); err != nil {
			s.t.Fatal(err)
		}
	}
	add(0, 0)
	add(10*time.Second, ahead)
	if err := store.BeginEpoch("door", begin.Add(ahead), time.Time{}, -ahead, begin.Add(20*time.Second)); err != nil {
		s.t.Fatal(err)
	}
	add(20*time.Second, 0)
	if err := store.Close(); err != nil {
		s.t.Fatal(err)
	}
}

// The cloud, and a person at the hub, ask for what was recorded while a clock was two hours ahead.
func TestUploadsAreAskedForByWhenItWasRecorded(t *testing.T) {
	inWorlds(t, uploadsAreAskedForByWhenItWasRecorded)
}

func uploadsAreAskedForByWhenItWasRecorded(t *testing.T, w world) {
	s := &demandSite{site: newSite(t, w)}
	s.recordEpochs(2 * time.Hour)
	s.configure("door", "rtsp://127.0.0.1:1/gone", func(c *types.EdgeConfig) {
		c.UploaderConfig.ScheduleConfig.ScheduleExpression = aws.String(fmt.Sprintf("0 0 %d * * ? *", inTwelveHours()))
	})
	s.asker, s.broker = newAsker(s.site)
	s.start()
	s.awaitCondition("door", "refuses connections") // it is configured
	s.asker.ask(s.request("wrong", 3, 6))
	s.expectDone("wrong", 3, 6, 1)
	if c := s.awaitCondition("door", "subtract 2h0m0s"); c.Code != "times-wrong" {
		t.Errorf("%+v", c)
	}
	clock := func(i int) string { return time.UnixMilli(s.want[i]).UTC().Format(time.RFC3339Nano) }
	output, err := s.upload("--stream", "door", "--from", clock(0), "--to", clock(8))
	if err != nil || !strings.Contains(output, "done: all 8 fragments are in the cloud\n") {
		t.Errorf("it says %v:\n%s", err, output)
	}
	if have, most := s.in(0, 8); have != 8 || most != 1 {
		t.Errorf("the cloud has %d of 8 fragments, one of them %d times", have, most)
	}
	if n := len(s.cloud.Media().Fragments("door")); n != 8 {
		t.Errorf("the cloud has %d fragments", n)
	}
	st, err := s.stream("door")
	last := s.want[7] + backlogFragment.Milliseconds()
	if err != nil || st.Uploader.LastPersistedMedia.UnixMilli() > last || !st.Space.Oldest.Equal(time.UnixMilli(s.want[0])) {
		t.Errorf("%v %+v", err, st)
	}
	s.stopAgent()
}
