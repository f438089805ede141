package streamfile

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
)

// list reads the directory, for at most readPatience. At most one reading is under way. While a late one is, list returns errSlow
// at once; when it ends, its result is outdated, so list discards it and reads the directory again.
func (f *Files) list(ctx context.Context) listing {
	if f.late {
		select {
		case <-f.reading:
			f.reading, f.late = nil, false
		default:
			return listing{err: errSlow}
		}
	}
	if f.reading == nil {
		f.reading = begin(f.read, f.o.Dir, f.followed())
	}
	patience := time.NewTimer(readPatience)
	defer patience.Stop()
	select {
	case l := <-f.reading:
		f.reading = nil
		if l.broken != nil {
			panic(l.broken) // supervise restarts Run, as any part of the agent
		}
		return l
	case <-patience.C:
		f.late = true
		return listing{err: errSlow}
	case <-ctx.Done():
		return listing{err: ctx.Err()}
	}
}

// pass reads the directory and updates what is known of each file. first says that it is the first one after the start: a file
// that is missing then was deleted, and is not just being saved.
func (f *Files) pass(ctx context.Context, first bool) {
	l := f.list(ctx)
	if ctx.Err() != nil {
		return
	}
	found := l.found
	if l.err != nil || l.none {
		f.reportDirectory(l.err, l.none)
		for _, known := range f.files {
			known.gone = time.Time{} // such a directory does not prove that a file is missing
		}
		return
	}
	f.known, f.others = true, len(l.unread)
	f.reportOthers(len(l.unread))
	for _, name := range slices.Sorted(maps.Keys(found)) {
		f.see(name, found[name])
	}
	for _, name := range slices.Sorted(maps.Keys(f.files)) {
		switch _, there := found[name]; {
		case there:
		case l.unread[name]:
			f.files[name].gone = time.Time{} // it exists
		default:
			f.miss(name, first)
		}
	}
	f.settleOwners(found)
	f.reportFiles()
}

// followed returns the names of the files that streams come from.
func (f *Files) followed() map[string]bool {
	names := make(map[string]bool, len(f.owners))
	for _, name := range f.owners {
		names[name] = true
	}
	return names
}

// see judges what was read of a file. A good content is taken over at once. A wrong one is reported only if the next reading finds
// the same, as the file may just be being written; if it keeps changing, after mostUnsure wrong contents.
func (f *Files) see(name string, s contents) {
	known := f.files[name]
	if known == nil {
		known = new(file)
		f.files[name] = known
	}
	known.gone = time.Time{}
	sum := s.sum()
	again := known.sum == sum
	if again && known.judged {
		return
	}
	known.sum, known.judged = sum, false
	stream, note, err := desired.Stream{}, "", error(nil)
	named := ""
	if s.problem == "" {
		stream, note, err = f.place.judge(s.data, s.modified)
		named = nameIn(s.data)
	}
	known.nameless, known.wants = named == "", cmp.Or(named, known.wants)
	switch {
	case s.problem == "" && err == nil:
		known.judged, known.wrong, known.note, known.held = true, "", note, nil
		if known.good == nil || !bytes.Equal(known.good.data, s.data) { // not for a new time alone: that would wear out the disk
			f.unsaved = true
			logevent.StreamFileRead.Log(f.o.Log, zap.String("file", name), zap.String("stream", stream.Name))
		}
		known.unsure = 0
		known.good = &good{stream: stream, data: s.data, modified: s.modified}
	case !again && known.unsure < mostUnsure: // it may be in the middle of being written
		known.unsure++
	case s.problem != "":
		known.judged, known.wrong = true, "The file "+s.problem
	default:
		known.judged, known.wrong = true, err.Error()
	}
}

// mostUnsure is how many wrong contents are passed over without a good one between them, as the file may just be being written.
const mostUnsure = 5

// miss notes that a file is not in the directory. A file of which a stream is known is forgotten after vanishAfter, also if it cannot
// be followed, as its stream's media is kept for it; in the first pass, and any other, at once.
func (f *Files) miss(name string, first bool) {
	known := f.files[name]
	if known.gone.IsZero() {
		known.gone = f.o.Now()
	}
	if (known.good != nil || known.held != nil || known.wants != "") && !first && f.o.Now().Sub(known.gone) < vanishAfter {
		return
	}
	delete(f.files, name)
	f.o.Health.OK(fileScope(name))
	f.unsaved = true
	logevent.StreamFileGone.Log(f.o.Log, zap.String("file", name))
}

