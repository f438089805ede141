package segment

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// hanging is a disk on which, once armed, a rename to a name with that ending, or a removal of one,
// hangs until it is released: before it is done, or after.
type hanging struct {
	unsyncedFiles
	ending  atomic.Pointer[string]
	after   bool
	fails   error // its result then, when it hangs before
	started chan struct{}
	letGo   chan struct{}
}

func newHanging() *hanging {
	return &hanging{started: make(chan struct{}), letGo: make(chan struct{})}
}

func (d *hanging) arm(ending string) { d.ending.Store(&ending) }

func (d *hanging) change(name string, do func() error) error {
	ending := d.ending.Load()
	if ending == nil || !strings.Contains(filepath.Dir(name), "slow") || !strings.HasSuffix(name, *ending) ||
		!d.ending.CompareAndSwap(ending, nil) {
		return do()
	}
	var err error
	if d.after {
		err = do()
	}
	d.started <- struct{}{}
	<-d.letGo
	switch {
	case d.after:
		return err
	case d.fails != nil:
		return d.fails
	default:
		return do()
	}
}

func (d *hanging) Rename(from, to string) error {
	return d.change(to, func() error { return d.unsyncedFiles.Rename(from, to) })
}

func (d *hanging) Remove(name string) error {
	return d.change(name, func() error { return d.unsyncedFiles.Remove(name) })
}

// atOnce fails the test when do waits for the disk that hangs.
func atOnce(t *testing.T, what string, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatalf("%s waits for a disk that hangs", what)
	}
}

func TestAHangingRenameOrRemovalHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	deletion := func(s *Store, w *Writer) error { return errors.Join(w.Seal(), s.Delete(w.Key())) }
	upload := func(s *Store, w *Writer) error {
		if err := w.Seal(); err != nil {
			return err
		}
		list, _ := w.shown.Completed()
		for _, f := range list {
			if err := s.MarkPersisted(w.Key(), f); err != nil {
				return err
			}
		}
		return s.MarkUploaded(w.Key())
	}
	for name, row := range map[string]struct {
		ending    string
		fragments int
		do        func(*Store, *Writer) error
		open      bool // whether the segment can be opened meanwhile
		state     State
		left      int // segments of the stream in the end
	}{
		"seal":                    {layout.SealedSuffix, 2, func(_ *Store, w *Writer) error { return w.Seal() }, true, Writing, 1},
		"remove an empty segment": {layout.WritingSuffix, 0, func(_ *Store, w *Writer) error { return w.Seal() }, false, Writing, 0},
		"mark as uploaded":        {layout.UploadedSuffix, 2, upload, true, Sealed, 1},
		"remove the side file":    {layout.ProgressSuffix, 2, upload, true, Uploaded, 1},
		"delete":                  {layout.GarbageSuffix, 2, deletion, false, Sealed, 0},
	} {
		for _, after := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				disk := newHanging()
				disk.after = after
				s, err := Open(Options{Dir: t.TempDir(), Files: disk})
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = s.Close() }()
				k := addSegment(t, s, "door", begin, 2)
				f := fragmentsOf(t, s, k)[0]
				w := startSegment(t, s, "slow", begin, row.fragments)
				disk.arm(row.ending)
				done := make(chan error)
				go func() { done <- row.do(s, w) }()
				<-disk.started
				atOnce(t, "somebody", func() {
					if list := s.Segments("slow", time.Time{}, time.Time{}); len(list) != 1 || list[0].State != row.state || list[0].Bytes == 0 {
						t.Errorf("meanwhile the stream has %+v", list)
					}
					if u := s.Usage("slow"); u.Segments != 1 {
						t.Errorf("meanwhile the stream has %+v", u)
					}
					if err := s.MarkPersisted(k, f); err != nil {
						t.Error(err)
					}
					if u := s.Usage("door"); u.PendingBytes >= u.Bytes || len(s.Streams()) != 2 {
						t.Errorf("another stream: %+v", u)
					}
					persistAll(t, s, k)
					if err := s.MarkUploaded(k); err != nil {
						t.Error(err)
					}
					next := addSegment(t, s, "door", begin.Add(time.Minute), 1)
					if err := errors.Join(s.Delete(k), s.SyncProgress()); err != nil {
						t.Error(err)
					}
					if len(s.Segments("door", time.Time{}, time.Time{})) != 1 || len(fragmentsOf(t, s, next)) != 1 {
						t.Error("another stream does not have its next segment")
					}
					if err := s.Delete(w.Key()); !errors.Is(err, ErrBusy) {
						t.Errorf("a segment that is on its way can be deleted: %v", err)
					}
					r, err := s.OpenSegment(w.Key())
					switch {
					case !row.open:
						// An empty one is there until it is removed.
						if err == nil {
							_ = r.Close()
						} else if !errors.Is(err, ErrNotFound) {
							t.Error(err)
						}
					case err != nil:
						t.Errorf("it cannot be opened meanwhile: %v", err)
					default:
						if list, _, err := r.Fragments(); err != nil || len(list) != row.fragments {
							t.Errorf("a reader sees %d fragments, %v", len(list), err)
						}
						if err := r.Close(); err != nil {
							t.Error(err)
						}
					}
				})
				close(disk.letGo)
				if err := <-done; err != nil {
					t.Error(err)
				}
				if got := s.Usage("slow").Segments; got != row.left {
					t.Errorf("%d segments are left, want %d", got, row.left)
				}
				for _, st := range s.streams {
					for k, a := range st.Active {
						if a.Moving != nil || a.Leases != 0 {
							t.Errorf("segment %s is still held", k)
						}
					}
				}
			})
		}
	}
}

