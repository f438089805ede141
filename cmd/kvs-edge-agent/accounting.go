package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/strictmkv"
)

// frameID identifies a frame wherever it turns up: by the camera's counter when the frame is
// stamped, else by its producer time and content.
type frameID struct {
	counter uint64
	stamped bool
	time    int64 // Unix ms
	sum     [sha256.Size]byte
}

func identify(producer time.Time, avcc []byte) frameID {
	if stamp, ok := fakecam.StampOfAccessUnit(avcc); ok {
		return frameID{counter: stamp.Counter, stamped: true}
	}
	return frameID{time: producer.UnixMilli(), sum: sha256.Sum256(avcc)}
}

func stampedID(counter uint64) frameID { return frameID{counter: counter, stamped: true} }

// tally counts how often each frame was seen.
type tally map[frameID]int

// distinct is the number of different frames.
func (t tally) distinct() int { return len(t) }

// repeated is how many frames came again.
func (t tally) repeated() int {
	n := 0
	for _, count := range t {
		n += count - 1
	}
	return n
}

// missingFrom counts the frames of t that other lacks.
func (t tally) missingFrom(other tally) int {
	n := 0
	for id := range t {
		if other[id] == 0 {
			n++
		}
	}
	return n
}

// sentBy tallies what a camera sent in its sessions, each from its first keyframe on.
func sentBy(sessions []fakecam.Session) tally {
	t := tally{}
	for _, s := range sessions {
		if s.Frames == 0 {
			continue
		}
		for c := s.First; c <= s.Last; c++ {
			t[stampedID(c)]++
		}
	}
	return t
}

// localFrames tallies the frames in all segment files under dir, also in one that is being
// written. The files are read by the local cloud's strict parser, not by the muxer's own reader. A
// file that is renamed or deleted while we look makes us look again.
func localFrames(dir string) (t tally, err error) {
	for range 10 {
		if t, err = framesBelow(dir); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return t, err
}

func framesBelow(dir string) (tally, error) {
	t := tally{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case path == dir && errors.Is(err, fs.ErrNotExist): // nothing was recorded yet
			return nil
		case err != nil:
			return err
		case entry.IsDir() || !strings.HasSuffix(path, ".mkv"):
			return nil
		}
		for block, err := range strictmkv.ReadFile(path) {
			if err != nil && !errors.Is(err, fs.ErrNotExist) && strings.HasSuffix(path, ".writing.mkv") {
				return nil // of a file that is being written the end may be torn
			}
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			t[identify(block.Header.Date.Add(block.Time), block.Data)]++
		}
		return nil
	})
	return t, err
}