// settleOwners determines which file each stream comes from: the same as before as long as the directory has it, else the first
// by name of those that it has. If it has none of them, the same rule applies to the known files: one may be missing for
// vanishAfter, and restore has not read the directory.
func (f *Files) settleOwners(found map[string]contents) {
	wants := make(map[string][]string) // the names of the files that configure a stream, sorted, by the stream's name
	for _, name := range slices.Sorted(maps.Keys(f.files)) {
		if g := f.files[name].good; g != nil {
			wants[g.stream.Name] = append(wants[g.stream.Name], name)
		}
	}
	before := maps.Clone(f.owners)
	maps.DeleteFunc(f.owners, func(stream, _ string) bool { return wants[stream] == nil })
	for stream, files := range wants {
		present := slices.DeleteFunc(slices.Clone(files), func(name string) bool { _, there := found[name]; return !there })
		owner, had := f.owners[stream]
		switch {
		case had && slices.Contains(present, owner):
		case len(present) > 0:
			f.owners[stream] = present[0]
		case !had || !slices.Contains(files, owner):
			f.owners[stream] = files[0]
		}
	}
	f.unsaved = f.unsaved || !maps.Equal(before, f.owners)
}

// wanted returns the streams that the files configure.
func (f *Files) wanted() desired.Set {
	set := make(desired.Set, len(f.owners))
	for stream, name := range f.owners {
		set[stream] = f.files[name].good.stream
	}
	return set
}

// apply passes the streams that the files configure to the Applier, if they changed, and notes the outcomes. Then it says what
// is known, also if nothing changed.
func (f *Files) apply(ctx context.Context) {
	wanted := f.wanted()
	f.notePaths() // first: a job that starts in Apply may report something that names its file
	if f.applied == nil || !maps.Equal(f.applied, wanted) {
		outcomes := f.o.Applier.Apply(ctx, wanted)
		if ctx.Err() != nil {
			return
		}
		f.applied = wanted
		for _, outcome := range outcomes {
			f.answer(outcome)
		}
		for stream := range f.statuses {
			if _, still := wanted[stream]; !still {
				delete(f.statuses, stream)
			}
		}
	}
	f.publish()
	f.o.Applied(f.knowledge())
}

// notePaths notes the path of the file that each stream comes from, for Place and Deletion.
func (f *Files) notePaths() {
	paths := make(map[string]string, len(f.owners))
	for stream, name := range f.owners {
		paths[stream] = filepath.Join(f.o.Dir, name)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.paths = paths
}

// knowledge returns whether all streams that the files configure are known, except those in unclear: the streams that wrong files
// name, or named when they could be read last, of which no good content is known. See Options.Applied.
func (f *Files) knowledge() (all bool, unclear []string) {
	all = f.known && f.others == 0
	for _, known := range f.files {
		if known.good != nil {
			continue
		}
		all = all && !known.nameless
		if known.wants != "" && f.owners[known.wants] == "" {
			unclear = append(unclear, known.wants)
		}
	}
	slices.Sort(unclear)
	return all, slices.Compact(unclear)
}

// answer notes the outcome of a stream as its status.
func (f *Files) answer(outcome desired.Outcome) {
	status := edgeconfig.SyncStatus{StreamName: outcome.Stream, Status: inSync, LastUpdated: f.applied[outcome.Stream].Version.Time()}
	if outcome.Err != nil {
		status.Status, status.FailedStatusDetails = syncFailed, health.FaultOf(outcome.Err, codeFile).Text
	}
	f.statuses[outcome.Stream] = status
}

// The statuses. Source: KVS API, SyncStatus.
const (
	inSync     = "IN_SYNC"
	syncFailed = "SYNC_FAILED"
)

// publish makes the statuses available to Sync. A stream whose file became wrong has failed, although the file's previous content
// stays in force.
func (f *Files) publish() {
	syncs := make(map[string]edgeconfig.SyncStatus, len(f.statuses))
	for stream, status := range f.statuses {
		if name := f.owners[stream]; f.files[name].wrong != "" {
			status.Status = syncFailed
			status.FailedStatusDetails = fmt.Sprintf("The file %s is wrong, and its previous content stays in force: %s.", name, f.files[name].wrong)
		}
		syncs[stream] = status
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.syncs = syncs
}
