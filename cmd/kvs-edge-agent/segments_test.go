package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

var recordedAt = time.Date(2026, 11, 21, 4, 20, 0, 0, time.UTC)

// command runs one and returns what it writes.
func command(cmd *cobra.Command, args ...string) (string, error) {
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(io.Discard)
	cmd.SetArgs(append([]string{}, args...)) // of nil it would take the test's own
	err := cmd.Execute()
	return out.String(), err
}

// openStore opens a store for as long as the test lasts.
func openStore(t *testing.T, dir string) *segment.Store {
	t.Helper()
	s, err := segment.Open(segment.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// recordInto is recordDoor for as long as the test lasts.
func recordInto(t *testing.T, s *segment.Store, after time.Duration, fragments int, private string) *segment.Writer {
	t.Helper()
	w, err := recordDoor(s, after, fragments, private)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// recordDoor writes fragments of a second to a segment that begins after recordedAt.
func recordDoor(s *segment.Store, after time.Duration, fragments int, private string) (*segment.Writer, error) {
	w, err := s.Create("door", mkv.Header{Start: recordedAt.Add(after), Title: "door", Tracks: []mkv.Track{
		{Number: 1, Kind: mkv.Video, CodecID: mkv.CodecAVC, CodecPrivate: []byte(private), Width: 16, Height: 16},
	}})
	for i := 0; i < fragments && err == nil; i++ {
		at := time.Duration(i) * time.Second
		err = errors.Join(w.BeginFragment(at, true),
			w.WriteFrame(1, at, true, [][]byte{bytes.Repeat([]byte{byte(i + 1)}, 1000)}),
			w.WriteFrame(1, at+900*time.Millisecond, false, [][]byte{{1, 2, 3}}))
		if err == nil {
			_, err = w.EndFragment()
		}
	}
	return w, err
}

func TestStoreCommandsWorkBesideARunningAgent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	for _, after := range []time.Duration{0, 10 * time.Second} {
		if err := recordInto(t, s, after, 10, "sps").Seal(); err != nil {
			t.Fatal(err)
		}
	}
	upload(t, s, segment.Key{Stream: "door", Start: recordedAt.UnixMilli()})
	writer := recordInto(t, s, time.Minute, 3, "sps")
	defer func() { _ = writer.Seal() }()

	got, err := command(newSegmentsCommand(), "--dir", dir)
	for _, want := range []string{
		shown(0) + "  " + shown(9900*time.Millisecond) + "  9.9 s   12 kB  uploaded",
		"not uploaded", "writing", "-- nothing for 40.1 s --", "3 segments", "gaps: 1",
	} {
		if err != nil || !strings.Contains(got, want) {
			t.Errorf("%q is missing (%v) in\n%s", want, err, got)
		}
	}
	got, err = command(newSegmentsCommand(), "--dir", dir, "--json", "--from", "2026-11-21T04:20:15Z", "--to", "2026-11-21T04:30:00Z")
	var list []storedSegment
	if err = errors.Join(err, json.Unmarshal([]byte(got), &list)); err != nil || len(list) != 2 {
		t.Fatalf("%v in %s", err, got)
	}
	if last := list[1]; last.State != "writing" || last.GapSeconds != 40.1 ||
		!last.End.Equal(recordedAt.Add(time.Minute+2900*time.Millisecond)) {
		t.Errorf("%+v", last)
	}

	out := filepath.Join(t.TempDir(), "out.mkv")
	got, err = command(newExportCommand(), "--dir", dir, "--stream", "door", "--from", "2026-11-21T04:20:05Z", "--to",
		"2026-11-21T04:21:01.5Z", out)
	if err != nil || !strings.Contains(got, shown(5*time.Second)+" to "+shown(61900*time.Millisecond)+", 56.9 s, 17 fragments") ||
		!strings.Contains(got, "nothing was recorded from "+shown(19900*time.Millisecond)+" to "+shown(time.Minute)) {
		t.Errorf("%v %s", err, got)
	}
	checkExport(t, out)
	if _, err := command(newExportCommand(), "--dir", dir, "--stream", "door", out); err == nil || !strings.Contains(err.Error(), "exists") {
		t.Errorf("an export over a file: %v", err)
	}

	got, err = command(newVerifyCommand(), "--dir", dir)
	if err != nil || !strings.HasPrefix(got, "3 files, 23 fragments") {
		t.Errorf("%v %s", err, got)
	}
}

// shown is a time after recordedAt as commands show it.
func shown(after time.Duration) string { return humanize.Millis(recordedAt.Add(after).Local()) }

func upload(t *testing.T, s *segment.Store, k segment.Key) {
	t.Helper()
	r, err := s.OpenSegment(k)
	if err != nil {
		t.Fatal(err)
	}
	list, _, err := r.Fragments()
	for _, f := range list {
		err = errors.Join(err, s.MarkPersisted(k, f))
	}
	if err = errors.Join(err, r.Close(), s.MarkUploaded(k)); err != nil {
		t.Fatal(err)
	}
}

func checkExport(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
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
	verified, err := r.Verify(true)
	list := verified.Fragments
	if err != nil || len(list) != 17 || len(verified.Damaged) > 0 || verified.Unsummed > 0 ||
		!r.Header().Start.Equal(recordedAt.Add(5*time.Second)) {
		t.Fatalf("%d fragments from %s: %v", len(list), r.Header().Start, err)
	}
	// The time line is the clock's: the part after the gap has the time when it was recorded.
	if list[15].Start != 55*time.Second {
		t.Errorf("after the gap at %s", list[15].Start)
	}
}

func TestVerifySaysWhichMediaIsDamaged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	w := recordInto(t, s, 0, 4, "sps")
	if err := w.Seal(); err != nil {
		t.Fatal(err)
	}
	path := s.Path(w.Key())
	if got, err := command(newVerifyCommand(), "--dir", dir); err != nil || !strings.Contains(got, "0 damaged") ||
		strings.Contains(got, "checksum") {
		t.Errorf("%v %s", err, got)
	}
	r, err := s.OpenSegment(w.Key())
	if err != nil {
		t.Fatal(err)
	}
	list, _, err := r.Fragments()
	data, readErr := os.ReadFile(path)
	if err := errors.Join(err, readErr, r.Close()); err != nil {
		t.Fatal(err)
	}
	data[list[2].Offset+list[2].Size-1] ^= 1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := command(newVerifyCommand(), "--dir", dir, "--json")
	var exit *exitError
	if !errors.As(err, &exit) || exit.code != exitFailure {
		t.Errorf("%v %s", err, got)
	}
	var v verification
	if err := json.Unmarshal([]byte(got), &v); err != nil || v.Files != 1 || v.DamagedFiles != 1 || len(v.Damage) != 1 {
		t.Fatalf("%v %s", err, got)
	}
	from, to := w.Key().StartTime().Add(list[2].Start), w.Key().StartTime().Add(list[2].Last)
	if d := v.Damage[0]; d.Path != path || d.Stream != w.Key().Stream || !d.From.Equal(from) || !d.To.Equal(to) ||
		!strings.Contains(d.Error, "checksum") {
		t.Errorf("%s, want the fragment from %s to %s", got, from, to)
	}
	text, err := command(newVerifyCommand(), "--dir", dir)
	if !errors.As(err, &exit) || !strings.Contains(text, "damaged from "+from.Local().Format(time.RFC3339)) ||
		!strings.Contains(text, "1 damaged") {
		t.Errorf("%v %s", err, text)
	}
}

func TestAnExportOfTwoFormatsIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	for i, private := range []string{"one", "two"} {
		if err := recordInto(t, s, time.Duration(i)*time.Minute, 2, private).Seal(); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(t.TempDir(), "out.mkv")
	_, err := command(newExportCommand(), "--dir", dir, "--stream", "door", out)
	if err == nil || !strings.Contains(err.Error(), "changed its format at 2026-11-21T04:21:00Z") {
		t.Errorf("it says %v", err)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("it left a file")
	}
}
