// Package syncqueue owns when what the store writes is made durable: in beats, each of which does it for all files of a disk together, so
// that the disk empties its cache as often with 64 cameras as with one. It must not know what the files are.
package syncqueue

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/flush"
	"github.com/kvs-edge/kvs-edge-agent/internal/supervise"
)

// Part is something that is made durable in beats: an open segment, or a side file.
type Part interface {
	// Due writes what is gathered in memory, and returns the file and the directory that have to be synced for it: nil and "" where
	// nothing is to be synced. It is not called while a sync of the same part is under way.
	Due() (f atomicfile.File, dir string, due bool, err error)
	// Synced takes the result of the sync, and returns what is wrong. After an error nothing written since the last sync can be relied
	// on. It is also called with the error of a sync of the complete disk when nothing was due.
	Synced(err error) error
}

// Beats are what a Queue needs to know to make everything durable.
type Beats struct {
	Files      atomicfile.FileSystem
	Dir        string                   // on the disk with the number 0, and of each that no directory is known of
	More       func(disk uint64) []Part // parts that nobody added, to be asked for at each beat
	Result     func(disk uint64, err error)
	Beside     map[string]func(context.Context)                                 // by what they do: run meanwhile
	Supervised func(ctx context.Context, what string, do func(context.Context)) // runs do, and does so again after a panic
}

// Queue has the parts, by their disk, and the beats of each disk: one at a time, and none waits for another disk. Safe for concurrent use.
type Queue struct {
	interval atomic.Int64 // nanoseconds that written data is left unsynced
	longest  atomic.Int64 // nanoseconds that a beat took since Longest was called
	running  atomic.Bool

	mu      sync.Mutex
	parts   map[Part]uint64 // the disk of each
	once    map[Part]bool   // those of parts that have nothing left to do after a beat, or a few
	disks   map[uint64]bool // that have beats
	changed chan struct{}   // closed, and made again, when there is another interval, or another disk
	beats   chan struct{}   // closed, and made again, with each beat of the disk 0
}

// New returns a queue without parts.
func New(interval time.Duration) *Queue {
	q := &Queue{parts: make(map[Part]uint64), once: make(map[Part]bool), disks: make(map[uint64]bool),
		changed: make(chan struct{}), beats: make(chan struct{})}
	q.interval.Store(int64(interval))
	return q
}

// Pause returns how long written data is left unsynced.
func (q *Queue) Pause() time.Duration { return time.Duration(q.interval.Load()) }

// SetPause changes that.
func (q *Queue) SetPause(interval time.Duration) {
	q.interval.Store(int64(interval))
	q.mu.Lock()
	defer q.mu.Unlock()
	q.change()
}

// change wakes who waits. Call with mu held.
func (q *Queue) change() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// Add adds a part that lies on a disk.
func (q *Queue) Add(p Part, disk uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.parts[p] = disk
	if !q.disks[disk] {
		q.change()
	}
}

// Remove removes a part.
func (q *Queue) Remove(p Part) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.parts, p)
	delete(q.once, p)
}

// Running reports whether there are beats, so that what is left to them gets durable.
func (q *Queue) Running() bool { return q.running.Load() }

