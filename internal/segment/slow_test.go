package segment

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const (
	slowBy       = 100 * time.Millisecond // every write, sync, rename and removal of a slow disk
	slowStreams  = 16
	slowFrame    = 20_000 // bytes, 25 a second: 4 Mbit/s
	slowSeconds  = 14
	slowSegments = 5 // seconds
	slowQueue    = 5 * 25
)

// slowDisk takes its time for all that changes it. One operation goes at a time when there is a turn
// to wait for.
type slowDisk struct {
	unsyncedFiles
	turn chan struct{} // nil: as many operations at a time as there are
	by   time.Duration // how long each takes
}

func (d *slowDisk) wait() {
	if d.turn != nil {
		d.turn <- struct{}{}
		defer func() { <-d.turn }()
	}
	time.Sleep(d.by)
}

func (d *slowDisk) OpenFile(name string, flag int, mode fs.FileMode) (file, error) {
	f, err := d.unsyncedFiles.OpenFile(name, flag, mode)
	return slowFile{f, d}, err
}

func (d *slowDisk) Rename(from, to string) error {
	d.wait()
	return d.unsyncedFiles.Rename(from, to)
}

func (d *slowDisk) Remove(name string) error {
	d.wait()
	return d.unsyncedFiles.Remove(name)
}

func (d *slowDisk) SyncDir(string) error {
	d.wait()
	return nil
}

type slowFile struct {
	file
	disk *slowDisk
}

func (f slowFile) Write(p []byte) (int, error) {
	f.disk.wait()
	return f.file.Write(p)
}

func (f slowFile) WriteAt(p []byte, off int64) (int, error) {
	f.disk.wait()
	return f.file.WriteAt(p, off)
}

func (f slowFile) Sync() error {
	f.disk.wait()
	return nil
}

// slowCamera is a stream that is recorded to a slow disk and uploaded meanwhile.
type slowCamera struct {
	name     string
	store    *Store
	frames   chan int // that came; what does not fit in is lost
	recorded int
	lost     int
	longest  map[string]time.Duration // by what was waited for
	behind   int                      // frames that waited at most
}

// shoot brings 25 frames a second.
func (c *slowCamera) shoot() {
	defer close(c.frames)
	ticker := time.NewTicker(frameInterval)
	defer ticker.Stop()
	for i := range slowSeconds * 25 {
		<-ticker.C
		select {
		case c.frames <- i:
			c.behind = max(c.behind, len(c.frames))
		default:
			c.lost++
		}
	}
}

// timed notes how long something took at most.
func (c *slowCamera) timed(what string, do func() error) error {
	began := time.Now()
	err := do()
	c.longest[what] = max(c.longest[what], time.Since(began))
	return err
}

// record does what a recorder does: a GOP a second, a flush every two, a segment every five.
func (c *slowCamera) record() (err error) {
	began, frame := time.Now(), [][]byte{make([]byte, slowFrame)}
	var w *Writer
	first, next := 0, 0 // frames: of the segment, and the one that must come
	for i := range c.frames {
		if i != next && i%25 != 0 {
			c.lost++ // nothing can be shown without the frames before it
			continue
		}
		next = i + 1
		if i%25 == 0 {
			if err := c.keyframe(&w, &first, i, began); err != nil {
				return err
			}
		}
		err := c.timed("write", func() error {
			return w.WriteFrame(1, time.Duration(i-first)*frameInterval, i%25 == 0, frame)
		})
		if err != nil {
			return err
		}
		c.recorded++
		if i%50 == 49 {
			if err := c.timed("flush", w.Flush); err != nil {
				return err
			}
		}
	}
	if err := c.end(w); err != nil {
		return err
	}
	return c.timed("seal", w.Seal)
}

// keyframe ends a fragment and begins the next one, if need be in a segment of its own.
func (c *slowCamera) keyframe(w **Writer, first *int, i int, began time.Time) error {
	if *w != nil {
		if err := c.end(*w); err != nil {
			return err
		}
	}
	if *w == nil || i-*first >= slowSegments*25 {
		if *w != nil {
			if err := c.timed("seal", (*w).Seal); err != nil {
				return err
			}
		}
		err := c.timed("create", func() (err error) {
			*w, err = c.store.Create(c.name, headerAt(began.Add(time.Duration(i)*frameInterval)))
			return err
		})
		if err != nil {
			return err
		}
		*first = i
	}
	return c.timed("write", func() error { return (*w).BeginFragment(time.Duration(i-*first)*frameInterval, true) })
}

