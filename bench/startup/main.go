// Command startup measures how long it takes from the start of the process to the first recorded
// frame, with many segments on disk: 30 days of 16 cameras by default.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/bench/keep"
	"github.com/kvs-edge/kvs-edge-agent/bench/proc"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
)

func main() {
	agent := flag.String("agent", "bin/kvs-edge-agent", "our binary")
	streams := flag.Int("streams", 16, "streams on disk")
	segments := flag.Int("segments", 138_000, "segments on disk, of all streams together")
	rounds := flag.Int("rounds", 5, "how often is measured")
	out := flag.String("out", "", "append the figures as JSON lines to this file")
	flag.Parse()
	if err := run(*agent, *streams, *segments, *rounds, *out); err != nil {
		fmt.Fprintln(os.Stderr, "startup:", err)
		os.Exit(1)
	}
}

// figures are the slowest of all rounds.
type figures struct {
	Segments     int   `json:"segments"`
	Milliseconds int64 `json:"first_frame_ms"`
	NoneMs       int64 `json:"first_frame_without_segments_ms"`
}

func run(agent string, streams, segments, rounds int, out string) error {
	dir, remove, err := keep.Directory("")
	if err != nil {
		return err
	}
	defer remove()
	if err := fill(dir, streams, segments); err != nil {
		return err
	}
	camera, err := fakecam.Start(fakecam.Options{})
	if err != nil {
		return err
	}
	defer func() { _ = camera.Close() }()
	empty, removeEmpty, err := keep.Directory("")
	if err != nil {
		return err
	}
	defer removeEmpty()
	fmt.Printf("from the start of the process to the first frame on its way to disk\n")
	worst := figures{Segments: segments}
	for range rounds {
		full, err := firstFrame(agent, dir, camera.URL())
		if err != nil {
			return err
		}
		none, err := firstFrame(agent, empty, camera.URL())
		if err != nil {
			return err
		}
		fmt.Printf("%6d segments on disk: %4d ms    none: %4d ms\n", segments, full.Milliseconds(), none.Milliseconds())
		worst.Milliseconds = max(worst.Milliseconds, full.Milliseconds())
		worst.NoneMs = max(worst.NoneMs, none.Milliseconds())
	}
	return keep.Append(out, []figures{worst})
}

// fill makes files with the names of finished segments; the index reads names and sizes only.
func fill(dir string, streams, segments int) error {
	begin := time.Now().UTC().Add(-30 * 24 * time.Hour)
	for s := range streams {
		name := fmt.Sprintf("camera-%02d", s)
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(path, 0o750); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(path, ".stream"), []byte(fmt.Sprintf("{\"stream\":%q}\n", name)), 0o640); err != nil {
			return err
		}
		for i := range segments / streams {
			start := begin.Add(time.Duration(i) * 5 * time.Minute)
			file := filepath.Join(path, start.Format("20060102T150405.000Z")+"+299960.sealed.mkv")
			f, err := os.Create(file)
			if err != nil {
				return err
			}
			if err := errors.Join(f.Truncate(150_000_000), f.Close()); err != nil { // sparse
				return err
			}
		}
	}
	return nil
}

// firstFrame starts a recording and waits for its first segment file.
func firstFrame(agent, dir, url string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, agent, "record", "--dir", dir, url)
	cmd.Stderr = os.Stderr
	began := time.Now()
	if err := proc.StartAsService(cmd); err != nil {
		return 0, err
	}
	defer func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	}()
	pattern := filepath.Join(dir, "127.*", "*.writing.mkv")
	for ctx.Err() == nil {
		if found, err := filepath.Glob(pattern); err != nil || len(found) > 0 {
			return time.Since(began), err
		}
		<-time.After(2 * time.Millisecond)
	}
	return 0, errors.New("no frame was recorded within a minute")
}
