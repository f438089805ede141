package kvsconfig

import (
	"maps"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
)

// versions are the configurations that the cloud has for this hub, merged from messages, listings and the disk. The newest
// LastUpdated of a stream wins, whatever the order of arrival. It is pure: no files, no network,
// no clock; one goroutine uses it.
type versions struct {
	streams map[string]*entry
	// gone remembers deletions, so that an older message that comes late does not bring a stream back.
	gone map[string]tombstone
	// refused holds the newest version that was refused, for the same reason.
	refused map[string]time.Time
	// lost are the streams with a configuration of which no version could ever be followed, or none that the disk still has,
	// and when that was noted.
	lost map[string]time.Time
}

// entry is one configured stream.
type entry struct {
	edgeconfig.StreamConfig // as it came, for the disk and for answers
	// wanted is what it asks of the hub; zero for a deletion.
	wanted desired.Stream
	// removing: its jobs and media are to go; LastUpdated is then that of the deletion.
	removing bool
	// absent counts the complete listings in a row without it.
	absent int
	// changed is when it was last changed here; a listing that began before says nothing about it.
	changed time.Time
}

// tombstone is a stream that is deleted, or no longer this hub's.
type tombstone struct {
	at        time.Time // LastUpdated of the deletion
	byAbsence bool      // the control plane no longer lists it
	noted     time.Time // by the hub's clock, to forget it some day
}

// freshness is how a version compares with what is known of its stream.
type freshness int

const (
	accepted freshness = iota // something is to be done
	repeated                  // known already: say again how it stands
	stale                     // older than what is known
)

// absencesToLeave: a recording is not stopped for one listing without its stream.
const absencesToLeave = 2

// maxTombstones bounds gone, refused and lost; the oldest are removed first.
const maxTombstones = 1000

func newVersions() *versions {
	return &versions{
		streams: make(map[string]*entry), gone: make(map[string]tombstone), refused: make(map[string]time.Time), lost: make(map[string]time.Time),
	}
}

// known is the newest version of a stream that was seen, good or not.
func (d *versions) known(stream string) (newest time.Time, ok bool) {
	if e := d.streams[stream]; e != nil {
		newest, ok = e.LastUpdated, true
	}
	if g, had := d.gone[stream]; had && (!ok || edgeconfig.Newer(g.at, newest)) {
		newest, ok = g.at, true
	}
	if r, had := d.refused[stream]; had && (!ok || edgeconfig.Newer(r, newest)) {
		newest, ok = r, true
	}
	return newest, ok
}

// compare places a version with what is known of its stream.
func (d *versions) compare(stream string, at time.Time) freshness {
	newest, ok := d.known(stream)
	switch {
	case !ok || edgeconfig.Newer(at, newest):
		return accepted
	case edgeconfig.Newer(newest, at):
		return stale
	default:
		return repeated
	}
}

// update takes a valid configuration, and what it wants.
func (d *versions) update(c edgeconfig.StreamConfig, wanted desired.Stream, now time.Time) freshness {
	v := d.compare(c.StreamName, c.LastUpdated)
	if v != accepted {
		return v
	}
	d.streams[c.StreamName] = &entry{StreamConfig: c, wanted: wanted, changed: now}
	delete(d.gone, c.StreamName)
	delete(d.refused, c.StreamName)
	delete(d.lost, c.StreamName)
	return v
}

// refuse notes a version that cannot be followed; the previous one stays.
func (d *versions) refuse(stream string, at time.Time) freshness {
	v := d.compare(stream, at)
	if v == accepted && !at.IsZero() {
		d.refused[stream] = at
		trim(d.refused, func(t time.Time) time.Time { return t })
	}
	return v
}

