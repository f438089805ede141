// Package holding owns the holds of a store: which exist, that they fit, and that a segment is held before its hold is acknowledged.
// It must not know how segments are written, nor who wants to delete them: segment/catalog refuses that.
package holding

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/hold"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/streams"
	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
)

// Options are what a Book needs of its store. All are required.
type Options struct {
	// Lock guards the streams.
	Lock sync.Locker
	// Streams has all streams by name, with the lock held.
	Streams func() map[string]*streams.Stream
	// Usable fails when nothing can be written about a stream, with the lock held.
	Usable func(stream string) error
	// Present fails when the directory of a stream is not there.
	Present func(st *streams.Stream) error
	// Prepare makes the store one that has holds: earlier versions do not open it.
	Prepare func() error
	// Disk is a number of the disk that a stream is on, with the lock held.
	Disk func(st *streams.Stream) uint64
	// Total is the size of the disk of a directory.
	Total func(dir string) (uint64, error)
	// Most is how much all holds may have on a disk of that size.
	Most func(total uint64) int64

	Log    *zap.Logger
	Health *health.Component
}

// Book has the holds of all streams. Safe for concurrent use.
type Book struct {
	o        Options
	changing *signal.Turn // held to change holds; taken before the lock
	unread   map[string]health.Scope
}

// New returns the book of a store.
func New(o Options) *Book {
	return &Book{o: o, changing: signal.NewTurn(), unread: make(map[string]health.Scope)}
}

// Kept is a hold with what it holds now.
type Kept struct {
	hold.Hold
	Segments int   `json:"segments"`
	Bytes    int64 `json:"bytes"`
	// Unreadable is true for all recordings of a stream whose holds cannot be read: such an item has neither ID nor times.
	Unreadable bool `json:"unreadable,omitempty"`
}

// List returns the holds of a stream, or of all with "", in the order of streams and of their addition. Where the holds of a stream cannot
// be read, an item says so.
func (b *Book) List(stream string) []Kept {
	type listed struct {
		st *streams.Stream
		h  hold.Hold
	}
	var all []listed
	list := []Kept{}
	b.o.Lock.Lock()
	for name, st := range b.o.Streams() {
		if stream != "" && stream != name {
			continue
		}
		for _, h := range st.Holds.List() {
			all = append(all, listed{st, h})
		}
		if st.Holds.Broken() != nil {
			u := st.Usage()
			list = append(list, Kept{Hold: hold.Hold{Stream: name}, Segments: u.HeldSegments, Bytes: u.HeldBytes, Unreadable: true})
		}
	}
	b.o.Lock.Unlock()
	held := make([]Kept, len(all), len(all)+len(list))
	for i, x := range all { // the lock is not kept, as each may take a walk through all segments of its stream
		b.o.Lock.Lock()
		held[i] = kept(x.st, x.h)
		b.o.Lock.Unlock()
	}
	list = append(held, list...)
	slices.SortStableFunc(list, func(a, c Kept) int { return strings.Compare(a.Stream, c.Stream) })
	return list
}

func kept(st *streams.Stream, h hold.Hold) Kept {
	segments, bytes, _ := st.Catalog.Reached(streams.TimesOf(h))
	return Kept{Hold: h, Segments: segments, Bytes: bytes}
}

// Ask adds a hold that somebody asked for, of one of the known streams. An error is a *health.Fault, or that of ctx.
func (b *Book) Ask(ctx context.Context, h hold.Hold, known []string, now time.Time) (Kept, error) {
	h, err := hold.Complete(h, now)
	if err != nil {
		return Kept{}, err
	}
	if !slices.Contains(known, h.Stream) {
		known = slices.Compact(slices.Sorted(slices.Values(known)))
		return Kept{}, health.UserFault(hold.CodeRequest, nil, "There is no stream %s, neither configured nor recorded; there are: %s.", h.Stream,
			humanize.List(known))
	}
	return b.Add(ctx, h)
}

// Add adds a hold that hold.Complete returned: when Add returns nil, what it holds is not deleted before it is removed, whatever happens.
// The second of two equal ones with the same ID changes nothing. An error is a *health.Fault, or that of ctx.
func (b *Book) Add(ctx context.Context, h hold.Hold) (Kept, error) {
	b.changing.Lock()
	defer b.changing.Unlock()
	return b.add(ctx, h, false)
}

