package segment

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/flush"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/syncqueue"
)

// sync makes a segment durable by itself.
func (w *Writer) sync(time.Duration) error {
	f, _, due, err := w.Due()
	if err != nil || !due {
		return err
	}
	if err = f.Sync(); errors.Is(err, os.ErrClosed) {
		return nil
	}
	return w.Synced(err)
}

// The ways in which segments and side files get durable.
const (
	byItself = "each by itself"         // when nobody calls Run
	together = "files at the same time" // on a disk that has other data, too
	whole    = "the complete disk"      // on a disk of our own
)

var syncWays = []string{byItself, together, whole}

// files is the file system of the story, by its way.
func (y *story) files() fileSystem {
	if y.way == whole {
		return wholeJournal{y.j}
	}
	return y.j
}

// sync makes a segment durable.
func (y *story) sync(w *Writer) error {
	if y.way == byItself || y.way == "" {
		return w.sync(0)
	}
	return y.beat()
}

// noteDurably makes the side files durable.
func (y *story) noteDurably() error {
	if y.way == byItself || y.way == "" {
		return y.s.SyncProgress()
	}
	return y.beat()
}

func (y *story) beat() error {
	return syncqueue.Beat(flush.NewDisk(y.files(), y.j.root), append(y.s.syncs.PartsOf(0), y.s.unsavedOn(0)...))
}

// wholeJournal is a journal of a disk that is synced as a whole.
type wholeJournal struct{ *journal }

// SyncFS implements flush.Whole.
func (j wholeJournal) SyncFS(string) error {
	fails := j.failing()
	j.mu.Lock()
	defer j.mu.Unlock()
	directories := map[string]bool{".": true}
	for _, e := range j.events {
		if e.op == opMkdir {
			directories[e.name] = true
		}
	}
	for id := 1; id <= j.count; id++ {
		op := opSync
		if fails {
			op = opDrop
		}
		j.events = append(j.events, event{op: op, id: id})
	}
	if fails {
		return &fs.PathError{Op: "syncfs", Path: j.root, Err: syscall.EIO}
	}
	for dir := range directories {
		j.events = append(j.events, event{op: opSyncDir, name: dir})
	}
	return nil
}