// remove takes a deletion. That of an unknown stream is accepted too: there may be media of it.
func (d *versions) remove(c edgeconfig.StreamConfig, now time.Time) freshness {
	e := d.streams[c.StreamName]
	if e == nil {
		// One that only left has its media still.
		g, ok := d.gone[c.StreamName]
		switch {
		case ok && g.byAbsence && edgeconfig.Newer(g.at, c.LastUpdated):
			return stale
		case ok && !g.byAbsence && !edgeconfig.Newer(c.LastUpdated, g.at):
			return repeated
		}
		e = &entry{StreamConfig: edgeconfig.StreamConfig{StreamName: c.StreamName, StreamARN: c.StreamARN}}
		d.streams[c.StreamName] = e
	} else if edgeconfig.Newer(e.LastUpdated, c.LastUpdated) {
		return stale
	}
	e.removing, e.changed = true, now
	e.LastUpdated = c.LastUpdated
	return accepted
}

// removed notes that jobs and media of a stream are gone.
func (d *versions) removed(stream string, now time.Time) {
	e := d.streams[stream]
	if e == nil {
		return
	}
	delete(d.streams, stream)
	d.bury(stream, tombstone{at: e.LastUpdated, noted: now})
}

// absence is what a complete listing says by what it lacks.
type absence struct {
	unsure bool     // a stream is missing for the first time, which another listing is to confirm
	left   []string // streams that are no longer this hub's; their media stays
}

// absences compares with a complete listing that began at that time. A stream that is missing moved to another
// hub, or the control plane has a fault: its jobs end, and none of its media is deleted for that.
func (d *versions) absences(listed map[string]bool, began, now time.Time) (a absence) {
	maps.DeleteFunc(d.lost, func(name string, noted time.Time) bool { return !listed[name] && noted.Before(began) })
	for _, name := range sortedNames(d.streams) {
		e := d.streams[name]
		switch {
		case listed[name]:
			e.absent = 0
		case e.removing || !e.changed.Before(began):
		default:
			if e.absent++; e.absent < absencesToLeave {
				a.unsure = true
				continue
			}
			delete(d.streams, name)
			d.bury(name, tombstone{at: e.LastUpdated, byAbsence: true, noted: now})
			a.left = append(a.left, name)
		}
	}
	return a
}

// bury remembers a stream that is gone.
func (d *versions) bury(stream string, t tombstone) {
	delete(d.refused, stream)
	delete(d.lost, stream)
	d.gone[stream] = t
	trim(d.gone, func(t tombstone) time.Time { return t.noted })
}

// relist lets a listing restore a stream that was removed only because listings lacked it.
func (d *versions) relist(stream string) {
	if g, ok := d.gone[stream]; ok && g.byAbsence {
		delete(d.gone, stream)
	}
}

// wanted is the desired set.
func (d *versions) wanted() desired.Set {
	set := make(desired.Set, len(d.streams))
	for name, e := range d.streams {
		if !e.removing {
			set[name] = e.wanted
		}
	}
	return set
}

// lose notes that a stream is configured in a version that cannot be followed, unless one from before is, and reports whether
// that is news.
func (d *versions) lose(stream string, at, now time.Time) bool {
	if d.streams[stream] != nil || d.compare(stream, at) == stale {
		return false
	}
	_, known := d.lost[stream]
	d.lost[stream] = now
	trim(d.lost, func(t time.Time) time.Time { return t })
	return !known
}

// unclear lists the streams with a configuration that cannot be followed, and none from before, by name.
func (d *versions) unclear() []string { return slices.Sorted(maps.Keys(d.lost)) }

// removals lists the streams that are to go, by name.
func (d *versions) removals() []string {
	var out []string
	for _, name := range sortedNames(d.streams) {
		if d.streams[name].removing {
			out = append(out, name)
		}
	}
	return out
}

// trim forgets the oldest members beyond maxTombstones.
func trim[T any](m map[string]T, at func(T) time.Time) {
	for len(m) > maxTombstones {
		oldest, first := "", true
		for name, member := range m {
			if first || at(member).Before(at(m[oldest])) {
				oldest, first = name, false
			}
		}
		delete(m, oldest)
	}
}

func sortedNames(m map[string]*entry) []string { return slices.Sorted(maps.Keys(m)) }