// Extend is Add, but where there is a hold with the ID of the same stream, that one also holds the times of h from then on, and lasts at
// least as long; after an error it is as before.
func (b *Book) Extend(ctx context.Context, h hold.Hold) (Kept, error) {
	b.changing.Lock()
	defer b.changing.Unlock()
	before, ok := b.Find(h.Stream, h.ID)
	if ok {
		h = before.With(h)
	}
	return b.add(ctx, h, ok)
}

// Find returns the hold of a stream with that ID.
func (b *Book) Find(stream, id string) (hold.Hold, bool) {
	b.o.Lock.Lock()
	defer b.o.Lock.Unlock()
	st := b.o.Streams()[stream]
	if st == nil {
		return hold.Hold{}, false
	}
	return st.Holds.Find(id)
}

// add is Add. replaces: in place of the hold with the same ID. Call with changing held.
func (b *Book) add(ctx context.Context, h hold.Hold, replaces bool) (Kept, error) {
	st, before, err := b.admit(h, replaces)
	if err != nil || before != nil {
		return orZero(before), err
	}
	if err := b.o.Present(st); err != nil {
		return Kept{}, err
	}
	total, err := b.o.Total(st.Dir)
	if err != nil {
		return Kept{}, health.SystemFault(hold.CodeRequest, err, "The size of the disk of stream %s cannot be read, so nothing is held.",
			h.Stream)
	}
	if err := b.ask(ctx, st, h); err != nil {
		return Kept{}, err
	}
	err = b.fits(st, h, b.o.Most(total))
	if err == nil {
		err = b.o.Prepare()
	}
	var commit func()
	if err == nil {
		commit, err = st.Holds.Add(h)
		err = unwritten(st, err)
	}
	b.o.Lock.Lock()
	if err == nil {
		commit()
	}
	st.EndAsking()
	added := kept(st, h)
	b.o.Lock.Unlock()
	if err != nil {
		return Kept{}, err
	}
	if !replaces {
		logevent.HoldAdded.Log(b.o.Log, zap.String("stream", h.Stream), zap.String("hold", h.ID), zap.Time("from", h.From),
			zap.Time("to", h.To), zap.String("reason", h.Reason), zap.String("askedBy", h.Source), zap.Int64("bytes", added.Bytes))
	}
	b.reportUse()
	return added, nil
}

func orZero(k *Kept) Kept {
	if k == nil {
		return Kept{}
	}
	return *k
}

// unwritten is the fault of a record that could not be written.
func unwritten(st *streams.Stream, err error) error {
	if err == nil {
		return nil
	}
	return health.SystemFault(hold.CodeRequest, err, "The file of holds %s of stream %s cannot be written: check its disk.", st.Holds.Path(),
		st.Name)
}

// admit checks what does not depend on sizes. before is the equal hold that exists already.
func (b *Book) admit(h hold.Hold, replaces bool) (st *streams.Stream, before *Kept, err error) {
	b.o.Lock.Lock()
	defer b.o.Lock.Unlock()
	if err := b.o.Usable(h.Stream); err != nil {
		return nil, nil, err
	}
	if of, other, ok := b.find(h.ID); ok && other.Stream == h.Stream && h.Same(other) {
		same := kept(of, other)
		return of, &same, nil
	} else if ok && !replaces {
		return nil, nil, health.UserFault(hold.CodeRequest, nil, "There is another hold with the ID %s, of stream %s: choose another ID.", h.ID,
			other.Stream)
	}
	st = b.o.Streams()[h.Stream]
	switch {
	case st == nil || st.Device == 0:
		return nil, nil, health.UserFault(hold.CodeRequest, nil, "Nothing is recorded of a stream %s yet, so there is nothing to hold: "+
			"add the hold when its recording has begun.", h.Stream)
	case st.Holds.Broken() != nil:
		return nil, nil, unreadable(st)
	case st.Holds.Len() >= hold.Most && !replaces:
		return nil, nil, health.UserFault(hold.CodeRequest, nil, "Stream %s has %d holds, as many as a stream may have: remove some first.",
			h.Stream, hold.Most)
	}
	return st, nil, nil
}

// ask holds the times from now on, and waits for deletions in them that began before.
func (b *Book) ask(ctx context.Context, st *streams.Stream, h hold.Hold) error {
	b.o.Lock.Lock()
	if st.Deleting || b.o.Streams()[st.Name] != st {
		b.o.Lock.Unlock()
		return health.UserFault(hold.CodeRequest, nil, "The recordings of stream %s are being deleted.", st.Name)
	}
	deletions := st.AskHold(streams.TimesOf(h))
	b.o.Lock.Unlock()
	for _, ended := range deletions {
		select {
		case <-ended:
		case <-ctx.Done():
			b.o.Lock.Lock()
			st.EndAsking()
			b.o.Lock.Unlock()
			return ctx.Err()
		}
	}
	return nil
}

