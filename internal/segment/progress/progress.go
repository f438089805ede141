// Package progress owns the side file of a segment that records which of its fragments are persisted or refused. It must not
// know the segment's file, nor its state.
//
// The side file is appended to with every acknowledgement, a line each: lines written by a killed process stay, and a torn
// last line after a power cut is ignored.
//
//	persisted 4000 81234 7960    start and size of the fragment, and its last frame; ms since the segment's start
//	refused 8000 80112 11960 4006 INVALID_MKV_DATA
//	tried 8000 1795233600000 0    when the fragment was refused, Unix ms, and which try that was: 0 is the first
//	again 8000 1795320000000 1    it is pending again, for that try
//
// Versions that do not know a kind of line ignore it.
package progress

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
)

// Progress records which fragments of a segment need not be sent again, in memory and in its side file. Safe for concurrent
// use: a method changes the memory at once, and one that writes delays only other writers.
type Progress struct {
	files atomicfile.FileSystem
	dir   string
	name  string // of the side file

	syncing *signal.Turn // held during a sync; taken before writing
	writing *signal.Turn // held to write to the file, and to end it; taken before mu

	mu      sync.Mutex
	done    map[time.Duration]bool
	again   map[time.Duration]Refusal // fragments that were refused, and are pending again
	bytes   int64                     // size of the fragments in done
	spans   []layout.Span             // media of the fragments in done
	file    atomicfile.File           // nil until the first line of this process
	unsaved bool                      // lines are to be written or synced, or the file is to be written again
	ended   bool                      // nothing is written any more
	lines   lines
}

// lines has the lines of a side file by how far they are saved: pending ones could not be written yet; then they are
// written, and then synced. A line of pending or written is never forgotten: the state of a file after a failed sync is
// unknown, and the next sync proves nothing about earlier writes.
type lines struct {
	pending []string
	written []string // since the last sync that succeeded
	torn    bool     // the last line in the file may be incomplete
	named   bool     // the file's name is durable
	again   bool     // a sync failed: the file has to be written again completely

	syncing atomicfile.File // that is being synced; nil: none is
	inSync  int             // how many of written were in it when that began
}

// New returns the progress of a segment of which nothing is uploaded. The side file is created with the first line.
func New(files atomicfile.FileSystem, dir string, k layout.ID) *Progress {
	return &Progress{
		files: files, dir: dir, name: layout.ProgressName(k), syncing: signal.NewTurn(), writing: signal.NewTurn(),
		done: make(map[time.Duration]bool),
	}
}

// Add records that a fragment is persisted or refused. Nothing is written.
func (p *Progress) Add(f mkv.Fragment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.add(f)
}

func (p *Progress) add(f mkv.Fragment) {
	if p.done[f.Start] {
		return
	}
	p.done[f.Start] = true
	delete(p.again, f.Start)
	p.bytes += f.Size
	p.spans = cover(p.spans, layout.Span{From: f.Start.Milliseconds(), To: f.Last.Milliseconds()})
}

// Undo makes a refused fragment pending again. Nothing is written.
func (p *Progress) Undo(one Refusal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.undo(one)
}

func (p *Progress) undo(one Refusal) {
	if !p.done[one.Start] {
		return
	}
	delete(p.done, one.Start)
	p.bytes -= one.Size
	p.spans = uncover(p.spans, layout.Span{From: one.Start.Milliseconds(), To: one.Last.Milliseconds()})
	if p.again == nil {
		p.again = make(map[time.Duration]Refusal)
	}
	p.again[one.Start] = one
}

// Done reports whether the fragment with that start is persisted or refused.
func (p *Progress) Done(start time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.done[start]
}

// RefusedBefore returns the refusal of a fragment that is pending again; ok is false for one that was not refused.
func (p *Progress) RefusedBefore(start time.Duration) (one Refusal, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	one, ok = p.again[start]
	return one, ok
}

// RefuseAgain reverses Undo for a fragment that was not done meanwhile, and returns its refusal. Nothing is written.
func (p *Progress) RefuseAgain(start time.Duration) (one Refusal, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if one, ok = p.again[start]; ok {
		p.add(mkv.Fragment{Start: start, Last: one.Last, Size: one.Size})
	}
	return one, ok
}

// Again returns the refusals of the fragments that are pending again.
func (p *Progress) Again() []Refusal {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Values(p.again))
}

// Requeued reports whether refused fragments are pending again.
func (p *Progress) Requeued() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.again) > 0
}

// Bytes returns the size of the fragments that are persisted or refused.
func (p *Progress) Bytes() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bytes
}