// Run has the beats of all disks, until ctx ends.
func (q *Queue) Run(ctx context.Context, b Beats) {
	var disks sync.WaitGroup
	defer disks.Wait()
	for what, do := range b.Beside {
		disks.Go(func() { b.Supervised(ctx, what, do) })
	}
	q.running.Store(true)
	defer func() {
		q.running.Store(false)
		q.mu.Lock()
		defer q.mu.Unlock()
		clear(q.disks) // for another Run
	}()
	for {
		q.mu.Lock()
		changed := q.changed
		for _, disk := range append(slices.Collect(maps.Values(q.parts)), 0) {
			if !q.disks[disk] {
				q.disks[disk] = true
				disks.Go(func() {
					b.Supervised(ctx, "Syncing recordings to the disk", func(ctx context.Context) { q.keep(ctx, b, disk) })
				})
			}
		}
		q.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

// keep has the beats of a disk.
func (q *Queue) keep(ctx context.Context, b Beats, disk uint64) {
	d := flush.NewShared(b.Files)
	if disk == 0 {
		d = flush.NewDisk(b.Files, b.Dir)
	}
	defer func() { _ = d.Close() }()
	var before beats
	for before.began = time.Now(); q.wait(ctx, before); {
		before.began = time.Now()
		err := Beat(d, append(q.PartsOf(disk), b.More(disk)...))
		before.took(time.Since(before.began))
		q.took(before.last)
		b.Result(disk, err)
		if disk == 0 {
			q.beat()
		}
	}
}

// beats are those of a disk until now.
type beats struct {
	began   time.Time     // the last one
	last    time.Duration // that it took
	longest time.Duration // that one took, of which less and less counts
}

// took notes how long the last beat took.
func (b *beats) took(d time.Duration) { b.last, b.longest = d, max(d, b.longest-b.longest/rest) }

// A sixteenth of the interval is kept for the beat itself, and for frames in transit; where beats take longer, one and a quarter
// times the longest of the last ones. After each beat the disk has a sixteenth of the time that this one took for others.
const rest = 16

// next returns when the next beat begins. One that is slow by itself is followed by beats in short intervals, for as long as another one
// is to be expected: it must not make the others as rare as itself.
func (b *beats) next(pause time.Duration) time.Time {
	return b.began.Add(max(pause-max(b.longest+b.longest/4, pause/rest), pause/4, b.last+b.last/rest))
}

// wait waits for the next beat, so that data is durable an interval after it was written: a beat that takes its time begins earlier.
// It returns false when ctx ends.
func (q *Queue) wait(ctx context.Context, before beats) bool {
	for {
		q.mu.Lock()
		changed := q.changed
		q.mu.Unlock()
		timer := time.NewTimer(time.Until(before.next(q.Pause())))
		select {
		case <-ctx.Done():
			timer.Stop()
			return false
		case <-timer.C:
			return true
		case <-changed:
			timer.Stop()
		}
	}
}

// beat wakes who waits for a beat.
func (q *Queue) beat() {
	q.mu.Lock()
	defer q.mu.Unlock()
	close(q.beats)
	q.beats = make(chan struct{})
}

// Wait waits for the end of the next beat of the disk 0, with which the process wakes in any case, or twice the interval where that disk
// hangs. It returns false when ctx ends.
func (q *Queue) Wait(ctx context.Context) bool {
	q.mu.Lock()
	beats := q.beats
	q.mu.Unlock()
	hangs := time.NewTimer(2 * q.Pause())
	defer hangs.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-beats:
	case <-hangs.C:
	}
	return true
}

// PartsOf returns the parts of a disk.
func (q *Queue) PartsOf(disk uint64) (parts []Part) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for p, of := range q.parts {
		if of == disk {
			parts = append(parts, p)
		}
	}
	return parts
}

// drains is how often what is left is synced in the end: what follows from one sync may need another one.
const drains = 4

// Drain makes durable the steps that are left, when no beat follows.
func (q *Queue) Drain(files atomicfile.FileSystem) (err error) {
	for range drains {
		q.mu.Lock()
		parts := slices.Collect(maps.Keys(q.once))
		q.mu.Unlock()
		if len(parts) == 0 {
			return nil
		}
		err = Beat(flush.NewShared(files), parts)
	}
	return err
}

// writesAtOnce is how many parts write what they have in memory at a time: a segment that begins or ends meanwhile waits for so many
// on a slow disk.
const writesAtOnce = 4

// Beat makes parts durable, all of them together.
func Beat(d *flush.Disk, parts []Part) error {
	items := make([]flush.Item, len(parts))
	errs := make([]error, len(parts))
	flush.Each(len(parts), writesAtOnce, func(i int) {
		it := &items[i]
		it.Idle = true
		defer func() {
			if p := recover(); p != nil { // it costs nobody else the beat
				errs[i] = supervise.PanicError(p)
			}
		}()
		var due bool
		it.File, it.Dir, due, errs[i] = parts[i].Due()
		it.Idle = !due
	})
	d.Sync(items)
	for i, it := range items {
		if !it.Idle || it.Err != nil {
			errs[i] = errors.Join(errs[i], parts[i].Synced(it.Err))
		}
	}
	return errors.Join(errs...)
}

// took notes how long a beat took.
func (q *Queue) took(d time.Duration) {
	for {
		longest := q.longest.Load()
		if int64(d) <= longest || q.longest.CompareAndSwap(longest, int64(d)) {
			return
		}
	}
}

// Longest returns the longest time that a beat took since it was last called.
func (q *Queue) Longest() time.Duration { return time.Duration(q.longest.Swap(0)) }