// fits refuses a hold that exceeds what all holds of its disk may have.
func (b *Book) fits(st *streams.Stream, h hold.Hold, most int64) error {
	b.o.Lock.Lock()
	defer b.o.Lock.Unlock()
	st.EndAsking()
	_, _, need := st.Catalog.Reached(streams.TimesOf(h))
	used := b.used(b.o.Disk(st))
	st.AskHold(streams.TimesOf(h))
	if used+need <= most {
		return nil
	}
	return health.UserFault(hold.CodeTooLarge, nil,
		"This hold of stream %s does not fit: it needs %s more, %s are held already, and all holds together may have %s. Remove a hold, "+
			"choose a shorter time, or raise AWS_KVS_EDGE_HOLD_MAX.", h.Stream, humanize.Bytes(need), humanize.Bytes(used), humanize.Bytes(most))
}

// used returns how many bytes are held on a disk. Call with the lock held.
func (b *Book) used(disk uint64) (bytes int64) {
	for _, st := range b.o.Streams() {
		if b.o.Disk(st) == disk {
			u := st.Usage()
			bytes += u.HeldBytes + u.HeldGrowing
		}
	}
	return bytes
}

// find returns the hold with that ID. Call with the lock held.
func (b *Book) find(id string) (*streams.Stream, hold.Hold, bool) {
	for _, st := range b.o.Streams() {
		if h, ok := st.Holds.Find(id); ok {
			return st, h, true
		}
	}
	return nil, hold.Hold{}, false
}

// unreadable returns a stream whose file of holds cannot be read; nil when there is none. Call with the lock held.
func (b *Book) unreadable() *streams.Stream {
	for _, st := range b.o.Streams() {
		if st.Holds.Broken() != nil {
			return st
		}
	}
	return nil
}

// Remove ends a hold, and returns it. by is who asked for that. An error is a *health.Fault.
func (b *Book) Remove(id, by string, now time.Time) (hold.Hold, error) {
	b.changing.Lock()
	defer b.changing.Unlock()
	b.o.Lock.Lock()
	st, h, ok := b.find(id)
	unread := b.unreadable()
	b.o.Lock.Unlock()
	switch {
	case !ok && unread != nil: // it may be there
		return hold.Hold{}, unreadable(unread)
	case !ok:
		return hold.Hold{}, health.UserFault(hold.CodeRequest, nil, "There is no hold with the ID %s; `kvs-edge-agent hold list` lists "+
			"those that there are.", health.Clean(id, 64))
	}
	if err := b.end(st, h, by, now); err != nil {
		return hold.Hold{}, err
	}
	b.reportUse()
	return h, nil
}

// end removes a hold. Call with changing held.
func (b *Book) end(st *streams.Stream, h hold.Hold, by string, now time.Time) error {
	if err := b.o.Present(st); err != nil {
		return err
	}
	b.o.Lock.Lock()
	broken := st.Holds.Broken() != nil
	b.o.Lock.Unlock()
	if broken {
		return unreadable(st)
	}
	commit, err := st.Holds.Remove(h.ID, by, now)
	if err != nil {
		return unwritten(st, err)
	}
	b.o.Lock.Lock()
	commit()
	st.FollowHolds()
	b.o.Lock.Unlock()
	logevent.HoldRemoved.Log(b.o.Log, zap.String("stream", h.Stream), zap.String("hold", h.ID), zap.Time("from", h.From), zap.Time("to", h.To),
		zap.String("reason", h.Reason), zap.String("addedBy", h.Source), zap.String("askedBy", by))
	return nil
}

// Expire ends the holds whose time is over. now is the time of a clock that can be trusted.
func (b *Book) Expire(now time.Time) {
	b.changing.Lock()
	defer b.changing.Unlock()
	type over struct {
		st *streams.Stream
		h  hold.Hold
	}
	var ended []over
	b.o.Lock.Lock()
	for _, st := range b.o.Streams() {
		if st.Holds.Broken() != nil {
			continue
		}
		for _, h := range st.Holds.List() {
			if h.Over(now) {
				ended = append(ended, over{st, h})
			}
		}
	}
	b.o.Lock.Unlock()
	for _, e := range ended {
		if err := b.end(e.st, e.h, "its end, "+humanize.Time(e.h.Until), now); err != nil {
			b.o.Log.Debug("hold not ended", zap.Error(err)) // the next pass tries again; the disk has a condition
		}
	}
}
