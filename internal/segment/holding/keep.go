package holding

import (
	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/hold"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/streams"
)

// The codes of the conditions.
const (
	codeUnread = "holds-unreadable"
	codeOver   = "holds-over-limit"
)

// scopeOver is how much all holds have.
const scopeOver health.Scope = "holds"

func unreadable(st *streams.Stream) *health.Fault {
	return health.SystemFault(codeUnread, st.Holds.Broken(),
		"The file of holds %s cannot be read, so all recordings of stream %s are held, and none is deleted: restore the file from a backup, or "+
			"delete it if the stream needs no hold any more; it is read again within a minute.", st.Holds.Path(), st.Name)
}

// Keep reports what is wrong with the files of holds, reads again those that could not be read, and writes those again that somebody
// removed.
func (b *Book) Keep() {
	b.changing.Lock()
	defer b.changing.Unlock()
	b.o.Lock.Lock()
	var list []*streams.Stream
	for _, st := range b.o.Streams() {
		if st.Holds.Needed() && !st.Deleting {
			list = append(list, st)
		}
	}
	b.o.Lock.Unlock()
	for _, st := range list {
		b.keep(st)
	}
	b.report(list)
	b.reportUse()
}

// keep is Keep for a stream. Call with changing held.
func (b *Book) keep(st *streams.Stream) {
	if b.o.Present(st) != nil {
		return // its disk has a condition
	}
	commit, err := st.Holds.Keep()
	if err == nil {
		err = b.o.Prepare()
	}
	if err != nil {
		b.o.Log.Debug("holds not kept", zap.String("stream", st.Name), zap.Error(err)) // tried again
	}
	if commit != nil {
		b.o.Lock.Lock()
		commit()
		st.FollowHolds()
		b.o.Lock.Unlock()
	}
}

// report reports which files of holds cannot be read. Call with changing held.
func (b *Book) report(list []*streams.Stream) {
	before := b.unread
	b.unread = make(map[string]health.Scope)
	for _, st := range list {
		b.o.Lock.Lock()
		broken := st.Holds.Broken() != nil
		b.o.Lock.Unlock()
		if !broken {
			continue
		}
		scope, fault := health.Scope("holds/"+st.Name), unreadable(st)
		b.unread[st.Name] = scope
		if b.o.Health.Report(scope, health.Degraded, fault) {
			logevent.Condition(b.o.Log, fault, zap.String("stream", st.Name))
		}
	}
	for name, scope := range before {
		if _, still := b.unread[name]; !still {
			b.o.Health.OK(scope)
		}
	}
}

// reportUse reports that the holds of a disk have more than they may, as holds whose end is yet to come can grow.
func (b *Book) reportUse() {
	b.o.Lock.Lock()
	dirs := make(map[uint64]string) // of the disks with something that is held
	used := make(map[uint64]int64)
	for _, st := range b.o.Streams() {
		if disk := b.o.Disk(st); st.Holds.Needed() {
			dirs[disk] = st.Dir
			used[disk] = b.used(disk)
		}
	}
	b.o.Lock.Unlock()
	for disk, dir := range dirs {
		total, err := b.o.Total(dir)
		if err != nil {
			continue
		}
		if most := b.o.Most(total); used[disk] > most {
			fault := health.UserFault(codeOver, nil,
				"Holds keep %s, and all together may have %s: what is held stays, but no hold is added, and the disk may fill. Remove holds that are "+
					"no longer needed, or raise AWS_KVS_EDGE_HOLD_MAX.", health.Varying(humanize.Bytes(used[disk])), humanize.Bytes(most))
			if b.o.Health.Report(scopeOver, health.Degraded, fault) {
				logevent.Condition(b.o.Log, fault)
			}
			return
		}
	}
	b.o.Health.OK(scopeOver)
}

// Read follows the holds in a directory that became the stream's after the store was loaded.
func (b *Book) Read(st *streams.Stream) {
	holds := hold.NewFile(st.Files, st.Holds.Path())
	holds.Load()
	b.o.Lock.Lock()
	defer b.o.Lock.Unlock()
	st.Holds = holds
	st.FollowHolds()
}

// Refusal returns why the recordings of a stream cannot be deleted completely, and its directory stays; nil when it has no hold. None is
// added while the stream is being deleted.
func (b *Book) Refusal(st *streams.Stream) error {
	b.o.Lock.Lock()
	defer b.o.Lock.Unlock()
	if st.Holds.Broken() != nil {
		return unreadable(st)
	}
	if !st.Held() {
		return nil
	}
	u := st.Usage()
	return health.UserFault(hold.CodeHeld, hold.ErrHeld,
		"Stream %s has %s, which keep %s (%s): what is not held was deleted, and the rest goes when the holds are removed; `kvs-edge-agent hold "+
			"list --stream %s` lists them.", st.Name, humanize.Count(u.Holds, "hold"), humanize.Count(u.HeldSegments, "recording"),
		humanize.Bytes(u.HeldBytes), st.Name)
}
