package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/strictmkv"
)

// recordedDoor is a directory with two recordings of the stream door, 10 s each, a minute apart.
func recordedDoor(t *testing.T) (dir string, files []string) {
	t.Helper()
	dir = shortDir(t)
	s := openStore(t, dir)
	for _, after := range []time.Duration{0, time.Minute} {
		w := recordInto(t, s, after, 10, "sps")
		if err := w.Seal(); err != nil {
			t.Fatal(err)
		}
		files = append(files, s.Path(w.Key()))
	}
	return dir, files
}

func TestAnExportGoesToTheStandardOutput(t *testing.T) {
	t.Parallel()
	s := &site{t: t, dir: shortDir(t)}
	s.backlog("door", 20)
	for _, name := range []string{"-", "/dev/stdout"} {
		cwd := t.TempDir()
		stdout, stderr, code := invocation{dir: cwd, args: []string{"export", "--dir", s.recordings(), "--stream", "door", name}}.run(t)
		blocks, last := 0, error(nil)
		for _, err := range strictmkv.Blocks(strings.NewReader(stdout)) {
			if last = err; err == nil {
				blocks++
			}
		}
		if code != 0 || blocks != 20*5 || !strings.HasPrefix(stderr, "standard output: ") {
			t.Errorf("%s: it ends with %d, %d blocks: %s; %v", name, code, blocks, stderr, last)
		}
		expectEmpty(t, cwd)
	}
}

func TestCtrlCInAnExport(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"mkv", "mp4"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			interruptExport(t, format)
		})
	}
}

func interruptExport(t *testing.T, format string) {
	t.Helper()
	dir := shortDir(t)
	if err := recordInto(t, openStore(t, dir), 0, 2000, "sps").Seal(); err != nil { // far more than a pipe holds
		t.Fatal(err)
	}
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "export", "--dir", dir, "--stream", "door", "--format", format, "-")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Process.Signal(syscall.SIGINT)
	_, _ = io.Copy(io.Discard, out)
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted || stderr.String() != "kvs-edge-agent: stopped\n" {
		t.Errorf("it ends with %d: %s", code, stderr.String())
	}
}

// TestAKilledExportLeavesNothingUnderItsName lets an export hang in a file that is a pipe, and kills it.
func TestAKilledExportLeavesNothingUnderItsName(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"out.mkv", "out.mp4"} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			killExport(t, file)
		})
	}
}

func killExport(t *testing.T, file string) {
	t.Helper()
	dir, files := recordedDoor(t)
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	whole := files[1] + ".whole"
	if err := errors.Join(os.Rename(files[1], whole), syscall.Mkfifo(files[1], 0o600)); err != nil {
		t.Fatal(err)
	}
	at := t.TempDir()
	name := filepath.Join(at, file)
	args := []string{"export", "--dir", dir, "--stream", "door", name}
	cmd := exec.CommandContext(t.Context(), path, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	(&site{t: t}).eventually("the beginning of the export", func() error {
		started, err := filepath.Glob(filepath.Join(at, "."+file+".*.part"))
		if err == nil && len(started) == 0 {
			err = errors.New("there is no file yet")
		}
		return err
	})
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("half an export stands under its name: %v", err)
	}
	if err := errors.Join(os.Remove(files[1]), os.Rename(whole, files[1])); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := (invocation{dir: at, args: args}).run(t); code != 0 {
		t.Errorf("the next export ends with %d: %s", code, stderr)
	}
}

// TestPrintedTimesAreTakenInEveryZone passes times to the program as it printed them.
func TestPrintedTimesAreTakenInEveryZone(t *testing.T) {
	t.Parallel()
	dir, _ := recordedDoor(t)
	printed := regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)`)
	for _, zone := range []string{"UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu"} {
		t.Run(zone, func(t *testing.T) {
			t.Parallel()
			at := t.TempDir()
			run := func(args ...string) string {
				stdout, stderr, code := invocation{dir: at, env: []string{"TZ=" + zone}, args: args}.run(t)
				if code != 0 {
					t.Fatalf("%q ends with %d: %s", args, code, stderr)
				}
				return stdout
			}
			_, list, _ := strings.Cut(run("segments", "--dir", dir), "STREAM  START")
			times := printed.FindAllString(list, -1)
			if len(times) != 4 {
				t.Fatalf("%q are the times in %s", times, list)
			}
			for i, want := range []time.Time{recordedAt, recordedAt.Add(time.Minute)} {
				var found []storedSegment
				if err := json.Unmarshal([]byte(run("segments", "--dir", dir, "--json", "--from", times[2*i], "--to", times[2*i+1])),
					&found); err != nil {
					t.Fatal(err)
				}
				if len(found) != 1 || !found[0].Start.Equal(want) {
					t.Errorf("from %s to %s there is %+v, want the recording of %s", times[2*i], times[2*i+1], found, want)
				}
			}
			exported := printed.FindAllString(run("export", "--dir", dir, "--stream", "door", "--from", times[2], "out.mkv"), -1)
			if len(exported) != 2 || exported[0] != times[2] || exported[1] != times[3] {
				t.Errorf("the export is said to be of %q, want %q", exported, times[2:])
			}
			// What schedule prints as BEGIN is the --after of the next question.
			begins := regexp.MustCompile(`(?m)^... \d{4}-\S+ \S+`).FindAllString(run("schedule", "--after", "2026-10-24T20:00Z",
				"--count", "9", "0 30 * * * ?"), -1)
			for i, begin := range begins[:8] {
				if got := run("schedule", "--after", begin, "--count", "1", "0 30 * * * ?"); !strings.Contains(got, begins[i+1]) {
					t.Errorf("after %s comes %s, want %s", begin, got, begins[i+1])
				}
			}
		})
	}
}
