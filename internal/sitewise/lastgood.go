package sitewise

import (
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
)

// stateFile keeps the last good values of each camera, so that a hub starts with them without a network. It has no secret.
const stateFile = "sitewise.json"

const stateVersion = 1

type stateDocument struct {
	Version int          `json:"Version"`
	Hub     string       `json:"Hub"`
	Cameras []stateAsset `json:"Cameras"`
}

type stateAsset struct {
	ID         string            `json:"ID"`
	Name       string            `json:"Name"`
	Changed    time.Time         `json:"Changed"`
	Properties map[string]string `json:"Properties"`
	Values     map[string]string `json:"Values"`
	// Decides says that the stream comes from this asset: false where another one has the same.
	Decides   bool  `json:"Decides,omitempty"`
	LiveSince int64 `json:"LiveSince,omitempty"` // ms since 1970
}

// restore reads the last good values. Those of another hub, or that are wrong for this version, are left out.
func (s *Source) restore() {
	var doc stateDocument
	err := s.o.State.Read(stateFile, &doc)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return
	case errors.Is(err, statefile.ErrCorrupt):
		s.report(scopeState, health.Degraded, health.SystemFault(codeState, err,
			"The file %s with the last good values of AWS IoT SiteWise was damaged and is set aside as %s: the assets are read nevertheless.",
			stateFile, stateFile+statefile.CorruptSuffix))
		return
	case err != nil:
		s.report(scopeState, health.Degraded, health.SystemFault(codeState, err,
			"The file %s with the last good values of AWS IoT SiteWise cannot be read: give it to the agent's user, or check the disk.",
			filepath.Join(s.o.State.Path(), stateFile)))
		return
	}
	s.kept = true
	if doc.Version != stateVersion || doc.Hub != s.o.Hub {
		return
	}
	s.known = true
	for _, a := range doc.Cameras {
		asset := Asset{ID: a.ID, Name: a.Name, Properties: a.Properties, Values: a.Values}
		wanted, wrong := Parse(asset)
		if len(wrong) > 0 || a.ID == "" {
			s.known = false // until it is read again
			continue
		}
		s.cameras[a.ID] = &camera{good: asset, changed: a.Changed, wanted: wanted, window: window{since: a.LiveSince}}
		if a.Decides {
			s.owners[wanted.Stream] = a.ID
		}
	}
	s.settleOwners()
	s.unsaved = false
}

// save writes the last good values, if they changed or somebody removed the file. If it fails, the next second tries again.
func (s *Source) save() {
	if !s.unsaved && !(s.kept && s.o.State.Missing(stateFile)) {
		return
	}
	doc := stateDocument{Version: stateVersion, Hub: s.o.Hub}
	for _, id := range s.sorted() {
		c := s.cameras[id]
		if c.good.ID == "" {
			continue
		}
		doc.Cameras = append(doc.Cameras, stateAsset{
			ID: id, Name: c.good.Name, Changed: c.changed, Properties: c.good.Properties, Values: c.good.Values,
			Decides: s.owners[c.wanted.Stream] == id, LiveSince: c.window.since,
		})
	}
	if err := s.o.State.Write(stateFile, doc); err != nil {
		s.report(scopeState, health.Degraded, health.SystemFault(codeState, err,
			"The values of AWS IoT SiteWise cannot be kept on disk, so that the hub would not record after a start without a network: %s.",
			s.o.State.Advice(stateFile, err)))
		return
	}
	s.unsaved, s.kept = false, true
	s.o.Health.OK(scopeState)
}