// TestAFailedRenameLeavesTheSegmentAsItWas tries each change again after the disk refused it.
func TestAFailedRenameLeavesTheSegmentAsItWas(t *testing.T) {
	t.Parallel()
	disk := newHanging()
	disk.fails = &fs.PathError{Op: "rename", Path: "x", Err: syscall.EIO}
	close(disk.letGo)
	go func() {
		for range disk.started { // nobody needs to know
		}
	}()
	defer close(disk.started)
	s, err := Open(Options{Dir: t.TempDir(), Files: disk})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	k := addSegment(t, s, "slow", begin, 2)
	persistAll(t, s, k)
	for ending, change := range map[string]func(Key) error{layout.UploadedSuffix: s.MarkUploaded, layout.GarbageSuffix: s.Delete} {
		disk.arm(ending)
		if err := change(k); !errors.Is(err, syscall.EIO) {
			t.Errorf("a failed rename to %s says %v", ending, err)
		}
		if list := s.Segments("slow", time.Time{}, time.Time{}); len(list) != 1 || list[0].State != Sealed || len(fragmentsOf(t, s, k)) != 2 {
			t.Errorf("after a failed rename to %s: %+v", ending, list)
		}
	}
	if err := errors.Join(s.MarkUploaded(k), s.Delete(k)); err != nil {
		t.Error(err)
	}
}

// dawdling is a disk that takes its time before a file is opened to be read, and around a renaming: so a
// reader that looked up a name finds it gone, or the store does not know yet what it is called now.
type dawdling struct {
	unsyncedFiles
	calls atomic.Uint64
}

// pause lasts up to half a millisecond, and another time with each call.
func (d *dawdling) pause() {
	_ = backoff.Sleep(context.Background(), time.Duration(d.calls.Add(1)*7919%500)*time.Microsecond)
}

func (d *dawdling) OpenFile(name string, flag int, mode fs.FileMode) (file, error) {
	if flag == os.O_RDONLY {
		d.pause()
	}
	return d.unsyncedFiles.OpenFile(name, flag, mode)
}

func (d *dawdling) Rename(from, to string) error {
	d.pause()
	defer d.pause()
	return d.unsyncedFiles.Rename(from, to)
}

// renaming is a stream of which one segment after the other is recorded, sealed, marked as uploaded and deleted.
type renaming struct {
	t                 *testing.T
	s                 *Store
	recorded, deleted atomic.Int64 // how many segments have come so far
	deleting          atomic.Int64
	ended             chan struct{}
}

func (x *renaming) key(i int64) Key {
	return Key{Stream: "door", Start: begin.Add(time.Duration(i) * time.Minute).UnixMilli()}
}

// write takes segments through their states. While readers have one open it waits for them to close it.
func (x *renaming) write(segments int64) {
	x.t.Helper()
	defer close(x.ended)
	changes, stop := x.s.Changes("door")
	defer stop()
	for i := range segments {
		w := startSegment(x.t, x.s, "door", x.key(i).StartTime(), 1)
		x.recorded.Store(i + 1)
		fragments, _ := w.shown.Completed()
		if err := errors.Join(w.Seal(), x.s.MarkPersisted(x.key(i), fragments[0]), x.s.MarkUploaded(x.key(i))); err != nil {
			x.t.Error(err)
			return
		}
		x.deleting.Store(i + 1)
		err := x.s.Delete(x.key(i))
		for ; errors.Is(err, ErrBusy); err = x.s.Delete(x.key(i)) {
			select {
			case <-changes:
			case <-time.After(time.Minute):
				x.t.Errorf("segment %d is not closed any more: %v", i, err)
				return
			}
		}
		if err != nil {
			x.t.Error(err)
			return
		}
		x.deleted.Store(i + 1)
	}
}

// read opens the newest segment repeatedly, but only once after its deletion was asked for: else two
// readers may keep it from being deleted for ever.
func (x *renaming) read() (opened int) {
	changes, stop := x.s.Changes("door")
	defer stop()
	for last := int64(-1); ; {
		i := x.recorded.Load() - 1
		if i <= last {
			select {
			case <-x.ended:
				return opened
			case <-changes:
			}
			continue
		}
		if x.deleting.Load() > i {
			last = i
		}
		r, err := x.s.OpenSegment(x.key(i))
		if errors.Is(err, ErrNotFound) && x.deleting.Load() > i {
			continue
		}
		if err != nil {
			x.t.Errorf("segment %d cannot be opened: %v", i, err)
			return opened
		}
		opened++
		if list, _, err := r.Fragments(); err != nil || len(list) != 1 {
			x.t.Errorf("segment %d has %d fragments, %v", i, len(list), err)
		}
		if err := r.Close(); err != nil {
			x.t.Error(err)
		}
	}
}

// TestReadersAlwaysFindAFileThatIsBeingRenamed opens segments while they are sealed, marked as
// uploaded and deleted: they are there, or they are gone, and who has one open keeps it.
func TestReadersAlwaysFindAFileThatIsBeingRenamed(t *testing.T) {
	t.Parallel()
	s, err := Open(Options{Dir: t.TempDir(), Files: &dawdling{}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	x := &renaming{t: t, s: s, ended: make(chan struct{})}
	const segments = 60
	var all sync.WaitGroup
	var opened atomic.Int64
	for range 2 {
		all.Go(func() { opened.Add(int64(x.read())) })
	}
	x.write(segments)
	all.Wait()
	if n := opened.Load(); n < segments {
		t.Errorf("%d segments were opened while they changed, want at least %d", n, segments)
	}
}
