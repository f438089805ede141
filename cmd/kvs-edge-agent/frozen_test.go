package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/strictmkv"
)

// TestAFrozenHubIsNotTheCamerasFault stops the agent for some seconds. What its connections held is recorded at the
// time at which it was sent.
func TestAFrozenHubIsNotTheCamerasFault(t *testing.T) { inWorlds(t, frozenHub) }

var frozenFor = regexp.MustCompile(`The hub did not run for (\d+)`)

func frozenHub(t *testing.T, w world) {
	s := newStage(t, w)
	camera := startCamera(t, fakecam.Options{H265: true})
	s.configure("door", camera.URL())
	s.startAgent()
	s.awaitRecorded("door", 50)
	if err := s.agent.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	const frozen = 6 * time.Second
	err := backoff.Sleep(t.Context(), frozen)
	if err := errors.Join(err, s.agent.cmd.Process.Signal(syscall.SIGCONT)); err != nil {
		t.Fatal(err)
	}
	s.eventually("a sentence about the hub", func() error {
		for _, c := range s.status().Agent {
			if m := frozenFor.FindStringSubmatch(c.Text); m != nil {
				if seconds, err := strconv.Atoi(m[1]); err == nil && seconds >= int(frozen/time.Second) {
					return nil
				}
			}
		}
		return fmt.Errorf("conditions: %+v", s.status().Agent)
	})
	before, err := s.stream("door")
	if err != nil {
		t.Fatal(err)
	}
	s.awaitRecorded("door", before.Recorder.FramesRecorded+100)
	after, err := s.stream("door")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range after.Conditions {
		if strings.Contains(c.Text, "camera") {
			t.Errorf("the camera is blamed: %s", c.Text)
		}
	}
	unplug(t, camera)
	s.stopAgent()
	expectTruePace(t, s.recordings())
}

// expectTruePace compares the distances of recorded frames with those of their numbers: the camera sends 25 a second.
func expectTruePace(t *testing.T, dir string) {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(dir, "door", "*.mkv"))
	var first time.Time
	var number uint64
	frames := 0
	for _, path := range files {
		for block, err := range strictmkv.ReadFile(path) {
			if err != nil {
				t.Fatal(err)
			}
			at, id := block.Header.Date.Add(block.Time), identify(time.Time{}, block.Data)
			if frames++; frames == 1 {
				first, number = at, id.counter
			}
			want := time.Duration(id.counter-number) * 40 * time.Millisecond
			if off := at.Sub(first) - want; off.Abs() > time.Second {
				t.Fatalf("frame %d is dated %s off", id.counter, off)
			}
		}
	}
	if frames < 150 {
		t.Errorf("%d frames are recorded", frames)
	}
}