func (c *slowCamera) end(w *Writer) error {
	return c.timed("end", func() error { _, err := w.EndFragment(); return err })
}

// upload persists what is complete until ctx ends, and then all that is left.
func (c *slowCamera) upload(ctx context.Context) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		last := ctx.Err() != nil
		for _, info := range c.store.Segments(c.name, time.Time{}, time.Time{}) {
			if err := c.persist(info.Key); err != nil {
				return err
			}
		}
		if last {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

func (c *slowCamera) persist(k Key) error {
	r, err := c.store.OpenSegment(k)
	if err != nil {
		return err
	}
	list, _, err := r.Fragments()
	if err := errors.Join(err, r.Close()); err != nil {
		return err
	}
	for _, f := range list {
		if err := c.store.MarkPersisted(k, f); err != nil {
			return err
		}
	}
	if err := c.store.MarkUploaded(k); !errors.Is(err, ErrIncomplete) {
		return err
	}
	return nil
}

// TestASlowDiskDelaysAndLosesOnlyWhatItCannotTake records 16 cameras to a disk that needs 100 ms for
// everything, in a time of its own: a goroutine that kept the store locked meanwhile would stop that time.
func TestASlowDiskDelaysAndLosesOnlyWhatItCannotTake(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		turn    chan struct{}
		keepsUp bool
		atATime time.Duration // how long an operation takes at most
	}{
		"many operations at a time": {nil, true, slowBy},
		// Each stream has up to three under way: those of who records it, of who uploads it, and of the beat.
		"one operation at a time": {make(chan struct{}, 1), false, (3*slowStreams + 2) * slowBy},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				if row.turn != nil {
					row.turn = make(chan struct{}, 1) // of this bubble
				}
				record16(t, &slowDisk{turn: row.turn, by: slowBy}, row.keepsUp, row.atATime)
			})
		})
	}
}

func record16(t *testing.T, disk *slowDisk, keepsUp bool, atATime time.Duration) {
	s, err := Open(Options{Dir: t.TempDir(), Files: disk})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var recorders, others sync.WaitGroup
	others.Go(func() { _ = s.Run(ctx) })
	cameras := make([]*slowCamera, slowStreams)
	for i := range cameras {
		c := &slowCamera{name: fmt.Sprintf("camera-%d", i), store: s, frames: make(chan int, slowQueue), longest: make(map[string]time.Duration)}
		cameras[i] = c
		recorders.Go(c.shoot)
		recorders.Go(func() {
			if err := c.record(); err != nil {
				t.Errorf("%s: %v", c.name, err)
				for range c.frames { // let the camera end
				}
			}
		})
		others.Go(func() {
			if err := c.upload(ctx); err != nil {
				t.Errorf("the uploader of %s: %v", c.name, err)
			}
		})
	}
	recorders.Wait()
	cancel()
	others.Wait()
	// What each step may do on the disk: Create makes the directory with its stream file as well, and Seal waits for a sync of
	// the file that continues.
	operations := map[string]time.Duration{"create": 8, "end": 2, "write": 1, "flush": 1, "seal": 9}
	for _, c := range cameras {
		for what, longest := range c.longest {
			if limit := operations[what] * atATime; longest > limit {
				t.Errorf("%s: to %s took %s, at most %s are its own", c.name, what, longest, limit)
			}
		}
		if keepsUp && (c.lost > 0 || c.behind > slowQueue/2) {
			t.Errorf("%s: %d frames are lost, and %d had to wait", c.name, c.lost, c.behind)
		}
		if c.lost+c.recorded != slowSeconds*25 {
			t.Errorf("%s: %d frames are recorded and %d lost of %d", c.name, c.recorded, c.lost, slowSeconds*25)
		}
		frames := 0
		for _, info := range s.Segments(c.name, time.Time{}, time.Time{}) {
			if info.State != Uploaded {
				t.Errorf("%s: a segment is %s in the end", c.name, info.State)
			}
			for _, f := range fragmentsOf(t, s, info.Key) {
				frames += f.Frames
			}
		}
		if frames != c.recorded {
			t.Errorf("%s: %d frames are on the disk, %d were taken", c.name, frames, c.recorded)
		}
	}
	c := cameras[0]
	t.Logf("%s: %d recorded, %d lost, %d behind, longest %v", c.name, c.recorded, c.lost, c.behind, c.longest)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
