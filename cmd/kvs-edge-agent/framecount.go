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
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/stamps"
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
	if stamp, ok := stamps.OfAccessUnit(avcc); ok {
		return frameID{counter: stamp.Counter, stamped: true}
	}
	return frameID{time: producer.UnixMilli(), sum: sha256.Sum256(avcc)}
}

func stampedID(counter uint64) frameID { return frameID{counter: counter, stamped: true} }

// tally counts how often each frame was seen.
type tally map[frameID]int

// distinct is the number of different frames.
func (t tally) distinct() int { return len(t) }

// repeated is how many frames came more than once.
func (t tally) repeated() int {
	n := 0
	for _, count := range t {
		n += count - 1
	}
	return n
}

// newest is the counter of the last stamped frame; 0 = there is none.
func (t tally) newest() (counter uint64) {
	for id := range t {
		counter = max(counter, id.counter)
	}
	return counter
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

// within are those of t that reference has.
func (t tally) within(reference tally) tally {
	same := tally{}
	for id, n := range t {
		if reference[id] > 0 {
			same[id] = n
		}
	}
	return same
}

// since are those of t that are not older; what is stamped has no age.
func (t tally) since(from time.Time) tally {
	young := tally{}
	for id, n := range t {
		if id.stamped || id.time >= from.UnixMilli() {
			young[id] = n
		}
	}
	return young
}

// localMedia tallies video frames and audio blocks in all segment files under dir, also in one that is being written.
// The files are read by the local cloud's strict parser, not by the muxer's own reader. A file that is renamed or deleted
// while we look makes us look again.
func localMedia(dir string) (video, audio tally, err error) {
	for range 10 {
		if video, audio, err = mediaIn(dir); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return video, audio, err
}

func mediaIn(dir string) (video, audio tally, err error) {
	video, audio = tally{}, tally{}
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
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
			tallyBlock(block, block.Header.Date.Add(block.Time), video, audio)
		}
		return nil
	})
	return video, audio, err
}

// tallyBlock counts a block as what it is.
func tallyBlock(block strictmkv.Block, producer time.Time, video, audio tally) {
	if block.Track.Type == strictmkv.TypeVideo {
		video[identify(producer, block.Data)]++
		return
	}
	audio[frameID{time: producer.UnixMilli(), sum: sha256.Sum256(block.Data)}]++
}

// cloudAudio tallies the audio blocks of a stream in the directory of a local cloud.
func cloudAudio(dir, stream string) (tally, error) {
	files, err := filepath.Glob(filepath.Join(dir, stream+"*.mkv"))
	audio := tally{}
	for _, file := range files {
		for block, readErr := range strictmkv.ReadFile(file) {
			if readErr != nil {
				break // it grows: its end may be torn
			}
			tallyBlock(block, time.Unix(0, int64(block.Time)).UTC(), tally{}, audio)
		}
	}
	return audio, err
}
