package uploader

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/queue"
)

// forgotten is a disk that cannot read which fragments are uploaded.
type forgotten struct {
	atomicfile.OS
	readable atomic.Bool
}

func (d *forgotten) ReadFile(name string) ([]byte, error) {
	if strings.Contains(name, layout.ProgressSuffix) && !d.readable.Load() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: syscall.EIO}
	}
	return d.OS.ReadFile(name)
}

// forget opens the store again on a disk that cannot read which fragments are uploaded. readable ends that, and waits until the store
// knows.
func (w *rig) forget() (readable func()) {
	w.t.Helper()
	must(w.t, w.store.Close())
	disk := new(forgotten)
	store, err := segment.Open(segment.Options{Dir: w.dir, Files: disk, FlushInterval: 10 * time.Millisecond})
	must(w.t, err)
	w.store = &watchedStore{Store: store, changed: make(chan struct{})}
	return func() {
		disk.readable.Store(true)
		ctx, stop := context.WithCancel(context.Background())
		var syncing sync.WaitGroup
		syncing.Go(func() { _ = store.Run(ctx) })
		defer syncing.Wait()
		defer stop()
		testtools.Eventually(w.t, patience, func() error {
			for _, s := range store.Segments(door, time.Time{}, time.Time{}) {
				if store.NotesUnread(s.Key) {
					return errors.New("notes are unread")
				}
			}
			return nil
		})
	}
}

// TestARequestForMediaWhoseNotesAreUnread is not finished: none of it may be sent, as all of that may be in the cloud. Once the notes
// are read what is missing is sent, and nothing twice.
func TestARequestForMediaWhoseNotesAreUnread(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	w.record(2, 3)
	u := w.uploader()
	w.request(u, 0, 2)
	readable := w.forget()
	u = w.uploader()
	w.runOnRequest(u)
	for w.pauses(u) { // it waits no longer for the disk
		w.waited.Add(int64(time.Minute))
	}
	for name, to := range map[string]int{"of that alone": 3, "of more": 6} {
		var last Progress
		err := u.Range(w.context(), begin, time.UnixMilli(w.want[to-1]+1), func(p Progress) { last = p })
		if fault := (*health.Fault)(nil); !errors.As(err, &fault) || fault.Code != codeStore || last.Finished {
			t.Errorf("%s: the request ends with %v, %+v", name, err, last)
		}
	}
	if got, want := w.stored(), slices.Concat(w.want[:2], w.want[3:]); !slices.Equal(got, want) {
		t.Errorf("the service has %v, want %v", w.relative(got), w.relative(want))
	}
	readable()
	var last Progress
	must(t, u.Range(w.context(), begin, w.next, func(p Progress) { last = p }))
	if want := (Progress{Total: 6, Done: 6, Finished: true}); fragmentsOf(t, last) != want {
		t.Errorf("the request ends with %+v", last)
	}
	w.rests()
	w.expectAll()
	if got := w.stored(); len(got) != len(w.want) {
		t.Errorf("fragments came twice: %v", w.relative(got))
	}
}

// pauses has the queue try what it can, and reports whether an upload that ends when nothing is pending would wait for some of it.
func (w *rig) pauses(u *Uploader) bool {
	must(w.t, u.lock.lock(w.context()))
	defer u.lock.unlock()
	u.queue.Restart()
	for f, ok := u.queue.Peek(); ok; f, ok = u.queue.Peek() {
		u.queue.Take(f)
	}
	u.queue.Release()
	_, waits := u.queue.NextRetry(queue.UnreadableWait)
	return waits
}

// TestAWindowEndsWithWhatItCouldNotRead as a problem that is reported, and the next one sends what is left once the notes are read.
func TestAWindowEndsWithWhatItCouldNotRead(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	w.record(2, 3)
	w.request(w.uploader(), 0, 2)
	readable := w.forget()
	u := w.uploader()
	for w.pauses(u) {
		w.waited.Add(int64(time.Minute))
	}
	w.drain(u)
	if !w.reports(codeStore) || len(w.stored()) != 5 {
		t.Errorf("the service has %v, and that the rest cannot be read is reported: %v", w.relative(w.stored()), w.reports(codeStore))
	}
	readable()
	w.drain(u)
	w.expectAll()
	w.expectUploaded(0)
	if got := w.stored(); len(got) != len(w.want) || w.reports(codeStore) {
		t.Errorf("the service has %v, still reported: %v", w.relative(got), w.reports(codeStore))
	}
}
