// Package changes owns what happened of late. It compares one snapshot of the agent with the next, keeps the differences in
// order for those who follow them, and remembers why streams were not recorded. It must not know who follows, nor how.
package changes

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

// Kind says what changed.
type Kind string

// The kinds of changes.
const (
	Verdict    Kind = "verdict"    // of the whole agent
	Condition  Kind = "condition"  // one was raised, changed or ended
	Job        Kind = "job"        // the state of a stream's job
	Stream     Kind = "stream"     // one was configured, or no longer
	Recordings Kind = "recordings" // the recorded media of a stream: the newest replaces the previous ones
)

// Change is something that changed. Members that its kind does not have are left out.
type Change struct {
	Seq  uint64    `json:"-"`
	Kind Kind      `json:"kind"`
	Time time.Time `json:"time"`
	// Stream is "" for the agent itself.
	Stream  string         `json:"stream,omitempty"`
	Verdict status.Verdict `json:"verdict,omitempty"`
	// Configured of a stream.
	Configured bool `json:"configured,omitempty"`
	// Job and State of a job.
	Job   string `json:"job,omitempty"`
	State string `json:"state,omitempty"`
	// Condition that is in force now, or that Ended.
	Condition *status.Condition `json:"condition,omitempty"`
	Ended     bool              `json:"ended,omitempty"`
	// Space and NotUploadedBytes of the recordings.
	Space            *Space `json:"space,omitempty"`
	NotUploadedBytes int64  `json:"notUploadedBytes,omitempty"`
}

// Space is what a stream's recordings take on the disk. LimitBytes is 0 without a limit.
type Space struct {
	Segments            int       `json:"segments"`
	UsedBytes           int64     `json:"usedBytes"`
	LimitBytes          int64     `json:"limitBytes"`
	Oldest              time.Time `json:"oldest,omitzero"`
	DeletedBeforeUpload int64     `json:"deletedBeforeUpload"`
}

const (
	// kept is how many changes are kept for those who come back.
	kept = 1024
	// every is how often recordings are compared while somebody follows; the rest as soon as it changes. It is also how
	// long after a change the state is compared once more, as its consequences may come a moment later.
	every = time.Second
)

// Options are the settings of a Feed.
type Options struct {
	// Snapshot is taken with each change, and every second while somebody follows: forecasts, which take long, are
	// not needed here.
	Snapshot func() status.Snapshot
	// Watch returns a channel that receives after states or conditions changed.
	Watch func() (changes <-chan struct{}, stop func())
	Now   func() time.Time
}

// Feed has the changes of late. Safe for concurrent use.
type Feed struct {
	o        Options
	instance string
	started  time.Time
	watchers signal.Watchers
	follow   signal.Signal // there is a follower, and was none

	comparing sync.Mutex // held while a snapshot is taken and compared

	mu      sync.Mutex
	follows int  // how many watch; guarded by mu
	began   bool // before is valid
	before  status.Snapshot
	list    []Change           // in order; guarded by mu
	last    uint64             // Seq of the last change that there ever was; guarded by mu
	dropped uint64             // the greatest Seq that is not kept any more; guarded by mu
	spells  map[string][]spell // by stream; guarded by mu
}

// New returns a feed without changes.
func New(o Options) *Feed {
	now := o.Now()
	return &Feed{o: o, started: now, follow: signal.New(), instance: strconv.FormatInt(now.UnixNano(), 36), spells: make(map[string][]spell)}
}

// Run compares until ctx ends. While nothing changes and nobody follows it does nothing.
func (f *Feed) Run(ctx context.Context) error {
	changes, stop := f.o.Watch()
	defer stop()
	again := time.NewTimer(every)
	defer again.Stop()
	for {
		f.Compare()
		select {
		case <-ctx.Done():
			return nil
		case <-changes:
			again.Reset(every)
			continue
		case <-again.C:
		case <-f.follow.C():
		}
		if f.isFollowed() {
			again.Reset(every)
		}
	}
}

func (f *Feed) isFollowed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.follows > 0
}

// Compare takes in what changed since it was called last.
func (f *Feed) Compare() {
	f.comparing.Lock()
	defer f.comparing.Unlock()
	next := f.o.Snapshot()
	f.mu.Lock()
	before, began, last := f.before, f.began, f.last
	f.before, f.began = next, true
	f.spend(next)
	if began {
		for _, c := range difference(before, next) {
			f.add(c)
		}
	}
	changed := f.last > last
	f.mu.Unlock()
	if changed {
		f.watchers.Notify()
	}
}

// add keeps a change. Call with mu held.
func (f *Feed) add(c Change) {
	f.last++
	c.Seq = f.last
	for i := len(f.list) - 1; i >= 0; i-- {
		if same, superseded := c.supersedes(f.list[i]); same {
			if superseded {
				f.list = slices.Delete(f.list, i, i+1)
			}
			break
		}
	}
	if f.list = append(f.list, c); len(f.list) > kept {
		f.dropped = f.list[0].Seq
		f.list = f.list[1:]
	}
}

// supersedes reports whether a change before is of the same thing, and whether nobody needs it any more: recordings, or
// a condition that is still in force. What comes and goes stays.
func (c Change) supersedes(before Change) (same, superseded bool) {
	if c.Kind != before.Kind || c.Stream != before.Stream {
		return false, false
	}
	switch c.Kind {
	case Recordings:
		return true, true
	case Condition:
		same = c.Condition.Job == before.Condition.Job && c.Condition.Code == before.Condition.Code
		return same, same && !c.Ended && !before.Ended
	}
	return false, false
}

// Position is where a follower is: behind which change, of which feed. Its text is the id of an event.
type Position struct {
	instance string
	seq      uint64
}

// String returns the position as ParsePosition reads it.
func (p Position) String() string { return p.instance + "-" + strconv.FormatUint(p.seq, 10) }

// ParsePosition reads a position, also one of another feed.
func ParsePosition(text string) (p Position, ok bool) {
	instance, number, found := strings.Cut(text, "-")
	seq, err := strconv.ParseUint(number, 10, 64)
	return Position{instance, seq}, found && err == nil
}

// Behind is the position behind a change.
func (p Position) Behind(c Change) Position { return Position{p.instance, c.Seq} }

// End is the position behind all changes so far.
func (f *Feed) End() Position {
	f.mu.Lock()
	defer f.mu.Unlock()
	return Position{f.instance, f.last}
}

// After lists the changes after a position. It is not ok when there were others that are not kept any more, as is so for each
// position of another feed.
func (f *Feed) After(p Position) (list []Change, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p.instance != f.instance || p.seq < f.dropped || p.seq > f.last {
		return nil, false
	}
	i, _ := slices.BinarySearchFunc(f.list, p.seq+1, func(c Change, seq uint64) int {
		switch {
		case c.Seq < seq:
			return -1
		case c.Seq > seq:
			return 1
		}
		return 0
	})
	return slices.Clone(f.list[i:]), true
}

// Watch returns a channel that receives after there were changes, and a function that ends the watch. What changed before is
// in End, also where nobody followed then.
func (f *Feed) Watch() (changes <-chan struct{}, stop func()) {
	f.mu.Lock()
	f.follows++
	first := f.follows == 1
	f.mu.Unlock()
	if first {
		f.Compare()
		f.follow.Set()
	}
	changes, end := f.watchers.Watch()
	return changes, sync.OnceFunc(func() {
		end()
		f.mu.Lock()
		defer f.mu.Unlock()
		f.follows--
	})
}
