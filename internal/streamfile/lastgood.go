package streamfile

import (
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
)

// stateFile keeps the last good content of each file, so that a hub can start with it while the directory is missing or a file
// is wrong. It may contain cameras' passwords, as the files do: only the agent's user may read it.
const stateFile = "stream-files.json"

const stateVersion = 1

type stateDocument struct {
	Version int            `json:"Version"`
	Files   []fileDocument `json:"Files"`
}

type fileDocument struct {
	Name     string    `json:"Name"`
	Modified time.Time `json:"Modified"`
	Content  []byte    `json:"Content"`
	// Decides says that the stream comes from this file: false if another file with the same StreamName was followed before.
	// Earlier versions did not write it: then of two files the first by name decides.
	Decides bool `json:"Decides,omitempty"`
}

// restore reads the last good contents from the state file. A content that is wrong for this version or with
// the present settings is kept (see file.held), but not followed. A state file of another version is ignored.
func (f *Files) restore() {
	var doc stateDocument
	err := f.o.State.Read(stateFile, &doc)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return
	case errors.Is(err, statefile.ErrCorrupt):
		f.report(scopeState, health.Degraded, health.SystemFault(codeState, err,
			"The file %s with the last good stream files was damaged and is set aside as %s: the existing stream files are applied "+
				"nevertheless.", stateFile, stateFile+statefile.CorruptSuffix))
		return
	case err != nil:
		f.report(scopeState, health.Degraded, health.SystemFault(codeState, err,
			"The file %s with the last good stream files cannot be read: give it to the agent's user, or check the disk.",
			filepath.Join(f.o.State.Path(), stateFile)))
		return
	}
	f.kept = true
	if f.known = doc.Version == stateVersion; !f.known {
		return
	}
	for _, d := range doc.Files {
		stream, note, err := f.place.parse(d.Content, d.Modified)
		if err != nil {
			name := nameIn(d.Content)
			f.files[d.Name] = &file{held: &d, wants: name, nameless: name == ""}
			continue
		}
		f.files[d.Name] = &file{good: &good{stream: stream, data: d.Content, modified: d.Modified}, note: note}
		if d.Decides {
			f.owners[stream.Name] = d.Name
		}
	}
	f.settleOwners(nil)
}

// save writes the last good contents to the state file, if they changed or somebody removed that file. If it fails, it reports that;
// the next pass tries again.
func (f *Files) save() {
	if !f.unsaved && !(f.kept && f.o.State.Missing(stateFile)) {
		return
	}
	doc := stateDocument{Version: stateVersion}
	for _, name := range slices.Sorted(maps.Keys(f.files)) {
		switch known := f.files[name]; {
		case known.good != nil:
			g := known.good
			doc.Files = append(doc.Files, fileDocument{
				Name: name, Modified: g.modified, Content: g.data, Decides: f.owners[g.stream.Name] == name,
			})
		case known.held != nil:
			doc.Files = append(doc.Files, *known.held)
		}
	}
	if err := f.o.State.Write(stateFile, doc); err != nil {
		f.report(scopeState, health.Degraded, health.SystemFault(codeState, err,
			"The stream files' contents cannot be kept on disk, so that the hub would not record after a start without them: %s.",
			f.o.State.Advice(stateFile, err)))
		return
	}
	f.unsaved, f.kept = false, true
	f.o.Health.OK(scopeState)
}
